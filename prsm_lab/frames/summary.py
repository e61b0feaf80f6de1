"""Results in one row per variant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import pairing, reading
from prsm_lab.frames.data import missing
from prsm_lab.statistics import intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


def summarize(
    results: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    interval: Literal["auto", "bootstrap"] = "auto",
    cluster: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row per variant, best first score first.

    Columns: `n` rows, `failed`, `success_rate`, the mean of each `score_*` over the rows that have one, the ends of its
    interval, `…_low` and `…_high` (`…_na` counts rows without a score, where there are any), `cost` (USD in all; each
    answer counted once, however many rows it fills), `cost_per_1k` (USD per 1,000 rows), `unpriced`, `latency_p50_ms`,
    `latency_p95_ms`, `latency_p99_ms` and `ttft_p50_ms` (linear interpolation), `prompt_tokens`, `completion_tokens`,
    `tokens_per_s`, `cached` share, `other_model` (rows answered by another model than was asked). Latencies and rates
    are of answers that no cache served, each counted once.

    Args:
        results: What `infer`, `batch` or `compare` returned, scored or not.
        by: Columns that tell variants apart; default model, prompt and whatever a grid varied (not samples).
        confidence: Of the intervals. Wilson's for scores of 0 and 1, Student's for others. Where several answers to one
            input row come together (samples, or a `by` that leaves a variant's column out) the row is a cluster, and
            intervals are robust against its answers agreeing; NA where it cannot be told which samples belong together.
        interval: `"bootstrap"` for bias-corrected and accelerated bootstrap intervals (10,000 samples).
        cluster: Column whose equal values mark rows that depend on each other, e.g. questions on one document.
        seed: Of the bootstrap.

    Raises:
        NotFoundError: If a column of `by`, or `cluster`, is not there.
        InvalidRequestError: If `confidence` or `interval` is none, `cluster` is empty in a row, or a score is called as
            the end of another's interval.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.compare(["a", "b"], "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    >>> summarize(found)[["model", "n", "success_rate"]].to_dict("list")
    {'model': ['gpt-4', 'gpt-4o'], 'n': [2, 2], 'success_rate': [1.0, 1.0]}
    """
    known = reading.of(results)
    keys = _keys(known, by)
    for key in keys:
        if key not in results.columns:
            raise NotFoundError(f"No column {key!r} to summarise by.", details={"parameter": "by"})
    scores = reading.score_columns(results)
    _check_names(scores)
    trust = _trust(results, known, keys, confidence=confidence, interval=interval, cluster=cluster, seed=seed)
    rows = []
    grouped = results.groupby(keys, sort=False, dropna=False, observed=True)
    group = grouped.ngroup().to_numpy()
    for n, (label, part) in enumerate(grouped):
        values = label if isinstance(label, tuple) else (label,)
        rows.append({**dict(zip(keys, values, strict=True)), **_line(part, known, scores, trust.of(group == n))})
    empty = {**dict.fromkeys(keys), **_line(results.iloc[:0], known, scores, trust)}  # no rows have the same columns
    made = _typed(pd.DataFrame(rows or [empty]).iloc[: len(rows)], keys)
    if scores and rows:
        made = made.sort_values(scores[0], ascending=False, kind="stable", ignore_index=True)
    made.attrs["prsm"] = {"simulated": known.simulated}
    return made


_COUNTS = frozenset({"n", "failed", "unpriced", "prompt_tokens", "completion_tokens", "other_model"})


def _typed(made: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Counts are nullable integers, everything else that was computed nullable floats."""
    figures = [name for name in made.columns if name not in keys]
    whole = {name for name in figures if name in _COUNTS or str(name).endswith("_na")}
    return made.astype({name: "Int64" if name in whole else "Float64" for name in figures})


def _keys(known: reading.Reading, by: str | Sequence[str] | None) -> list[str]:
    if by is None:
        return [known.prefix + name for name in known.variant_columns if name != "sample"]
    return [by] if isinstance(by, str) else list(by)


class _Trust(NamedTuple):
    """How intervals are made: their confidence, a seed for the bootstrap's, which rows depend on each other."""

    confidence: float
    seed: int | None
    clusters: np.ndarray[Any, Any] | None
    unknown: bool = False
    """Whether rows depend on each other and it is not known which."""

    def of(self, at: np.ndarray[Any, Any]) -> _Trust:
        """The same for some of the rows."""
        return self if self.clusters is None else self._replace(clusters=self.clusters[at])

    def ends(self, scores: np.ndarray[Any, Any] | None) -> tuple[float | None, float | None]:
        """The ends of the interval of a mean; None where there are none."""
        if self.unknown or scores is None:
            return None, None
        found = intervals.mean_interval(scores, clusters=self.clusters, confidence=self.confidence, seed=self.seed)
        low, high = (None, None) if found is None else (found.low, found.high)
        return (None if missing(low) else low), (None if missing(high) else high)


def _trust(
    results: pd.DataFrame,
    known: reading.Reading,
    keys: Sequence[str],
    *,
    confidence: float,
    interval: str,
    cluster: str | None,
    seed: int,
) -> _Trust:
    if not 0 < confidence < 1:
        raise InvalidRequestError(
            f"confidence={confidence!r} does not lie between 0 and 1.", details={"parameter": "confidence"}
        )
    if interval not in ("auto", "bootstrap"):
        raise InvalidRequestError(
            f"interval={interval!r} is neither 'auto' nor 'bootstrap'.", details={"parameter": "interval"}
        )
    made = _Trust(confidence, seed if interval == "bootstrap" else None, None)
    if cluster is not None:
        return made._replace(clusters=pairing.clusters_of(results, cluster).to_numpy())
    mixed = [name for name in known.variant_columns if known.prefix + name not in keys]
    if not any(known(results, name).nunique(dropna=False) > 1 for name in mixed):
        return made
    try:
        return made._replace(clusters=pairing.row_keys(results).to_numpy())
    except InvalidRequestError:  # rows that cannot be told to belong together stand alone, but samples never do
        return made._replace(unknown="sample" in mixed)


def _check_names(scores: Sequence[str]) -> None:
    for name in scores:
        for end in (f"{name}_low", f"{name}_high"):
            if end in scores:
                raise InvalidRequestError(
                    f"The score {end!r} has the name of an end of the interval of {name!r}; rename it.",
                    details={"parameter": "results", "column": end},
                )


def _line(part: pd.DataFrame, known: reading.Reading, scores: Sequence[str], trust: _Trust) -> dict[str, Any]:
    answered = part[known(part, "error_code").isna() & known(part, "response").notna()]
    paid = answered.drop_duplicates(known.prefix + "inference_id")
    costs = known(paid, "cost")
    asked = paid[~known(paid, "cached").fillna(False).astype(bool)]
    live, first = (known(asked, name).dropna().astype(float) for name in ("latency_ms", "ttft_ms"))
    made: dict[str, Any] = {
        "n": len(part),
        "failed": len(part) - len(answered),
        "success_rate": len(answered) / len(part) if len(part) else None,
    }
    for name in scores:
        mean = made[name] = _mean(part[name])
        figures = None if mean is None or math.isinf(mean) else reading.figures(part[name])
        made[f"{name}_low"], made[f"{name}_high"] = trust.ends(figures)
        if lacking := int(part[name].isna().sum()):
            made[f"{name}_na"] = lacking
    whole = bool(len(costs)) and not costs.isna().all()
    per_row = known(answered, "cost")
    completion = known(paid, "completion_tokens")
    said, seconds = known(asked, "completion_tokens"), known(asked, "latency_ms").astype("Float64") / 1000
    timed = said.notna() & seconds.notna() & (seconds > 0)
    return {
        **made,
        "cost": float(costs.sum()) if whole else None,
        "cost_per_1k": float(per_row.mean() * 1000) if whole else None,
        "unpriced": int(costs.isna().sum()),
        **{f"latency_p{p}_ms": float(live.quantile(p / 100)) if len(live) else None for p in (50, 95, 99)},
        "ttft_p50_ms": float(first.quantile(0.5)) if len(first) else None,
        "prompt_tokens": _sum(known(paid, "prompt_tokens")),
        "completion_tokens": _sum(completion),
        "tokens_per_s": float(said[timed].sum() / seconds[timed].sum()) if timed.any() else None,
        "cached": _mean(known(answered, "cached")),
        "other_model": sum(other_model(answered, known)),
    }


def _mean(values: pd.Series[Any]) -> float | None:
    present = values.dropna()
    return float(present.astype(float).mean()) if len(present) else None


def _sum(values: pd.Series[Any]) -> int | None:
    return int(values.sum()) if values.notna().any() else None


def other_model(results: pd.DataFrame, known: reading.Reading) -> list[bool]:
    """Return for each row whether another model answered than was asked, by the name that served."""
    from prsm_lab import catalog

    return [
        isinstance(asked, str) and isinstance(served, str) and not _same(asked, served, catalog)
        for asked, served in zip(known(results, "model"), known(results, "served_model"), strict=True)
    ]


def _same(asked: str, served: str, catalog: Any) -> bool:
    """Is the served name the asked one, one of its ids, or a dated edition of it?"""
    plain = served.removeprefix("simulated/").removeprefix("mock/")
    try:
        model = catalog.find(asked)
    except NotFoundError:
        return True  # a model of one's own may call itself anything
    if model.provider not in ("openai", "anthropic", "huggingface"):
        return True
    names = (model.name, model.id, *model.aliases)
    return any(
        plain == name or (plain.startswith(f"{name}-") and plain[len(name) + 1 :][:4].isdigit()) for name in names
    )
