"""Figures of result frames: plotly, one look, readable on light and dark pages.

Figures of simulated answers say so.
"""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab import render
from prsm_lab.engine import timeframe
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing
from prsm_lab.frames.summary import summarize
from prsm_lab.statistics import intervals

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["cost_quality", "latency", "scores", "usage"]

COLOURS: Final = ("#2a78d6", "#e0712c", "#1f9d6b", "#b3478f", "#8a6d1d", "#5d5fc4", "#c23b4b", "#3a8f9e")
"""Told apart by people with any common kind of colour vision, and on light and dark ground."""
SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "star", "pentagon", "hexagon")
LONGEST_LABEL: Final = 80
FEW_DAYS: Final = 10
"""Each has its name."""
DAY_MS: Final = 86_400_000
INK: Final = "#7c8492"
GRID: Final = "rgba(124,132,146,0.22)"


def cost_quality(results: pd.DataFrame, score: str | None = None) -> go.Figure:
    """Plot each variant's mean score against its cost per 1,000 rows, with 95 % intervals of the score.

    Args:
        results: A scored frame.
        score: The score column; default the first.

    Raises:
        InvalidRequestError: If there is no score.
    """
    import plotly.graph_objects as go

    column = _score(results, score)
    write, ticks = _scale(results[column])
    figure = go.Figure()
    ends: list[float] = []
    unpriced: list[str] = []
    for variant in _variants(results):
        found, cost = interval(variant.part[column]), _cost(variant.part)
        if found is None or cost is None:
            unpriced += [] if found is None else [variant.label]
            continue
        mean, low, high = found
        ends += [end for end in found if not math.isnan(end)]
        figure.add_scatter(
            x=[cost], y=[mean], mode="markers", showlegend=True, name=variant.label, cliponaxis=False,
            marker={"size": 14, "symbol": variant.symbol, "color": variant.colour, "line": {"width": 1.5, "color": "rgba(255,255,255,0.9)"}},
            error_y={"type": "data", "array": [high - mean], "arrayminus": [mean - low], "color": variant.colour, "thickness": 1.5, "width": 4},
            hovertemplate=f"{variant.label}<br>{write(mean)} at $%{{x:,.4f}} per 1,000 rows<extra></extra>",
        )  # fmt: skip
    missing = f" · not shown, price unknown: {', '.join(unpriced)}" if unpriced else ""
    _dress(figure, results, "Quality against cost", f"{_words(column)}, mean with 95 % interval{missing}")
    _legend(figure)
    dearest = max((trace.x[0] for trace in figure.data), default=0.0) or 1.0
    figure.update_xaxes(title="USD per 1,000 rows", tickprefix="$", range=[-0.04 * dearest, 1.08 * dearest])
    figure.update_yaxes(title=f"mean {_words(column)}", tickformat=ticks)
    if ticks:
        figure.update_yaxes(range=[max(0.0, min(ends, default=0.0) - 0.05), 1.02])
    return figure


def scores(results: pd.DataFrame, score: str | None = None) -> go.Figure:
    """Plot each variant's mean score as a bar, with its 95 % interval (Wilson for 0/1 scores, t otherwise).

    Args:
        results: A scored frame.
        score: The score column; default the first.

    Raises:
        InvalidRequestError: If there is no score.
    """
    import plotly.graph_objects as go

    column = _score(results, score)
    write, ticks = _scale(results[column])
    figure = go.Figure()
    drawn = [(variant, interval(variant.part[column])) for variant in _variants(results)]
    known = [(variant, found) for variant, found in drawn if found is not None]
    for variant, (mean, low, high) in sorted(known, key=lambda bar: bar[1][0]):
        sure = "" if math.isnan(low) else f"95 % interval {write(low)} to {write(high)}, "
        figure.add_bar(
            y=[_wrapped(variant.label)], x=[mean], orientation="h", width=0.6, hovertemplate=(
                f"{variant.label}<br>{write(mean)} ({sure}n = {int(variant.part[column].notna().sum())})<extra></extra>"
            ),
            marker={"color": variant.colour, "opacity": 0.55},
            error_x={"type": "data", "array": [high - mean], "arrayminus": [mean - low], "color": variant.colour, "thickness": 2, "width": 5},
        )  # fmt: skip
        _beside(
            figure,
            mean if math.isnan(high) else max(high, 0.0),
            variant,
            f"<b>{f'{mean:.0%}' if ticks else write(mean)}</b>",
        )
    _dress(figure, results, f"{_words(column)[:1].upper()}{_words(column)[1:]} by variant", "mean with 95 % interval")
    _lines(figure, len(known))
    figure.update_xaxes(tickformat=ticks)
    if ticks:
        figure.update_xaxes(range=[0, 1.12], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    return figure


def latency(results: pd.DataFrame) -> go.Figure:
    """Plot how long answers took, per variant: box from 25 to 75 %, line at the median, whiskers to 5 and 95 %.

    Args:
        results: What `infer`, `batch` or `compare` returned.
    """
    import plotly.graph_objects as go

    figure, known = go.Figure(), reading.of(results)
    drawn = []
    for variant in _variants(results):
        once = variant.part.drop_duplicates(known.prefix + "inference_id")  # one answer may fill many rows
        cached = known(once, "cached").fillna(False).astype(bool)
        live = known(once, "latency_ms")[~cached].dropna().astype(float)
        if len(live):
            drawn.append((variant, live / 1000))
    for variant, seconds in sorted(drawn, key=lambda box: -float(box[1].median())):
        low, first, middle, third, high = (float(seconds.quantile(q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95))
        figure.add_box(
            y=[_wrapped(variant.label)], q1=[first], median=[middle], q3=[third], lowerfence=[low], upperfence=[high],
            orientation="h", marker_color=variant.colour, line={"width": 1.6}, name=variant.label, width=0.55,
            hoverinfo="x",
        )  # fmt: skip
        _beside(figure, high, variant, _seconds(middle))
    _dress(figure, results, "Latency", "median, quartiles, 5th to 95th percentile; waits and retries left out")
    _lines(figure, len(drawn))
    figure.update_xaxes(title="seconds", rangemode="tozero")
    return figure


# ------------------------------------------------------------------------------------------------------ figures


def usage(figures: pd.DataFrame) -> go.Figure:
    """Plot what was spent and asked, by day, model, provider or key.

    Args:
        figures: `client.inference.analytics(…, group_by="day").to_frame()`, or by another name. Where no cost is known
            there is no bar; days on which nothing was asked have their place.

    Raises:
        InvalidRequestError: If the frame is not grouped.
    """
    from plotly.subplots import make_subplots

    by = next((name for name in timeframe.GROUPS if name in figures), None)
    if by is None:
        raise InvalidRequestError("These figures are of no group: analytics(…, group_by=…).to_frame().")
    names = [_safe("–" if missing(name) else str(name)) for name in figures[by]]
    wide = {"width": 0.8 * DAY_MS} if by == "day" else {"width": 0.5}
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12, row_heights=[0.6, 0.4])
    figure.add_bar(
        x=names, y=figures["total_cost"].astype("Float64"), marker_color=COLOURS[0], row=1, col=1, **wide,
        hovertemplate="%{x}<br>$%{y:,.4f}<extra></extra>",
    )  # fmt: skip
    figure.add_bar(
        x=names, y=figures["total_requests"], marker_color=COLOURS[2], row=2, col=1, **wide,
        hovertemplate="%{x}<br>%{y:,} requests<extra></extra>",
    )  # fmt: skip
    unpriced = int(figures["unpriced_requests"].sum()) if len(figures) else 0
    notes = ["UTC"] if by == "day" else []
    notes += [f"{unpriced:,} requests of unknown cost are left out"] if unpriced else []
    _frame(figure, f"Usage by {by}", " · ".join(notes))
    if by == "day":
        few = {"dtick": DAY_MS} if len(figures) and _days(names) <= FEW_DAYS else {}
        figure.update_xaxes(type="date", tickformat="%b %-d", **few)
    else:
        figure.update_xaxes(type="category")
    figure.update_yaxes(title_text="USD", tickprefix="$", row=1, col=1)
    figure.update_yaxes(title_text="requests", row=2, col=1)
    return figure


def _days(names: list[str]) -> int:
    """From the first to the last."""
    return (date.fromisoformat(max(names)) - date.fromisoformat(min(names))).days + 1


def interval(values: pd.Series[Any]) -> tuple[float, float, float] | None:
    """Return mean and 95 % interval of scores: Wilson's for 0/1 scores, Student's otherwise; None without scores.

    A single score that is neither 0 nor 1 has no interval: its ends are NaN.

    >>> import pandas as pd
    >>> [round(figure, 3) for figure in interval(pd.Series([1.0] * 8 + [0.0] * 2))]
    [0.8, 0.49, 0.943]
    """
    return intervals.mean_interval(values.dropna().astype(float).to_numpy())


class Variant(NamedTuple):
    """One variant as it is drawn; its label is safe to show."""

    label: str
    colour: str
    symbol: str
    part: pd.DataFrame


def _variants(results: pd.DataFrame) -> list[Variant]:
    """Each variant with its look; samples of one variant belong together."""
    known = reading.of(results)
    plain = known._replace(variant_columns=tuple(n for n in known.variant_columns if n != "sample"))
    labels = plain.labels(results)
    made: list[Variant] = []
    for n, name in enumerate(dict.fromkeys(labels)):
        part = results[[label == name for label in labels]]
        short = name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
        shown = _safe(short) + (" (simulated)" if reading.of(part).simulated else "")
        if any(shown == other.label for other in made):
            shown += f" #{n + 1}"
        symbol = SYMBOLS[(n + n // len(COLOURS)) % len(SYMBOLS)]  # the ninth has the first one's colour, not its shape
        made.append(Variant(shown, COLOURS[n % len(COLOURS)], symbol, part))
    return made


def _cost(part: pd.DataFrame) -> float | None:
    cost = summarize(part, by=reading.of(part).prefix + "model")["cost_per_1k"].iloc[0]
    return None if missing(cost) else float(cost)


def _scale(values: pd.Series[Any]) -> tuple[Callable[[float], str], str | None]:
    """How to write scores, and plotly's tick format: shares in per cent, other figures as they are."""
    present = values.dropna().astype(float)
    if present.between(0, 1).all():
        return (lambda value: f"{value:.1%}".replace(".0%", "%")), ".0%"
    return (lambda value: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"), None


def _score(results: pd.DataFrame, score: str | None) -> str:
    columns = [str(c) for c in results.columns if str(c).startswith("score_") and not str(c).endswith("_error")]
    chosen = score if score is None or score in columns else f"score_{score}"
    if not columns or (chosen is not None and chosen not in columns):
        raise InvalidRequestError(
            f"No score {score or ''!r} to plot; add one with lab.score(results, 'exact'). There are: "
            f"{', '.join(columns) or 'none'}.",
            details={"parameter": "score"},
        )
    return chosen or columns[0]


def _words(column: str) -> str:
    return _safe(column.removeprefix("score_").replace("_", " "))


def _safe(label: str) -> str:
    """Labels may come from data: no markup, no template."""
    plain = render.plain(label)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")


def _wrapped(label: str) -> str:
    """A long label on two lines, parted behind the model's name."""
    head, dot, rest = label.partition(" · ")
    return f"{head}<br>{rest}" if dot and len(label) > 30 else label


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _beside(figure: go.Figure, x: float, variant: Variant, text: str) -> None:
    """Write a figure to the right of what was drawn last, where it is read on any ground.

    The line is given by its number: plotly takes a name that looks like a number for one.
    """
    figure.add_annotation(
        x=x, y=len(figure.data) - 1, text=text, showarrow=False, xanchor="left", xshift=8,
        font={"color": variant.colour, "size": 13},
    )  # fmt: skip


def _lines(figure: go.Figure, n: int) -> None:
    """One line a variant, by name: names that look like numbers are names too."""
    figure.update_layout(height=150 + 46 * max(1, n))
    figure.update_yaxes(type="category", showgrid=False, automargin=True, ticklabelstandoff=10)


def _legend(figure: go.Figure) -> None:
    """At the right, or below where the names are long."""
    legend: dict[str, Any] = {"x": 1.02, "y": 1, "font": {"size": 13}, "itemsizing": "constant"}
    if max((len(trace.name) for trace in figure.data), default=0) > 34:
        below = 20 * len(figure.data)
        legend |= {"x": 0, "y": -78 / 294, "yanchor": "top"}
        figure.update_layout(height=448 + below, margin={"b": 68 + below})
    figure.update_layout(showlegend=True, legend=legend)


def _dress(figure: go.Figure, results: pd.DataFrame, title: str, what: str) -> None:
    known = reading.of(results)
    failed = int(known(results, "response").isna().sum())
    _frame(figure, title, f"{what} · {len(results) - failed:,} answers" + (f", {failed:,} failed" if failed else ""))


def _frame(figure: go.Figure, title: str, note: str) -> None:
    figure.update_layout(
        title={"text": f"<b>{title}</b><br><span style='font-size:13px;color:{INK}'>{note}</span>", "x": 0, "xref": "container", "pad": {"l": 14, "t": 18}, "y": 1, "yref": "container", "yanchor": "top"},
        font={"family": "Inter, Segoe UI, system-ui, sans-serif", "size": 14, "color": INK},
        title_font={"size": 18}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", showlegend=False,
        margin={"l": 70, "r": 30, "t": 86, "b": 68}, height=448, hoverlabel={"align": "left"}, template="none",
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID, zeroline=False, ticks="outside", tickcolor=GRID, title_standoff=12)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, title_standoff=12)
