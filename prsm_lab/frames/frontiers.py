"""Which variants are worth their money: none both better and cheaper, and the cheapest that is good enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import pairing, reading
from prsm_lab.frames.contrasting import chosen_scores, figures_of
from prsm_lab.frames.data import missing
from prsm_lab.frames.summary import summarize
from prsm_lab.statistics.paired import difference_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPES: Final[dict[str, str]] = {
    "cost_per_1k": "Float64", "on_frontier": "boolean", "dominated_by": "string", "difference_to_best": "Float64",
    "low": "Float64", "high": "Float64", "within_delta": "boolean", "choice": "boolean",
}  # fmt: skip
"""Columns of `frontier` behind variant and score, in their order."""
_LABEL: Final = "variant of prsm_lab"


def frontier(
    results: pd.DataFrame,
    score: str | None = None,
    *,
    delta: float = 0.02,
    row: str | Sequence[str] | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return one row per variant, best score first: what it costs, what beats it, and whether it is good enough.

    Columns: `variant`, the mean score, `cost_per_1k` (USD), `on_frontier` (nothing is at least as good and as cheap,
    and better in one of them), `dominated_by` (the best that is), `difference_to_best` on the same rows with its
    interval `low` and `high`, `within_delta` (the interval's lower end is no further below the best than delta),
    `choice` (the cheapest of these). A variant whose price is not known is on no frontier and no choice: NA, False.

    The best is the best of these rows; chosen among many variants that are alike, it looks better than it is.

    Args:
        results: What `compare` returned, scored.
        score: Score column, with or without `score_`; default the first.
        delta: How much worse than the best is good enough, in units of the score: 0.02 is 2 points of a share.
        row: Column that names the input row, where neither index nor order say it.
        alpha: Level of the intervals.

    Raises:
        InvalidRequestError: If rows cannot be told, no variant has a score, or an option is wrong.
        NotFoundError: If there is no such score.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "4"}})
    >>> data = [{"q": f"{n} + {4 - n}?", "answer": 4} for n in range(5)]
    >>> found = lab.compare(data, "{q}", models=["gpt-4", "gpt-4o-mini"], client=client, progress=False)
    >>> frontier(lab.score(found, "numeric"), delta=0.5)[["variant", "on_frontier", "choice"]].to_numpy().tolist()
    [['gpt-4', False, False], ['gpt-4o-mini', True, True]]
    """
    if not 0 < alpha < 1:
        raise InvalidRequestError(f"alpha={alpha!r} does not lie between 0 and 1.", details={"parameter": "alpha"})
    if not delta >= 0:
        raise InvalidRequestError(f"delta={delta!r} is no number from 0 on.", details={"parameter": "delta"})
    known = reading.of(results)
    name = chosen_scores(results, score)[0]
    whole = pairing.grid(results, row)
    scores = figures_of(results, name)
    table, there = whole.means(scores), ~np.isnan(scores)
    if not there.any():
        raise InvalidRequestError(
            f"No variant has a {name} in any row.", details={"parameter": "score", "column": name}
        )
    lines = summarize(results.assign(**{_LABEL: known.without_samples().labels(results)}), by=_LABEL)
    priced = dict(zip(lines[_LABEL], lines["cost_per_1k"], strict=True))
    costs = np.array([np.nan if missing(priced[way]) else priced[way] for way in whole.ways])
    sums, counts = (np.bincount(whole.way[there], of, len(whole.ways)) for of in (scores[there], None))
    means = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    best = _best(means, costs)
    made = pd.DataFrame(
        [
            {"variant": way, name: means[n], "cost_per_1k": costs[n], **_standing(n, whole.ways, means, costs),
             **_distance(table[:, n], table[:, best], delta, alpha, itself=n == best)}
            for n, way in enumerate(whole.ways)
        ]
    )  # fmt: skip
    made["choice"] = _chosen(made, name)
    made = made.sort_values(name, ascending=False, kind="stable", ignore_index=True)
    made = made.map(lambda value: None if missing(value) else value)
    made = made.astype({"variant": "string", name: "Float64", **TYPES})[["variant", name, *TYPES]]
    made.attrs["prsm"] = {"simulated": known.simulated}
    return made


def _best(means: Any, costs: Any) -> int:
    """The highest score; of equal ones the cheapest, so that nothing dearer is chosen for being named first."""
    top = np.flatnonzero(means == np.nanmax(means))
    return int(min(top, key=lambda n: np.inf if np.isnan(costs[n]) else costs[n]))


def _standing(at: int, ways: Sequence[str], means: Any, costs: Any) -> dict[str, Any]:
    """Is there one that is at least as good and as cheap, and better in one of them?"""
    if np.isnan(means[at]) or np.isnan(costs[at]):
        return {"on_frontier": None, "dominated_by": None}
    with np.errstate(invalid="ignore"):
        beats = (means >= means[at]) & (costs <= costs[at]) & ((means > means[at]) | (costs < costs[at]))
    over = [int(n) for n in np.flatnonzero(beats)]
    if not over:
        return {"on_frontier": True, "dominated_by": None}
    return {"on_frontier": False, "dominated_by": ways[max(over, key=lambda n: (means[n], -costs[n]))]}


def _distance(values: Any, best: Any, delta: float, alpha: float, *, itself: bool) -> dict[str, Any]:
    if itself:
        return {"difference_to_best": 0.0, "low": 0.0, "high": 0.0, "within_delta": True}
    both = ~np.isnan(values) & ~np.isnan(best)
    if not both.any():
        return {"difference_to_best": None, "low": None, "high": None, "within_delta": None}
    mean, low, high = difference_interval(values[both], best[both], confidence=1 - alpha)
    within = None if np.isnan(low) else bool(low >= -delta)
    return {"difference_to_best": mean, "low": low, "high": high, "within_delta": within}


def _chosen(made: pd.DataFrame, score: str) -> list[bool]:
    """The cheapest that is good enough, the better of equally cheap ones."""
    fit = made[made["within_delta"].eq(True) & made["cost_per_1k"].notna()]
    if fit.empty:
        return [False] * len(made)
    first = fit.sort_values(["cost_per_1k", score], ascending=[True, False], kind="stable").index[0]
    return [index == first for index in made.index]
