"""How good the answers are, and what that costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.frames import reading
from prsm_lab.frames.data import missing
from prsm_lab.frames.summary import summarize
from prsm_lab.plot import hover, look
from prsm_lab.plot.intervals import of_variant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    import plotly.graph_objects as go

FREE: Final = math.sqrt(10)
"""On a logarithmic axis what costs nothing stands half a decade before the cheapest."""


def scores(results: pd.DataFrame, score: str | None = None) -> go.Figure:
    """Plot each variant's mean score as a bar, with its 95 % interval (Wilson for 0/1 scores, t otherwise).

    Scores that are not only 0 and 1 show their rows too, at most 2,000 a variant: each dot tells what was asked and
    answered.

    Args:
        results: A scored frame.
        score: The score column; default the first.

    Raises:
        InvalidRequestError: If there is no score.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "4"}})
    >>> found = lab.batch([{"q": "2 + 2?", "answer": 4}], "{q}", model="gpt-4", client=client, progress=False)
    >>> scores(lab.score(found, "exact")).data[0].x
    (1.0,)
    """
    import plotly.graph_objects as go

    column = look.score_column(results, score)
    write, ticks = look.scale(results[column])
    figure = go.Figure()
    drawn = [(variant, of_variant(variant.part, column)) for variant in look.variants(results)]
    known = sorted(
        ((variant, found) for variant, found in drawn if found is not None), key=lambda bar: bar[1][0]
    )  # the best on top
    dotted = not set(results[column].dropna().unique()) <= {0.0, 1.0}
    for line, (variant, (mean, low, high)) in enumerate(known):
        sure = "" if math.isnan(low) else f"95 % interval {write(low)} to {write(high)}, "
        figure.add_bar(
            y=[look.wrapped(variant.label)], x=[mean], orientation="h", width=0.6, name=variant.label,
            marker={"color": variant.colour, "opacity": 0.55}, error_x=_whisker(variant, mean, low, high),
            hovertemplate=(
                f"{variant.label}<br>{write(mean)} ({sure}n = {int(variant.part[column].notna().sum())})<extra></extra>"
            ),
        )  # fmt: skip
        end = max(float(variant.part[column].max()) if dotted else 0.0, mean if math.isnan(high) else high)
        look.beside(figure, end, line, f"<b>{f'{mean:.0%}' if ticks else write(mean)}</b>", variant.colour)
    for variant, _ in known if dotted else ():
        _strip(figure, variant, column, write)
    look.dress(figure, results, f"{look.titled(look.words(column))} by variant", "mean with 95 % interval")
    if not known:
        return look.empty(figure, f"Nothing to draw: no row has a score {look.words(column)}.")
    look.lines(figure, [variant.label for variant, _ in known])
    figure.update_xaxes(tickformat=ticks)
    if ticks:
        figure.update_xaxes(range=[0, 1.12], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    return figure


def _whisker(variant: look.Variant, mean: float, low: float, high: float) -> dict[str, Any]:
    return {
        "type": "data", "array": [high - mean], "arrayminus": [mean - low], "color": variant.colour, "thickness": 2,
        "width": 5,
    }  # fmt: skip


def _strip(figure: go.Figure, variant: look.Variant, column: str, write: Callable[[float], str]) -> None:
    """The rows of a variant as dots on its bar: a box of which only the dots are seen."""
    part = variant.part[variant.part[column].notna()]
    if len(part) < 2:
        return
    part = part.iloc[:: max(1, -(-len(part) // look.POINTS))]
    values = part[column].astype(float)
    figure.add_box(
        x=values, y=[look.wrapped(variant.label)] * len(part), orientation="h", name=variant.label, boxpoints="all",
        jitter=0.7, pointpos=0, width=0.6, hoveron="points", fillcolor=look.CLEAR, line={"color": look.CLEAR},
        marker={"color": variant.colour, "size": 4, "opacity": 0.5},
        hovertext=hover.headed([write(value) for value in values], variant.label, part),
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def cost_quality(results: pd.DataFrame, score: str | None = None) -> go.Figure:
    """Plot each variant's mean score against its cost per 1,000 rows, with 95 % intervals of the score.

    A line joins the variants that no other beats: none is both as cheap and as good. Costs that span two decades or
    more have a logarithmic axis, on which what is free stands half a decade before the cheapest.

    Args:
        results: A scored frame.
        score: The score column; default the first.

    Raises:
        InvalidRequestError: If there is no score.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": "4"}})
    >>> found = lab.batch([{"q": "2 + 2?", "answer": 4}], "{q}", model="gpt-4", client=client, progress=False)
    >>> cost_quality(lab.score(found, "exact")).data[0].y
    (1.0,)
    """
    import plotly.graph_objects as go

    column = look.score_column(results, score)
    write, ticks = look.scale(results[column])
    found = [(variant, of_variant(variant.part, column), _cost(variant.part)) for variant in look.variants(results)]
    unpriced = [variant.label for variant, mean, cost in found if mean is not None and cost is None]
    drawn = [(variant, mean, cost) for variant, mean, cost in found if mean is not None and cost is not None]
    best = unbeaten([(cost, mean[0]) for _, mean, cost in drawn])
    place, free = _places([cost for _, _, cost in drawn])
    figure = go.Figure()
    for n, (variant, (mean, low, high), cost) in enumerate(drawn):
        beaten = "" if n in best else "<br>another is as cheap and as good"
        figure.add_scatter(
            x=[place(cost)], y=[mean], mode="markers", name=variant.label, cliponaxis=False,
            marker={
                "size": 14, "symbol": variant.symbol, "color": variant.colour, "opacity": 1 if n in best else 0.6,
                "line": {"width": 1.5, "color": "rgba(255,255,255,0.9)"},
            },
            error_y={**_whisker(variant, mean, low, high), "thickness": 1.5, "width": 4},
            hovertemplate=f"{variant.label}<br>{write(mean)} at {_usd(cost)} per 1,000 rows{beaten}<extra></extra>",
        )  # fmt: skip
    missed = f" · not shown, price unknown: {', '.join(unpriced)}" if unpriced else ""
    name = look.words(column)
    look.dress(figure, results, "Quality against cost", f"{name}, mean with 95 % interval{missed}")
    if not drawn:
        return look.empty(figure, f"Nothing to draw: no variant has both a score {name} and a known cost.")
    look.legend(figure)
    _frontier(figure, [drawn[n] for n in best], place)
    _axes(figure, [cost for _, _, cost in drawn], free)
    figure.update_yaxes(title_text=f"mean {name}", tickformat=ticks)
    if ticks:
        ends = [end for _, ends in zip(drawn, (mean for _, mean, _ in drawn), strict=True) for end in ends]
        known = [end for end in ends if not math.isnan(end)]
        figure.update_yaxes(range=[max(0.0, min(known) - 0.05), 1.02])
    return figure


def unbeaten(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the positions of the points that no other beats, cheapest first; equal points stay both.

    Args:
        points: Cost and score of each.

    >>> unbeaten([(1.0, 0.5), (2.0, 0.9), (3.0, 0.8), (0.5, 0.5)])
    [3, 1]
    """

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    kept = [n for n, point in enumerate(points) if not any(beats(other, point) for other in points)]
    return sorted(kept, key=lambda n: points[n])


def _places(costs: Sequence[float]) -> tuple[Callable[[float], float], float | None]:
    """Where a cost stands on the axis, and where what is free does on a logarithmic one."""
    paid = [cost for cost in costs if cost > 0]
    if not look.decades(paid):
        return (lambda cost: cost), None
    free = min(paid) / FREE
    return (lambda cost: cost if cost > 0 else free), free


def _axes(figure: go.Figure, costs: Sequence[float], free: float | None) -> None:
    figure.update_xaxes(title_text="USD per 1,000 rows", tickprefix="$")
    if free is None:
        dearest = max(costs) or 1.0
        figure.update_xaxes(range=[-0.04 * dearest, 1.08 * dearest])
        return
    figure.update_xaxes(type="log", dtick=1)
    if min(costs) == 0:
        low, high = (math.log10(cost) for cost in (free * FREE, max(costs)))
        ticks = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
        names = ["free", *(f"${tick:g}" for tick in ticks)]
        figure.update_xaxes(tickvals=[free, *ticks], ticktext=names, tickprefix="")


def _frontier(
    figure: go.Figure,
    best: Sequence[tuple[look.Variant, tuple[float, float, float], float]],
    place: Callable[[float], float],
) -> None:
    """The line is drawn last and lies below: where there is one point there is none."""
    if len({(cost, mean[0]) for _, mean, cost in best}) < 2:
        return
    figure.add_scatter(
        x=[place(cost) for _, _, cost in best], y=[mean[0] for _, mean, _ in best], mode="lines", zorder=-1,
        line={"color": look.INK, "width": 1.5, "dash": "dot"}, name="frontier", showlegend=True, hoverinfo="skip",
    )  # fmt: skip


def _usd(cost: float) -> str:
    return f"${cost:,.4f}"


def _cost(part: pd.DataFrame) -> float | None:
    cost = summarize(part, by=reading.of(part).prefix + "model")["cost_per_1k"].iloc[0]
    return None if missing(cost) else float(cost)
