"""The interval of a mean score, as figures draw it: the one that `summarize` gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import pairing, reading
from prsm_lab.statistics import intervals

if TYPE_CHECKING:
    import pandas as pd


def interval(values: pd.Series[Any]) -> tuple[float, float, float] | None:
    """Return mean and 95 % interval of scores: Wilson's for 0/1 scores, Student's otherwise; None without scores.

    A single score that is neither 0 nor 1 has no interval: its ends are NaN.

    >>> import pandas as pd
    >>> [round(figure, 3) for figure in interval(pd.Series([1.0] * 8 + [0.0] * 2))]
    [0.8, 0.49, 0.943]
    """
    return _ends(values, None)


def of_variant(part: pd.DataFrame, column: str) -> tuple[float, float, float] | None:
    """Return mean and 95 % interval of one variant's score; samples of a row depend on each other.

    Args:
        part: The variant's rows.
        column: The score's.
    """
    if "sample" not in reading.of(part).variant_columns:
        return interval(part[column])
    try:
        rows = pairing.row_keys(part)
    except InvalidRequestError:  # it cannot be told which samples are of one row
        found = interval(part[column])
        return None if found is None else (found[0], math.nan, math.nan)
    return _ends(part[column], rows)


def _ends(values: pd.Series[Any], rows: pd.Series[Any] | None) -> tuple[float, float, float] | None:
    scores = reading.figures(values)
    found = None if scores is None else intervals.mean_interval(scores, clusters=rows)
    return None if found is None else (found.mean, found.low, found.high)
