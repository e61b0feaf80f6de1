"""Every variant against a baseline, on the same rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import pairing, reading, wording
from prsm_lab.statistics import paired

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPES: Final[dict[str, str]] = {
    "variant": "string", "baseline": "string", "score": "string", "n": "Int64", "lost": "Int64", "mean": "Float64",
    "baseline_mean": "Float64", "difference": "Float64", "low": "Float64", "high": "Float64", "p_value": "Float64",
    "p_holm": "Float64", "test": "string", "wins": "Int64", "ties": "Int64", "losses": "Int64",
    "effect_size": "Float64", "mde": "Float64", "n_needed": "Int64", "cost_difference_per_1k": "Float64",
    "verdict": "string",
}  # fmt: skip
"""Columns of `contrast`, in their order."""


def contrast(
    results: pd.DataFrame,
    baseline: str | None = None,
    scores: str | Sequence[str] | None = None,
    *,
    by: str | Sequence[str] | None = None,
    row: str | Sequence[str] | None = None,
    cluster: str | None = None,
    alpha: float = 0.05,
    test: Literal["auto", "mcnemar", "permutation", "wilcoxon", "bootstrap"] = "auto",
    draws: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every variant with the baseline on the rows that both have scores of; one row per variant and score.

    Columns: `variant`, `baseline`, `score`, `n` paired rows, `lost` rows (failed, or without a score on either side),
    `mean`, `baseline_mean`, `difference`, its interval `low` and `high`, `p_value`, `p_holm` (adjusted for all rows of
    this table), `test`, `wins`, `ties`, `losses` (rows), `effect_size` (mean difference in its standard deviations,
    Cohen's dz), `mde` (smallest difference that so many rows show with 80 % power), `n_needed` (rows that would show
    the difference found with 80 % power), `cost_difference_per_1k` (USD per 1,000 rows), `verdict` in words.

    Scores of 0 and 1 have McNemar's exact test and Newcombe's interval, others a paired permutation test and Student's
    interval. Samples of one row count as one answer, their mean. What could not be compared is NA, `verdict` says why.

    Args:
        results: What `compare` returned, scored; or several results below each other.
        baseline: Label of the variant to compare with (`gpt-4`, or `gpt-4 · brief`); default the first.
        scores: Score columns, with or without `score_`, or other columns of numbers; default all scores.
        by: Columns that tell variants apart; default what `compare` varied, but samples.
        row: Column that names the input row, where neither index nor order say it.
        cluster: Column whose equal values mark input rows that depend on each other, e.g. questions on one document:
            whole clusters are turned or drawn, and the interval is cluster-robust.
        alpha: Level of intervals and verdicts.
        test: `auto` as above, `mcnemar`, `permutation`, `wilcoxon`, or `bootstrap` (interval too).
        draws: Permutations or bootstrap samples.
        seed: Of the draws; equal seeds give equal figures.

    Raises:
        InvalidRequestError: If there is one variant only, no row is shared, rows cannot be told, or an option is wrong.
        NotFoundError: If the baseline or a column is not there.

    >>> import prsm_lab as lab
    >>> answers = {"gpt-4": {"content": "4"}, "gpt-4o": {"content": "5"}}
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers)
    >>> data = [{"q": f"{n} + {4 - n}?", "answer": 4} for n in range(10)]
    >>> found = lab.compare(data, "{q}", models=["gpt-4o", "gpt-4"], client=client, progress=False)
    >>> contrast(lab.score(found, "numeric"))["verdict"].item()
    'gpt-4 is 100.0 points better than gpt-4o, 95 % CI 60.8 to 100.0, p = 0.002'
    """
    _check(alpha, draws)
    known = reading.of(results)
    columns = chosen_scores(results, scores)
    whole = pairing.grid(results, row, by)
    home = _baseline(whole, baseline)
    asked = whole.asked()
    if not (asked.sum(axis=1)[asked[:, home]] > 1).any():
        raise InvalidRequestError(
            f"No input row was asked of {whole.ways[home]!r} and of another variant too: there is nothing to compare. "
            "Give what compare returned, or name with row= the column that tells input rows.",
            details={"parameter": "results"},
        )
    clusters = None if cluster is None else whole.clusters(pairing.clusters_of(results, cluster), cluster)
    costs = whole.means(figures_of(results, known.prefix + "cost"))
    tables = {name: whole.means(figures_of(results, name)) for name in columns}
    rows: list[dict[str, Any]] = []
    for way, label in enumerate(whole.ways):
        if way == home:
            continue
        for name, table in tables.items():
            both = ~np.isnan(table[:, way]) & ~np.isnan(table[:, home])
            found = paired.compare_pairs(
                table[both, way], table[both, home], clusters=None if clusters is None else clusters[both],
                test=test, alpha=alpha, draws=draws, seed=seed,
            )  # fmt: skip
            union = int((asked[:, way] | asked[:, home]).sum())
            rows.append(
                {
                    "variant": label, "baseline": whole.ways[home], "score": name, "lost": union - found.n,
                    **found._asdict(), "cost_difference_per_1k": _dearer(costs[:, way], costs[:, home]),
                    "verdict": _silent(label, whole.ways[home], name, table[:, way], table[:, home]),
                    "unit": wording.is_share(table),
                }
            )  # fmt: skip
    made = _laid_out(rows, alpha, scores=len(columns))
    made.attrs["prsm"] = {"simulated": known.simulated}
    return made


def chosen_scores(results: pd.DataFrame, scores: str | Sequence[str] | None) -> list[str]:
    """Return the names of the score columns that are meant.

    Raises:
        NotFoundError: If there are none, or one is not there.
    """
    every = reading.score_columns(results)
    if scores is None:
        if not every:
            raise NotFoundError(
                "No scores to compare; add some with lab.score(results, 'exact').", details={"parameter": "scores"}
            )
        return every
    made = []
    for name in [scores] if isinstance(scores, str) else list(scores):
        found = next((one for one in (f"score_{name}", name) if one in results.columns), None)
        if found is None:
            raise NotFoundError(
                f"No score {name!r}; there are {', '.join(every) or 'none'}.", details={"parameter": "scores"}
            )
        made.append(found)
    return made


def figures_of(results: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a column's numbers, NaN where there is none.

    Raises:
        InvalidRequestError: If it holds no numbers.
    """
    found = reading.figures(results[name])
    if found is None:
        raise InvalidRequestError(
            f"Column {name!r} holds {results[name].dtype}, not numbers.",
            details={"parameter": "scores", "column": name},
        )
    return found


def _check(alpha: float, draws: int) -> None:
    if not 0 < alpha < 1:
        raise InvalidRequestError(f"alpha={alpha!r} does not lie between 0 and 1.", details={"parameter": "alpha"})
    if draws < 1:
        raise InvalidRequestError(f"draws={draws!r} is less than 1.", details={"parameter": "draws"})


def _baseline(whole: pairing.Grid, baseline: str | None) -> int:
    if baseline is not None and baseline not in whole.ways:
        raise NotFoundError(
            f"No variant {baseline!r}; there are {', '.join(map(repr, whole.ways))}.", details={"parameter": "baseline"}
        )
    if len(whole.ways) < 2:
        there = f"only {whole.ways[0]!r}" if whole.ways else "none"
        raise InvalidRequestError(
            f"There is nothing to compare with: of variants there is {there}.", details={"parameter": "results"}
        )
    return 0 if baseline is None else whole.ways.index(baseline)


def _dearer(costs: Any, others: Any) -> float | None:
    """Of 1,000 rows whose price is known on both sides."""
    gaps = costs - others
    return float(np.nanmean(gaps) * 1000) if not np.isnan(gaps).all() else None


def _silent(label: str, baseline: str, name: str, values: Any, others: Any) -> str | None:
    """Why nothing was compared, if so."""
    for who, scores in ((label, values), (baseline, others)):
        if np.isnan(scores).all():
            return f"not compared: {who} has no {name} in any row"
    if np.isnan(values + others).all():
        return f"not compared: no row has {name} of both {label} and {baseline}"
    return None


def _laid_out(rows: list[dict[str, Any]], alpha: float, *, scores: int) -> pd.DataFrame:
    for line, adjusted in zip(rows, paired.holm([line["p_value"] for line in rows]), strict=True):
        line["baseline_mean"], line["p_holm"] = line.pop("other_mean"), adjusted
        line["verdict"] = line["verdict"] or wording.verdict(
            line, alpha=alpha, adjusted=len(rows) > 1, named=scores > 1
        )
    made = pd.DataFrame(rows)[list(TYPES)]
    blank = made.map(lambda value: None if isinstance(value, float) and math.isnan(value) else value)
    nothing = (made["n"] == 0).to_numpy()
    blank.loc[nothing, ["wins", "ties", "losses", "test"]] = None
    return blank.astype(TYPES)
