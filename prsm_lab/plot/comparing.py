"""Every variant against the baseline: a forest of differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing
from prsm_lab.plot import hover, look

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import plotly.graph_objects as go

GAP: Final = 80
"""Pixels between the panes of two scores."""
NEEDED: Final = ("variant", "baseline", "score", "difference", "low", "high")


class Line(NamedTuple):
    """One difference as it is drawn."""

    name: str
    difference: float
    low: float
    high: float
    p: float | None
    sure: bool
    told: str


def contrast(
    results: pd.DataFrame, baseline: str | None = None, scores: Any = None, *, alpha: float = 0.05, **options: Any
) -> go.Figure:
    """Plot every variant's difference to the baseline with its interval: a forest with a line at nought.

    A filled mark is a difference whose p-value after Holm's correction is below `alpha`; a hollow one is not shown to
    be there.

    Args:
        results: What `lab.contrast` returned; or a scored comparison, which is contrasted first.
        baseline: Given to `lab.contrast`, as are `scores` and `options`; a contrast frame is drawn as it is.
        scores: Score columns.
        alpha: What a p-value must be below; the same as `lab.contrast` was asked with.
        options: `by`, `row`, `cluster`, `test`, `draws`, `seed`.

    Raises:
        InvalidRequestError: If options are given with a frame that is contrasted already.

    >>> import pandas as pd
    >>> made = pd.DataFrame({"variant": ["b"], "baseline": ["a"], "score": ["score_exact"], "mean": [0.9],
    ...                      "baseline_mean": [0.8], "difference": [0.1], "low": [0.02], "high": [0.18]})
    >>> contrast(made).data[0].x
    (0.1,)
    """
    made, simulated = _contrasted(results, baseline, scores, alpha, options)
    names = list(dict.fromkeys(made["score"].astype(str)))
    parts = {name: _lines(made[made["score"].astype(str) == name], alpha) for name in names}
    drawn = {name: [one for one in lines if not math.isnan(one.difference)] for name, lines in parts.items()}
    drawn = {name: lines for name, lines in drawn.items() if lines}
    missed = [one.name for lines in parts.values() for one in lines if math.isnan(one.difference)]
    figure = _panes(drawn)
    bases = ", ".join(look.short(str(one)) for one in dict.fromkeys(made["baseline"].dropna())) or "the baseline"
    note = f"paired difference with {1 - alpha:.0%} interval; filled: p < {alpha:g} after Holm"
    note += f" · not known: {', '.join(dict.fromkeys(missed))}" if missed else ""
    note += " · simulated answers" if simulated else ""
    look.frame(figure, f"Difference to {bases}", note)
    if not drawn:
        return look.empty(figure, "Nothing to draw: no difference is known.")
    for row, (name, lines) in enumerate(drawn.items(), 1):
        _forest(figure, lines, made[made["score"].astype(str) == name], row)
        if len(drawn) == 1:
            figure.update_xaxes(title_text=f"difference in {look.words(name)}")
    return figure


def _panes(drawn: dict[str, list[Line]]) -> go.Figure:
    """One pane a score, each as high as its lines need, its name above it where there are several."""
    from plotly.subplots import make_subplots

    heights = [
        look.pitch(look.wrapped(one.name) for one in lines) * (len(lines) + 0.4) for lines in drawn.values()
    ] or [100.0]
    high = sum(heights) + GAP * (len(heights) - 1)
    several = len(drawn) > 1
    figure = make_subplots(
        rows=len(heights), cols=1, row_heights=heights, vertical_spacing=GAP / high if several else 0.0,
        subplot_titles=[f"<b>{look.words(name)}</b>" for name in drawn] if several else None,
    )  # fmt: skip
    figure.update_annotations(x=0, xanchor="left", font_size=14)
    top = 106 if several else 86
    figure.update_layout(height=high + top + 68, margin={"t": top})
    return figure


def _contrasted(
    results: pd.DataFrame, baseline: str | None, scores: Any, alpha: float, options: dict[str, Any]
) -> tuple[pd.DataFrame, bool]:
    """The differences, and whether simulated answers are among what they come from."""
    if set(NEEDED) <= set(results.columns):
        if baseline is not None or scores is not None or options:
            raise InvalidRequestError(
                "This frame is contrasted already: give baseline=, scores= and other options to lab.contrast, or give "
                "the scored results instead.",
                details={"parameter": "results"},
            )
        return results, bool((results.attrs.get("prsm") or {}).get("simulated"))
    import pandas as pd

    known = reading.of(results).without_samples()
    if len(set(known.labels(results))) < 2:
        return pd.DataFrame(columns=list(NEEDED)), known.simulated
    from prsm_lab.frames.contrasting import contrast as contrasted

    made = contrasted(results, baseline, scores, alpha=alpha, **options)
    return made, known.simulated


def _lines(made: pd.DataFrame, alpha: float) -> list[Line]:
    """Smallest difference first, so that the largest is on top."""
    write = _written(made)
    found = []
    for row in made.to_dict("records"):
        difference, low, high = (math.nan if missing(row[n]) else float(row[n]) for n in ("difference", "low", "high"))
        said_p: Any = row.get("p_holm", row.get("p_value"))
        p = None if missing(said_p) else float(said_p)
        name = look.short(str(row["variant"]))
        counts = [f"{key} {int(row[key]):,}" for key in ("n", "wins", "ties", "losses") if not missing(row.get(key))]
        said = [
            f"<b>{name}</b>: {write(difference)} ({write(low)} to {write(high)})", ", ".join(counts),
            hover.folded(row["verdict"], 400) if not missing(row.get("verdict")) else "",
        ]  # fmt: skip
        sure = p is not None and p < alpha
        found.append(Line(name, difference, low, high, p, sure, "<br>".join(filter(None, said))))
    return sorted(found, key=lambda one: one.difference)


def _shares(made: pd.DataFrame) -> bool:
    means = [float(value) for name in ("mean", "baseline_mean") if name in made for value in made[name].dropna()]
    return bool(means) and all(0 <= value <= 1 for value in means)


def _written(made: pd.DataFrame) -> Callable[[float], str]:
    """Differences of shares are percentage points."""
    if _shares(made):
        return lambda value: "–" if math.isnan(value) else f"{100 * value:+.1f} pt".replace("-", "−")
    return lambda value: "–" if math.isnan(value) else f"{value:+.3g}".replace("-", "−")


def _forest(figure: go.Figure, lines: list[Line], made: pd.DataFrame, row: int) -> None:
    write = _written(made)
    labels: list[str] = []
    for n, one in enumerate(lines):
        labels.append(look.wrapped(one.name) + " " * labels.count(one.name))
        colour = look.INK if not one.sure else look.COLOURS[0] if one.difference > 0 else look.COLOURS[2]
        figure.add_scatter(
            x=[one.difference], y=[n], mode="markers", name=one.name, row=row, col=1, hovertext=[one.told],
            hovertemplate="%{hovertext}<extra></extra>",
            marker={
                "size": 13, "symbol": "square" if one.sure else "square-open", "color": colour,
                "line": {"width": 2, "color": colour},
            },
            error_x={
                "type": "data", "array": [one.high - one.difference], "arrayminus": [one.difference - one.low],
                "color": colour, "thickness": 2, "width": 6,
            },
        )  # fmt: skip
        p = "" if one.p is None else "  p < 0.001" if one.p < 0.001 else f"  p = {one.p:.2g}"
        figure.add_annotation(
            x=1, xref="x domain" if row == 1 else f"x{row} domain", y=n, yref="y" if row == 1 else f"y{row}",
            text=f"<b>{write(one.difference)}</b>{p}", showarrow=False, xanchor="left", xshift=10,
            font={"color": colour, "size": 13},
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": look.INK, "width": 1.5}, layer="below", row=row, col=1)
    ends = [0.0, *(end for one in lines for end in (one.difference, one.low, one.high) if not math.isnan(end))]
    reach = max((max(ends) - min(ends)) * 0.06, 1e-9)
    figure.update_xaxes(
        range=[min(ends) - reach, max(ends) + reach], tickformat=".0%" if _shares(made) else "",
        row=row, col=1,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(lines))), ticktext=labels, range=[-0.6, len(lines) - 0.4], showgrid=False,
        ticklabelstandoff=10, row=row, col=1,
    )  # fmt: skip
    figure.update_layout(margin_r=190)
