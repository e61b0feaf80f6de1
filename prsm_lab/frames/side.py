"""Long results, laid side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def side_by_side(results: pd.DataFrame, values: str | Sequence[str] = "response") -> pd.DataFrame:
    """Return one row per input row and one column per variant.

    Args:
        results: What `compare` returned.
        values: The result column to lay out; of several the first has the variant's name, the others have theirs
            behind it: `gpt-4`, `gpt-4 · score_exact`. `lab.show` puts these below the answer.

    Raises:
        InvalidRequestError: If there is no such column.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.compare(["hi"], "{text}", models=["gpt-4", "claude-3-opus"], client=client, progress=False)
    >>> side_by_side(found).columns.tolist()
    ['text', 'gpt-4', 'claude-3-opus']
    """
    known = reading.of(results)
    names = [_column(results, known, value) for value in ([values] if isinstance(values, str) else values)]
    if not names:
        raise InvalidRequestError("values=[] names no column to lay side by side.", details={"parameter": "values"})
    labels = known.labels(results)
    ways = list(dict.fromkeys(labels))
    parts = [results.iloc[position :: len(ways)] for position in range(len(ways))] or [results]
    _check_whole(results, labels, ways, parts, known.prefix + "model")
    first = parts[0]
    inputs = [c for c in known.inputs(results) if all(_same(first[c], part[c]) for part in parts)]
    wide = first[inputs].copy()
    laid: dict[str, dict[str, str]] = {}
    for way, part in zip(ways, parts, strict=False):
        laid[way] = {}
        for name in names:
            column = f"{way} · {name}" if laid[way] else way
            laid[way][name.removeprefix(known.prefix)] = column
            wide[column] = part[name].array
    played = [way for way, part in zip(ways, parts, strict=False) if reading.of(part).simulated]
    wide.attrs = {"prsm": {"kind": "side_by_side", "ways": laid, "simulated": played}}
    return wide


def _column(results: pd.DataFrame, known: reading.Reading, value: str) -> str:
    name = value if value in results.columns else known.prefix + value
    if name not in results.columns:
        raise InvalidRequestError(
            f"No column {value!r} to lay side by side; there are {', '.join(map(str, results.columns))}.",
            details={"parameter": "values"},
        )
    return name


def ways_of(wide: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return the variants of what `side_by_side` returned, and for each what was laid out and in which column.

    Empty for any other frame; a column that was dropped since is left out.
    """
    notes = wide.attrs.get("prsm") or {}
    if notes.get("kind") != "side_by_side":
        return {}
    there = {
        way: {value: column for value, column in group.items() if column in wide.columns}
        for way, group in notes["ways"].items()
    }
    return {way: group for way, group in there.items() if group}


def simulated(wide: pd.DataFrame) -> list[str]:
    """Return the variants of what `side_by_side` returned whose answers are simulated."""
    return list(wide.attrs["prsm"].get("simulated", ())) if ways_of(wide) else []


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
