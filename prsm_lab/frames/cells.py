"""How a value of a frame is written in a table: money, times, shares, scores and texts. Pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from prsm_lab.frames.data import missing
from prsm_lab.types.shown import money, took

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN: Final = "–"
SHARES: Final = frozenset({"success_rate", "win_rate"})
MEANS: Final = frozenset({"mean", "baseline_mean"})
SIGNED: Final = frozenset({"difference", "difference_to_best", "low", "high", "mde", "cost_difference_per_1k"})
"""Columns of `contrast` and `frontier` that are differences."""
ENDS: Final = frozenset({"low", "high"})
"""Of an interval: of a difference there, of the column `value` in a frame that has one (`judge_audit`)."""


class Cell(NamedTuple):
    """What stands in one place of a table: plain text, not yet made safe."""

    text: str
    pieces: tuple[tuple[bool, str], ...] = ()
    """The text in pieces, those marked that the compared text does not have; empty: it was not compared."""
    tone: float | None = None
    """-1 the worst to 1 the best; None has no colour."""
    soft: bool = False
    """A remark, such as an error where an answer should be."""
    badges: tuple[tuple[str, float | None], ...] = ()
    """What stands below, each with its tone: the scores of an answer."""


class Column(NamedTuple):
    """How one column is written."""

    name: str
    number: bool
    write: Callable[[Any, bool], str]
    """Takes a value that is known, and whether its row is of shares between 0 and 1."""


def column(name: str, values: pd.Series[Any], *, summed: bool, plain: bool = False) -> Column:
    """Return how a column is written, by its name and type.

    Args:
        name: The column's.
        values: Its values.
        summed: Whether a row stands for many answers: then scores between 0 and 1 are shares.
        plain: Whether the ends of its interval are a figure's, not a difference's.
    """
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind):
        return Column(name, number=False, write=lambda value, _: "yes" if value else "no")
    if pd.api.types.is_datetime64_any_dtype(kind):
        return Column(name, number=False, write=lambda value, _: value.strftime("%Y-%m-%d %H:%M:%S"))
    if not pd.api.types.is_numeric_dtype(kind):
        return Column(name, number=False, write=lambda value, _: str(value))
    if name == "cached" and pd.api.types.is_float_dtype(kind):
        return Column(name, number=True, write=lambda value, _: percent(value))
    if plain and name in ENDS:
        return Column(name, number=True, write=lambda value, _: figure(value))
    return Column(name, number=True, write=_number(name, summed=summed))


def _number(name: str, *, summed: bool) -> Callable[[Any, bool], str]:
    """How a column of numbers is written, by its name."""
    if "cost" in name or name.endswith("_usd"):
        return lambda value, _: _signed(value, money) if name in SIGNED else money(value)
    if name.endswith("_ms"):
        return lambda value, _: took(float(value)) or UNKNOWN
    if name in SHARES:
        return lambda value, _: percent(value)
    if name.startswith("p_"):
        return lambda value, _: "<0.001" if value < 0.001 else f"{value:.3f}"
    if name in SIGNED:
        return lambda value, share: points(value) if share else _signed(value, figure)
    if name in MEANS or (summed and name.startswith("score_") and not name.endswith("_na")):
        return lambda value, share: percent(value) if share else figure(value)
    return lambda value, _: figure(value)


def figure(value: float) -> str:
    """Write a number.

    >>> figure(12345), figure(-0.123456), figure(2.0), figure(float("inf"))
    ('12,345', '−0.123', '2', 'inf')
    """
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    if number == int(number) and abs(number) < 1e15:
        return f"{int(number):,}".replace("-", "−")
    return (f"{number:,.1f}" if abs(number) >= 1000 else f"{number:.3g}").replace("-", "−")


def percent(value: float) -> str:
    """Write a share.

    >>> percent(0.5), percent(0.8333)
    ('50%', '83.3%')
    """
    return f"{float(value):.1%}".replace(".0%", "%")


def points(value: float) -> str:
    """Write a difference of shares in percentage points.

    >>> points(0.041), points(-0.02)
    ('+4.1 pt', '−2.0 pt')
    """
    return f"{100 * float(value):+.1f} pt".replace("-", "−")


def _signed(value: float, write: Callable[[float], str]) -> str:
    """With its sign before the currency's."""
    number = float(value)
    return write(0.0) if number == 0 else f"{'−' if number < 0 else '+'}{write(abs(number))}"


def tones(values: pd.Series[Any]) -> list[float | None]:
    """Return the tone of each score: from -1 for 0 to 1 for 1; on any other scale from 0 for the least to 1.

    >>> tones(pd.Series([0.0, 1.0, None])), tones(pd.Series([1, 5, 3]))
    ([-1.0, 1.0, None], [0.0, 1.0, 0.5])
    """
    known = [None if missing(value) or not math.isfinite(float(value)) else float(value) for value in values]
    there = [value for value in known if value is not None]
    if not there:
        return known
    low, high = min(there), max(there)
    if low >= 0 and high <= 1:
        return [None if value is None else 2 * value - 1 for value in known]
    if low == high:
        return [None] * len(known)
    return [None if value is None else (value - low) / (high - low) for value in known]


def scored(name: str) -> bool:
    """Tell whether a column holds scores, or their means."""
    return name.startswith("score_") and not name.endswith(("_na", "_low", "_high", "_error"))


def shares(frame: pd.DataFrame, name: str) -> list[bool]:
    """Tell for each row whether a column is written as a share: the means it belongs to lie all between 0 and 1.

    A column of `contrast` belongs to the means of the same score; `score_x_low` and `score_x_high` to `score_x`.
    """
    if name.startswith("score_"):
        base = name.removesuffix("_low").removesuffix("_high")
        fits = base in frame.columns and bool(between(frame[base]).all())
        return [fits] * len(frame)
    means = [mean for mean in sorted(MEANS) if mean in frame.columns]
    if not means:
        return [False] * len(frame)
    fit = pd.concat([between(frame[mean]) for mean in means], axis=1).all(axis=1)
    if "score" in frame.columns:
        fit = fit.groupby(frame["score"].astype(str).to_numpy()).transform("all")
    return [bool(value) for value in fit]


def between(values: pd.Series[Any]) -> pd.Series[Any]:
    """Tell which values lie between 0 and 1; an unknown one does not speak against it, one that is no number does."""
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return values.isna()
    return values.isna() | values.astype("Float64").between(0, 1).fillna(value=True)
