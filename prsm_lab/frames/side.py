"""Long results, laid side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading

if TYPE_CHECKING:
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
    if len(results) % max(1, len(ways)):
        raise InvalidRequestError(
            "The results are not whole: some rows lack a variant. Lay out what compare returned, before filtering.",
            details={"parameter": "results"},
        )
    inputs = known.inputs(results)
    wide = results.iloc[:: len(ways)][inputs].copy() if ways else results[inputs].copy()
    for position, way in enumerate(ways):
        wide[way] = results[name].iloc[position :: len(ways)].array
    wide.attrs = {}
    return wide
