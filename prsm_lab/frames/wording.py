"""What a comparison says, in a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_share(table: np.ndarray[Any, Any]) -> bool:
    """Tell whether scores lie between 0 and 1, and are spoken of in points of 100."""
    present = table[~np.isnan(table)]
    return bool(((present >= 0) & (present <= 1)).all())


def verdict(line: Mapping[str, Any], *, alpha: float, adjusted: bool, named: bool) -> str:
    """Return a row of `contrast` as a sentence.

    Args:
        line: The row; `unit` tells whether its figures are shares.
        alpha: Level.
        adjusted: Whether several comparisons were made, so that Holm's p-value is the one that counts.
        named: Whether the score is named, there being several.

    >>> line = {"variant": "B", "baseline": "A", "score": "score_x", "n": 300, "ties": 250, "difference": 0.041,
    ...     "low": 0.012, "high": 0.07, "p_holm": 0.006, "mde": 0.04, "n_needed": 300, "unit": True}
    >>> verdict(line, alpha=0.05, adjusted=True, named=False)
    'B is 4.1 points better than A, 95 % CI 1.2 to 7.0, p = 0.006 after Holm'
    """
    share, rows = bool(line["unit"]), f"{line['n']:,} rows" if line["n"] > 1 else "1 row"
    variant, baseline, difference = line["variant"], line["baseline"], line["difference"]
    where = f" in {line['score'].removeprefix('score_')}" if named else ""
    if line["ties"] == line["n"]:
        return f"no difference shown{where}: {variant} and {baseline} scored the same in all {rows}"
    unit = " points" if share else ""
    ends = "" if math.isnan(line["low"]) else (
        f", {100 * (1 - alpha):g} % CI {figure(line['low'], share)} to {figure(line['high'], share)}"
    )  # fmt: skip
    p_value = line["p_holm"]
    known = "" if math.isnan(p_value) else f", {_chance(p_value)}" + (" after Holm" if adjusted else "")
    if not math.isnan(p_value) and p_value <= alpha:
        up, down = ("better", "worse") if line["score"].startswith("score_") else ("higher", "lower")
        than = f"{up if difference > 0 else down} than {baseline}{where}"
        return f"{variant} is {figure(abs(difference), share)}{unit} {than}{ends}{known}"
    found = f"no difference shown{where}: {variant} minus {baseline} is {figure(difference, share)}{unit}{ends}{known}"
    if math.isnan(line["mde"]):
        return f"{found}; {rows} cannot show any"
    hidden = f"{found}; with {rows}, differences under {figure(line['mde'], share)}{unit} stay hidden"
    needed = line["n_needed"]
    return hidden if needed is None or needed <= line["n"] else f"{hidden}, {_round(needed)} rows would show this one"


def figure(value: float, share: bool) -> str:
    """Write a difference; shares in points of 100.

    >>> figure(-0.041, True), figure(12.345, False)
    ('−4.1', '12.3')
    """
    text = f"{100 * value:.1f}" if share else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def _chance(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _round(count: int) -> str:
    """About so many: two leading figures, rounded up."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"about {math.ceil(count / step) * step:,}" if step > 1 else f"{count}"
