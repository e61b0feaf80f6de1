"""Results in one row per variant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from prsm_lab.errors import NotFoundError
from prsm_lab.frames import reading

if TYPE_CHECKING:
    from collections.abc import Sequence


def summarize(results: pd.DataFrame, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Return one row per variant, best first score first.

    Columns: `n` rows, `failed`, `success_rate`, the mean of each `score_*` over the rows that have one (`…_na` counts
    those that do not, where there are any), `cost` (USD in all; each answer counted once, however many rows it fills),
    `cost_per_1k` (USD per 1,000 rows), `unpriced`, `latency_p50_ms`, `latency_p95_ms`, `latency_p99_ms` and
    `ttft_p50_ms` (linear interpolation), `prompt_tokens`, `completion_tokens`, `tokens_per_s`, `cached` share,
    `other_model` (rows answered by another model than was asked). Latencies and rates are of answers that no cache
    served, each counted once.

    Args:
        results: What `infer`, `batch` or `compare` returned, scored or not.
        by: Columns that tell variants apart; default model, prompt and whatever a grid varied (not samples).

    Raises:
        NotFoundError: If a column of `by` is not there.

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
    scores = [c for c in results.columns if str(c).startswith("score_") and not str(c).endswith("_error")]
    rows = []
    for label, part in results.groupby(keys, sort=False, dropna=False, observed=True):
        values = label if isinstance(label, tuple) else (label,)
        rows.append({**dict(zip(keys, values, strict=True)), **_line(part, known, scores)})
    empty = {**dict.fromkeys(keys), **_line(results.iloc[:0], known, scores)}  # so that no rows have the same columns
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


def _line(part: pd.DataFrame, known: reading.Reading, scores: Sequence[str]) -> dict[str, Any]:
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
        made[name] = _mean(part[name])
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
        "cached": float(known(answered, "cached").astype("Float64").mean()) if len(answered) else None,
        "other_model": _others(answered, known),
    }


def _mean(values: pd.Series[Any]) -> float | None:
    present = values.dropna()
    return float(present.astype(float).mean()) if len(present) else None


def _sum(values: pd.Series[Any]) -> int | None:
    return int(values.sum()) if values.notna().any() else None


def _others(answered: pd.DataFrame, known: reading.Reading) -> int:
    """Rows whose answer came from another model than was asked, by the name that served."""
    from prsm_lab import catalog

    count = 0
    for asked, served in zip(known(answered, "model"), known(answered, "served_model"), strict=True):
        if isinstance(asked, str) and isinstance(served, str):
            count += not _same(asked, served, catalog)
    return count


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
