"""Figures of result frames: plotly, one look, readable on light and dark pages.

Figures of simulated answers say so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing
from prsm_lab.frames.summary import summarize

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["cost_quality", "latency", "scores"]

COLOURS: Final = ("#2a78d6", "#e0712c", "#1f9d6b", "#b3478f", "#8a6d1d", "#5d5fc4", "#c23b4b", "#3a8f9e")
"""Told apart by people with any common kind of colour vision, and on light and dark ground."""
SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "star", "pentagon", "hexagon")
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
    figure = go.Figure()
    lowest = 1.0
    unpriced: list[str] = []
    for label, colour, part in _variants(results):
        line = _line(part)
        found, cost = interval(part[column]), line["cost_per_1k"]
        if found is None or cost is None:
            unpriced += [] if found is None else [label]
            continue
        mean, low, high = found
        lowest = min(lowest, low)
        figure.add_scatter(
            x=[cost], y=[mean], mode="markers", showlegend=True,
            marker={"size": 14, "symbol": SYMBOLS[len(figure.data) % len(SYMBOLS)], "color": colour, "line": {"width": 1.5, "color": "rgba(255,255,255,0.9)"}},
            error_y={"type": "data", "array": [high - mean], "arrayminus": [mean - low], "color": colour, "thickness": 1.5, "width": 4},
            name=label, hovertemplate=f"{_safe(label)}<br>%{{y:.1%}} at $%{{x:,.4f}} per 1,000 rows<extra></extra>",
        )  # fmt: skip
    missing = f" · not shown, price unknown: {_safe(', '.join(unpriced))}" if unpriced else ""
    _dress(figure, results, "Quality against cost", f"{_words(column)}, mean with 95 % interval{missing}")
    figure.update_layout(showlegend=True, legend={"x": 1.02, "y": 1, "font": {"size": 13}, "itemsizing": "constant"})
    dearest = max((trace.x[0] for trace in figure.data), default=0.0) or 1.0
    figure.update_xaxes(title="USD per 1,000 rows", tickprefix="$", range=[-0.04 * dearest, 1.08 * dearest])
    figure.update_yaxes(title=f"mean {_words(column)}", tickformat=".0%", range=[max(0.0, lowest - 0.05), 1.02])
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
    figure = go.Figure()
    drawn = [
        (label, colour, interval(part[column]), int(part[column].notna().sum()))
        for label, colour, part in _variants(results)
    ]
    known = [(label, colour, *figures, n) for label, colour, figures, n in drawn if figures is not None]
    for label, colour, mean, low, high, n in sorted(known, key=lambda bar: bar[2]):
        figure.add_bar(
            y=[label], x=[mean], orientation="h", marker_color=colour, opacity=0.88, width=0.62,
            error_x={"type": "data", "array": [high - mean], "arrayminus": [mean - low], "color": INK, "thickness": 1.6, "width": 5},
            hovertemplate=f"{_safe(label)}<br>{mean:.1%} (95 % interval {low:.1%} to {high:.1%}, n = {n})<extra></extra>",
        )  # fmt: skip
        figure.add_annotation(
            x=0.012,
            y=label,
            text=f"<b>{mean:.0%}</b>",
            showarrow=False,
            xanchor="left",
            font={"color": "white", "size": 13},
        )
    _dress(figure, results, f"{_words(column)} by variant".capitalize(), "mean with 95 % interval")
    figure.update_layout(height=150 + 46 * max(1, len(known)), barmode="overlay")
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(showgrid=False, automargin=True, ticklabelstandoff=10)
    return figure


def latency(results: pd.DataFrame) -> go.Figure:
    """Plot how long answers took, per variant: box from 25 to 75 %, line at the median, whiskers to 5 and 95 %.

    Args:
        results: What `infer`, `batch` or `compare` returned.
    """
    import plotly.graph_objects as go

    figure, known = go.Figure(), reading.of(results)
    parts = []
    for label, colour, part in _variants(results):
        live = known(part, "latency_ms")[~known(part, "cached").fillna(False).astype(bool)].dropna().astype(float)
        if len(live):
            parts.append((label, colour, live / 1000))
    for label, colour, seconds in sorted(parts, key=lambda p: -float(p[2].median())):
        low, first, middle, third, high = (float(seconds.quantile(q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95))
        figure.add_box(
            y=[label], q1=[first], median=[middle], q3=[third], lowerfence=[low], upperfence=[high], orientation="h",
            marker_color=colour, line={"width": 1.6}, name=label, width=0.55, hoverinfo="x",
        )  # fmt: skip
        figure.add_annotation(
            x=high, y=label, text=f"  {_seconds(middle)}", showarrow=False, xanchor="left", font={"color": colour}
        )
    _dress(figure, results, "Latency", "median, quartiles, 5th to 95th percentile; waits and retries left out")
    figure.update_layout(height=150 + 46 * max(1, len(parts)))
    figure.update_xaxes(title="seconds", rangemode="tozero")
    figure.update_yaxes(showgrid=False, automargin=True, ticklabelstandoff=10)
    return figure


# ------------------------------------------------------------------------------------------------------ figures


def interval(values: pd.Series[Any]) -> tuple[float, float, float] | None:
    """Return mean and 95 % interval of scores: Wilson's for 0/1 scores, Student's otherwise; None without scores.

    Wilson, E. B. (1927), JASA 22. Student's interval takes rows as independent.

    >>> import pandas as pd
    >>> [round(figure, 3) for figure in interval(pd.Series([1.0] * 8 + [0.0] * 2))]
    [0.8, 0.49, 0.943]
    """
    present = values.dropna().astype(float)
    n = len(present)
    if n == 0:
        return None
    mean = float(present.mean())
    if set(present.unique()) <= {0.0, 1.0}:
        z = 1.959963984540054
        centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
        return mean, max(0.0, centre - half), min(1.0, centre + half)
    if n == 1:
        return mean, mean, mean
    half = _t(n - 1) * float(present.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


_T_QUANTILES: Final = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
"""scipy.stats.t.ppf(0.975, 1 … 9)."""


def _t(degrees: int) -> float:
    """The 97.5 % quantile of Student's t: tabled, then the normal one by its Cornish-Fisher expansion (to 1e-5)."""
    if degrees <= len(_T_QUANTILES):
        return _T_QUANTILES[degrees - 1]
    z, v = 1.959963984540054, float(degrees)
    return (
        z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )  # fmt: skip


def _line(part: pd.DataFrame) -> dict[str, Any]:
    line = {str(name): value for name, value in summarize(part).iloc[0].items()}
    cost = line.get("cost_per_1k")
    return {**line, "cost_per_1k": None if cost is None or missing(cost) else float(cost)}


def _variants(results: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Each variant with its colour; samples of one variant belong together."""
    known = reading.of(results)
    plain = known._replace(variant_columns=tuple(n for n in known.variant_columns if n != "sample"))
    labels = plain.labels(results)
    names = list(dict.fromkeys(labels))
    parts = [results[[label == name for label in labels]] for name in names]
    return [
        (f"{name} (simulated)" if reading.of(part).simulated else name, COLOURS[n % len(COLOURS)], part)
        for n, (name, part) in enumerate(zip(names, parts, strict=True))
    ]


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
    return column.removeprefix("score_").replace("_", " ")


def _safe(label: str) -> str:
    """Labels may come from data: no markup."""
    return label.replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _dress(figure: go.Figure, results: pd.DataFrame, title: str, what: str) -> None:
    note = f"{what} · {len(results):,} answers"
    figure.update_layout(
        title={"text": f"<b>{title}</b><br><span style='font-size:13px;color:{INK}'>{note}</span>", "x": 0, "xref": "paper", "y": 0.95, "yanchor": "top"},
        font={"family": "Inter, Segoe UI, system-ui, sans-serif", "size": 14, "color": INK},
        title_font={"size": 18}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", showlegend=False,
        margin={"l": 70, "r": 30, "t": 86, "b": 60}, height=440, hoverlabel={"align": "left"}, template="none",
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID, zeroline=False, ticks="outside", tickcolor=GRID, title_standoff=12)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, title_standoff=12)
