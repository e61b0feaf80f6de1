"""DataFrame in, DataFrame out: the functions of the notebook. Each composes with `df.pipe`."""

from prsm_lab.catalog import frame as models
from prsm_lab.frames.again import retry
from prsm_lab.frames.asking import abatch, acompare, ainfer, batch, compare, infer
from prsm_lab.frames.auditing import judge_audit
from prsm_lab.frames.background import job
from prsm_lab.frames.contrasting import contrast
from prsm_lab.frames.estimating import estimate
from prsm_lab.frames.explaining import plan
from prsm_lab.frames.flips import diff
from prsm_lab.frames.frontiers import frontier
from prsm_lab.frames.judging import ajudge, judge
from prsm_lab.frames.media import document, image
from prsm_lab.frames.pairwise import ajudge_pairs, judge_pairs
from prsm_lab.frames.past import load, runs
from prsm_lab.frames.prompts import col
from prsm_lab.frames.ranking import leaderboard
from prsm_lab.frames.receipts import receipts
from prsm_lab.frames.router import Router, load_router
from prsm_lab.frames.routing import route
from prsm_lab.frames.rubrics import Rubric
from prsm_lab.frames.scoring import score
from prsm_lab.frames.showing import show
from prsm_lab.frames.side import side_by_side
from prsm_lab.frames.summary import summarize

__all__ = [
    "Router", "Rubric", "abatch", "acompare", "ainfer", "ajudge", "ajudge_pairs", "batch", "col", "compare", "contrast",
    "diff", "document", "estimate", "frontier", "image", "infer", "job", "judge", "judge_audit", "judge_pairs",
    "leaderboard", "load", "load_router", "models", "plan", "receipts", "retry", "route",
    "runs", "score", "show", "side_by_side", "summarize",
]  # fmt: skip
