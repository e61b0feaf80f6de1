"""How long answers take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from prsm_lab.frames import reading
from prsm_lab.plot import hover, look

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

MARKED = (0.5, 0.95)


def latency(results: pd.DataFrame) -> go.Figure:
    """Plot how long answers took, per variant: the share of answers that came within a time.

    The median and the 95th percentile are marked (linear interpolation, as in `summarize`). An answer that fills many
    rows counts once, one from the cache not at all; waits and retries are left out. A variant with more than 2,000
    answers is drawn by every so many of them. Times that span two decades or more have a logarithmic axis. A point
    tells what was asked and answered.

    Args:
        results: What `infer`, `batch` or `compare` returned.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.batch(["a", "b"], "{text}", model="gpt-4", client=client, progress=False)
    >>> latency(found).data[0].y.tolist()
    [0.5, 1.0]
    """
    import plotly.graph_objects as go

    drawn = [(variant, *_live(variant.part)) for variant in look.variants(results)]
    drawn = sorted((one for one in drawn if len(one[1])), key=lambda one: float(one[1].median()))
    figure = go.Figure()
    for variant, times, part in drawn:
        _curve(figure, variant, times, part)
    look.dress(figure, results, "Latency", "share answered within a time; waits and retries left out")
    if not drawn:
        return look.empty(figure, "Nothing to draw: no answer of a provider has a known latency.")
    figure.update_xaxes(title_text="seconds")
    figure.update_yaxes(title_text="share of answers", tickformat=".0%", range=[0, 1.03])
    for share in MARKED:
        figure.add_hline(y=share, line={"color": look.INK, "width": 1, "dash": "dot"}, layer="below")
        figure.add_annotation(
            x=1, xref="paper", y=share, text=f"p{share * 100:.0f}", showarrow=False, xanchor="left", xshift=4,
            font={"size": 12, "color": look.INK},
        )  # fmt: skip
    ends = [float(end) for _, times, _ in drawn for end in (times.min(), times.max())]
    if look.decades(ends):
        figure.update_xaxes(type="log", dtick=1)
    else:
        figure.update_xaxes(rangemode="tozero")
    look.legend(figure)
    figure.update_layout(legend_x=1.06 if figure.layout.legend.x else 0)
    return figure


def _live(part: pd.DataFrame) -> tuple[pd.Series[Any], pd.DataFrame]:
    """Seconds of the answers that a provider gave, shortest first, each once; and their rows."""
    known = reading.of(part)
    once = part.drop_duplicates(known.prefix + "inference_id")  # one answer may fill many rows
    cached = known(once, "cached").fillna(False).astype(bool)
    live = once[~cached & known(once, "latency_ms").notna()]
    times = known(live, "latency_ms").astype(float).reset_index(drop=True).sort_values(kind="stable")
    return times / 1000, live.iloc[times.index]


def thinned(n: int, most: int = look.POINTS) -> list[int]:
    """Return at most so many positions of n, evenly, the first and the last among them.

    >>> thinned(3), thinned(7, 3)
    ([0, 1, 2], [0, 3, 6])
    """
    return list(range(n)) if n <= most else [int(at) for at in np.linspace(0, n - 1, most).round()]


def _curve(figure: go.Figure, variant: look.Variant, times: pd.Series[Any], part: pd.DataFrame) -> None:
    kept = thinned(len(times))
    x, y = times.to_numpy()[kept], (np.asarray(kept) + 1) / len(times)
    middle, late = (float(times.quantile(share)) for share in MARKED)
    told = hover.headed([look.seconds(at) for at in x], variant.label, part.iloc[kept])
    figure.add_scatter(
        x=x, y=y, mode="lines+markers" if len(kept) <= 60 else "lines", hovertext=told, legendgroup=variant.label,
        name=f"{variant.label}: p50 {look.seconds(middle)}, p95 {look.seconds(late)}", showlegend=True,
        line={"color": variant.colour, "width": 2, "shape": "hv", "dash": variant.dash},
        marker={"size": 4, "color": variant.colour}, hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[middle, late], y=list(MARKED), mode="markers", showlegend=False, legendgroup=variant.label, zorder=1,
        name=variant.label, hovertext=[f"p50 {look.seconds(middle)}", f"p95 {look.seconds(late)}"],
        marker={
            "size": 11, "symbol": variant.symbol, "color": variant.colour, "line": {"width": 1.5, "color": "white"},
        },
        hovertemplate=f"{variant.label}<br>%{{hovertext}}<extra></extra>",
    )  # fmt: skip
