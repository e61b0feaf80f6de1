"""Long results, laid side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def side_by_side(results: pd.DataFrame, values: str = "response") -> pd.DataFrame:
    """Return one row per input row and one column per variant.

    Args:
        results: What `compare` returned.
        values: The result column to lay out.

    Raises:
        InvalidRequestError: If there is no such column.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.compare(["hi"], "{text}", models=["gpt-4", "claude-3-opus"], client=client, progress=False)
    >>> side_by_side(found).columns.tolist()
    ['text', 'gpt-4', 'claude-3-opus']
    """
    known = reading.of(results)
    name = values if values in results.columns else known.prefix + values
    if name not in results.columns:
        raise InvalidRequestError(
            f"No column {values!r} to lay side by side; there are {', '.join(map(str, results.columns))}.",
            details={"parameter": "values"},
        )
    labels = known.labels(results)
    ways = list(dict.fromkeys(labels))
    parts = [results.iloc[position :: len(ways)] for position in range(len(ways))] or [results]
    _check_whole(results, labels, ways, parts, known.prefix + "model")
    first = parts[0]
    inputs = [c for c in known.inputs(results) if all(_same(first[c], part[c]) for part in parts)]
    wide = first[inputs].copy()
    for way, part in zip(ways, parts, strict=False):
        wide[way] = part[name].array
    wide.attrs = {}
    return wide


def _check_whole(
    results: pd.DataFrame, labels: Sequence[str], ways: Sequence[str], parts: Sequence[pd.DataFrame], model: str
) -> None:
    """An answer must never stand beside another row's question: refuse what was filtered or sorted apart."""
    rows, odd = divmod(len(results), max(1, len(ways)))
    if not odd and list(labels) == list(ways) * rows:
        given = list(results.columns[: list(results.columns).index(model)])
        if (results.attrs.get("prsm") or {}).get("kind") == "infer" or all(
            parts[0].index.equals(part.index) or (given and all(_same(parts[0][c], part[c]) for c in given))
            for part in parts
        ):
            return
    raise InvalidRequestError(
        "The results are not whole: some rows lack a variant, or they were sorted apart. Lay out what compare "
        "returned, before filtering and sorting.",
        details={"parameter": "results"},
    )


def _same(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    return one.reset_index(drop=True).equals(other.reset_index(drop=True))
