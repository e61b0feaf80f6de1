"""How often a cache by meaning would serve, and how often wrongly, by threshold; and which threshold keeps a promise.

A threshold keeps a budget if the upper end of the false-hit rate's interval is within it (Clopper and Pearson 1934,
one-sided). Thresholds are tried from the highest down, and the first that fails ends it: as a fixed sequence of tests
they need no correction for being many (Angelopoulos et al. 2021, "Learn then Test").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from prsm_lab.engine import likeness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from prsm_lab.embeddings import Embedder

Verifies: TypeAlias = "Callable[[Sequence[tuple[str, str]]], list[bool]]"
THRESHOLDS: Final = tuple(n / 100 for n in range(99, 69, -1))


@dataclass(frozen=True)
class Calibration:
    """What was measured.

    `table` has a row per threshold: `hits` and `hit_rate` of the pairs that may share an answer, with its interval;
    `false_hits` and `false_hit_rate` of those that must not, with its interval; `wrong` is the share of hits that are.
    """

    embedder: str
    pairs: int
    same: int
    budget: float
    confidence: float
    threshold: float | None
    """The lowest that keeps the budget; None: none does, or there are too few pairs to say."""
    table: pd.DataFrame
    rejected: pd.DataFrame
    """Pairs at least as near as the lowest threshold that were kept apart, with what the gate found; `verification`
    where the model did."""
    verify: str | None = None
    """The model that verified."""
    cost: float | None = 0.0
    """USD that its verdicts cost; None: a price is not known."""

    def __repr__(self) -> str:
        different = self.pairs - self.same
        by = "" if self.verify is None else f" verified by {self.verify}"
        head = f"<Calibration of {self.embedder}{by} on {self.pairs} pairs ({self.same} the same, {different} not): "
        if self.threshold is None:
            return (
                f"{head}no threshold keeps false hits at most {self.budget:.1%} with {self.confidence:.0%} confidence; "
                f"without a false hit that takes {needed(self.budget, self.confidence)} pairs that are not the same>"
            )
        row = self.table[self.table["threshold"] == self.threshold].iloc[0]
        high, hit = row["false_high"], row["hit_rate"]
        return f"{head}from {self.threshold:.2f} on, false hits at most {high:.2%}, hits {hit:.0%}>"


def measure(
    pairs: Sequence[tuple[str, str, bool]], embedder: Embedder, *, name: str, budget: float, confidence: float,
    verifies: Verifies | None = None,
) -> Calibration:  # fmt: skip
    """Measure an embedder with the gate on labelled pairs, and with what verifies where the gate lets pass or doubts.

    Args:
        pairs: Two questions, and whether they may share an answer.
        embedder: What gives vectors.
        name: What it is called.
        budget: Most false hits that are wanted, of the pairs that must not share an answer.
        confidence: Of the intervals, which are one-sided where they keep the budget.
        verifies: Tells of pairs whether they mean the same.
    """
    import numpy as np
    import pandas as pd

    texts = list(dict.fromkeys(text for one, other, _ in pairs for text in (one, other)))
    place = {text: n for n, text in enumerate(texts)}
    vectors = embedder(texts)
    near = np.array([float(vectors[place[a]] @ vectors[place[b]]) for a, b, _ in pairs])
    found = [likeness.differ(a, b) for a, b, _ in pairs]
    if verifies is not None:
        found = _verified(pairs, near, found, verifies)
    passed = np.array([one is None for one in found], dtype=bool)
    same = np.array([label for _, _, label in pairs], dtype=bool)
    lines = [_line(t, near >= t, passed, same, confidence) for t in THRESHOLDS]
    kept = []
    for line in lines:
        if not line["false_high"] <= budget:
            break
        kept.append(line["threshold"])
    close = [n for n, why in enumerate(found) if why is not None and near[n] >= THRESHOLDS[-1]]
    rejected = pd.DataFrame(
        [(*pairs[n], near[n], found[n]) for n in close], columns=["question", "other", "same", "similarity", "differs"]
    )
    return Calibration(
        name, len(pairs), int(same.sum()), budget, confidence, min(kept, default=None), pd.DataFrame(lines), rejected
    )


def _verified(
    pairs: Sequence[tuple[str, str, bool]], near: Any, found: Sequence[str | None], verifies: Verifies
) -> list[str | None]:
    """What keeps pairs apart, where a model has a say."""
    asked = [n for n, why in enumerate(found) if near[n] >= THRESHOLDS[-1] and (why is None or why in likeness.DOUBTS)]
    said = dict(zip(asked, verifies([pairs[n][:2] for n in asked]), strict=True))
    return [(None if said[n] else "verification") if n in said else why for n, why in enumerate(found)]


def _line(threshold: float, near: Any, passed: Any, same: Any, confidence: float) -> dict[str, float]:
    served = near & passed
    hits, false = int((served & same).sum()), int((served & ~same).sum())
    alike, different, both = int(same.sum()), int((~same).sum()), (1 + confidence) / 2
    return {
        "threshold": threshold, "hits": hits, "hit_rate": hits / alike if alike else math.nan,
        "hit_low": 1 - upper(alike - hits, alike, both), "hit_high": upper(hits, alike, both),
        "false_hits": false, "false_hit_rate": false / different if different else math.nan,
        "false_low": 1 - upper(different - false, different, confidence),
        "false_high": upper(false, different, confidence),
        "without_gate": int((near & ~same).sum()), "wrong": false / (hits + false) if hits + false else math.nan,
    }  # fmt: skip


def upper(events: int, n: int, confidence: float) -> float:
    """Return Clopper and Pearson's upper end of a share.

    >>> round(upper(0, 299, 0.95), 4)
    0.01
    """
    from scipy.special import betaincinv

    return 1.0 if events >= n else float(betaincinv(events + 1, n - events, confidence))


def needed(budget: float, confidence: float) -> int:
    """Return how many pairs without a false hit it takes.

    >>> needed(0.01, 0.95)
    299
    """
    return math.ceil(math.log(1 - confidence) / math.log(1 - budget))


def read(pairs: object) -> list[tuple[str, str, bool]]:
    """Read labelled pairs: a frame, a file or a dataset with two columns of text and `same`, or triples."""
    from prsm_lab.errors import InvalidRequestError
    from prsm_lab.frames.data import frame

    if isinstance(pairs, (list, tuple)) and pairs and all(isinstance(one, tuple) and len(one) == 3 for one in pairs):
        return [(str(a), str(b), bool(same)) for a, b, same in pairs]
    found = frame(pairs)
    for one, other in (("question", "other"), ("a", "b")):
        if {one, other, "same"} <= set(found.columns):
            label = found["same"]
            if not label.map(lambda value: value in (0, 1)).all():
                raise InvalidRequestError(
                    "The column same must be true or false in each row.", details={"parameter": "pairs"}
                )
            return [
                (str(a), str(b), bool(same))
                for a, b, same in zip(found[one], found[other], cast("Any", label), strict=True)
            ]
    there = ", ".join(map(str, found.columns))
    raise InvalidRequestError(
        f"Pairs need the columns question, other, same (or a, b, same); there are {there}.",
        details={"parameter": "pairs"},
    )
