"""DataFrame in, DataFrame out: the functions of the notebook. Each composes with `df.pipe`."""

from prsm_lab.catalog import frame as models
from prsm_lab.frames.asking import abatch, acompare, ainfer, batch, compare, infer
from prsm_lab.frames.past import load, runs
from prsm_lab.frames.prompts import col
from prsm_lab.frames.scoring import score
from prsm_lab.frames.side import side_by_side
from prsm_lab.frames.summary import summarize

__all__ = [
    "abatch", "acompare", "ainfer", "batch", "col", "compare", "infer", "load", "models", "runs", "score",
    "side_by_side", "summarize",
]  # fmt: skip
