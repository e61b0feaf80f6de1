"""One look for all figures: template, colours, labels, notes; readable on light and dark pages."""

from __future__ import annotations

import html
import textwrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab import render
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading
from prsm_lab.types.shown import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    import plotly.graph_objects as go

COLOURS: Final = ("#2a78d6", "#a6951e", "#e52958", "#1ea684", "#8f2cf2", "#995a1c", "#45734b", "#995c99")
"""At least 17 apart (CIE76) in any pair, for normal and for simulated red-, green- and blue-blind sight (Machado,
Oliveira & Fernandes 2009, IEEE TVCG 15, severity 1), and 3:1 against white, #111 and #1e1e1e (WCAG 2.2, 1.4.11)."""
SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "star", "pentagon", "hexagon")
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
INK: Final = "#757d8b"
"""Text: 4.1:1 on white, 4.5:1 on #111."""
GRID: Final = "rgba(117,125,139,0.22)"
GROUND: Final = "rgba(117,125,139,0.12)"
DARK: Final = "#1d2430"
PALE: Final = "#f2f4f7"
"""What is written on an opaque ground is read on any page: on the dark one 14:1."""
CLEAR: Final = "rgba(0,0,0,0)"
LONGEST_LABEL: Final = 80
PARTED: Final = 30
"""Characters from which on a label stands on lines of its own."""
WIDE: Final = 34
"""Characters of a line beside an axis: half of a narrow notebook is left for what is drawn."""
NOTE: Final = 96
"""Characters of a line below the title; there is room for two."""
POINTS: Final = 2_000
"""Marks per trace; more are not told apart on a screen."""
DECADES: Final = 100.0
"""A range whose end is this many times its start is drawn on a logarithmic axis."""


class Variant(NamedTuple):
    """One variant as it is drawn; its label is safe to show."""

    label: str
    colour: str
    symbol: str
    dash: str
    part: pd.DataFrame


def variants(results: pd.DataFrame) -> list[Variant]:
    """Return each variant with its look; samples of one variant belong together."""
    known = reading.of(results)
    labels = known.without_samples().labels(results)
    made: list[Variant] = []
    for n, name in enumerate(dict.fromkeys(labels)):
        part = results[[label == name for label in labels]]
        shown = short(name) + (" (simulated)" if reading.of(part).simulated else "")
        if any(wrapped(shown) == wrapped(other.label) for other in made):  # on an axis they are told by that
            shown += f" #{n + 1}"
        made.append(Variant(shown, *dress_of(n), part))
    return made


def dress_of(n: int) -> tuple[str, str, str]:
    """Return the nth colour, symbol and dash: the ninth has the first one's colour, not its shape."""
    around = n // len(COLOURS)
    return COLOURS[n % len(COLOURS)], SYMBOLS[(n + around) % len(SYMBOLS)], DASHES[around % len(DASHES)]


def safe(label: object) -> str:
    """Return text for plotly, which reads some markup and templates: labels may come from data, or from a model."""
    plain = render.plain(label)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")


def short(name: str) -> str:
    """Return a safe label of bearable length."""
    return safe(name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…")


def words(column: str) -> str:
    """Return a score's name as words."""
    return safe(column.removeprefix("score_").replace("_", " "))


def titled(text: str) -> str:
    """Return text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


def wrapped(label: str, width: int = WIDE) -> str:
    """Return a safe label on lines of bearable width: parted behind the model's name, then wherever it must be.

    >>> wrapped("gpt-4 · careful"), wrapped("claude-haiku-4-5 · temperature=0.7 · careful")
    ('gpt-4 · careful', 'claude-haiku-4-5<br>temperature=0.7 · careful')
    """
    whole = html.unescape(label)  # an entity is one character, and is not parted
    head, dot, rest = whole.partition(" · ")
    parts = [head, rest] if dot and len(whole) > PARTED else [whole]
    return "<br>".join(safe(line) for part in parts for line in _lines(part, width) or [part])


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, drop_whitespace=True, break_on_hyphens=False)


def pitch(labels: Iterable[str]) -> int:
    """Return the pixels from line to line that wrapped labels need."""
    return max([46, *(19 * (label.count("<br>") + 1) + 8 for label in labels)])


def seconds(value: float) -> str:
    """Write a time given in seconds.

    >>> seconds(0.0421), seconds(3.14), seconds(240)
    ('42 ms', '3.1 s', '240 s')
    """
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def scale(values: pd.Series[Any]) -> tuple[Callable[[float], str], str | None]:
    """Return how to write scores, and plotly's tick format: shares in per cent, other figures as they are."""
    present = values.dropna().astype(float)
    if present.between(0, 1).all():
        return (lambda value: f"{value:.1%}".replace(".0%", "%")), ".0%"
    return (lambda value: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"), None


def score_column(results: pd.DataFrame, score: str | None) -> str:
    """Return the column of a score that is given by its name or not at all: then the first.

    Raises:
        InvalidRequestError: If it is not there.
    """
    columns = [str(c) for c in reading.score_columns(results)]
    chosen = score if score is None or score in columns else f"score_{score}"
    if not columns or (chosen is not None and chosen not in columns):
        raise InvalidRequestError(
            f"No score {score or ''!r} to plot; add one with lab.score(results, 'exact'). There are: "
            f"{', '.join(columns) or 'none'}.",
            details={"parameter": "score"},
        )
    return chosen or columns[0]


def decades(values: Iterable[float]) -> bool:
    """Tell whether values are all above nought and span so much that a straight axis would hide the small ones."""
    found = list(values)
    return bool(found) and min(found) > 0 and max(found) / min(found) >= DECADES


# -------------------------------------------------------------------------------------------------- the figure


def template() -> go.layout.Template:
    """Return what all figures share: transparent ground, grey ink, thin grid."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": GRID, "linecolor": GRID, "zerolinecolor": INK, "zeroline": False, "ticks": "outside",
        "tickcolor": GRID, "automargin": True, "title": {"standoff": 12, "font": {"size": 14}},
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "colorway": COLOURS, "font": {"family": "Inter, Segoe UI, system-ui, sans-serif", "size": 14, "color": INK},
            "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR, "showlegend": False, "xaxis": axis,
            "yaxis": axis | {"ticks": ""}, "height": 448, "margin": {"l": 70, "r": 30, "t": 86, "b": 68},
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "bgcolor": DARK, "font": {"size": 13, "color": PALE}},
            "title": {
                "x": 0, "xref": "container", "pad": {"l": 14, "t": 18}, "y": 1, "yref": "container", "yanchor": "top",
                "font": {"size": 18},
            },
        }
    )  # fmt: skip


def frame(figure: go.Figure, title: str, note: str) -> None:
    """Give a figure the look, its title and a note below it, of two lines at most; both are safe already."""
    lines = textwrap.wrap(html.unescape(note), NOTE, max_lines=2, placeholder=" …", break_on_hyphens=False)
    small = f"<span style='font-size:13px;color:{INK}'>{'<br>'.join(map(safe, lines))}</span>"
    figure.update_layout(template=template(), title={"text": f"<b>{title}</b><br>{small}", "pad": {"l": 14, "t": 18}})


def dress(figure: go.Figure, results: pd.DataFrame, title: str, what: str) -> None:
    """Give the look to a figure of results, and say how many answers it stands on."""
    response = reading.of(results)(results, "response")
    failed = int(response.isna().sum())
    unanswered = f", {failed:,} failed" if failed else ""
    frame(figure, title, f"{what} · {counted(len(results) - failed, 'answer')}{unanswered}")


def empty(figure: go.Figure, why: str) -> go.Figure:
    """Say in the middle of a figure why nothing is drawn, and hide its axes."""
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_layout(height=280, showlegend=False)
    figure.add_annotation(
        text=why, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 15, "color": INK}
    )
    return figure


def beside(figure: go.Figure, x: float, line: int, text: str, colour: str) -> None:
    """Write a figure to the right of what stands in a line.

    The line is given by its number: plotly takes a name that looks like a number for one.
    """
    figure.add_annotation(
        x=x, y=line, text=text, showarrow=False, xanchor="left", xshift=8, font={"color": colour, "size": 13}
    )


def lines(figure: go.Figure, labels: Sequence[str]) -> None:
    """Make room for one line a variant, by name: names that look like numbers are names too."""
    names = [wrapped(label) for label in labels]
    figure.update_layout(height=150 + pitch(names) * max(1, len(names)))
    figure.update_yaxes(type="category", showgrid=False, ticklabelstandoff=10)


def legend(figure: go.Figure, height: int = 448) -> None:
    """Put the legend at the right, or below where the names are long.

    Args:
        figure: What it belongs to.
        height: The figure's, without a legend below it.
    """
    shown: dict[str, Any] = {"x": 1.02, "y": 1, "font": {"size": 13}, "itemsizing": "constant", "tracegroupgap": 0}
    named = [trace.name for trace in figure.data if trace.name and trace.showlegend is not False]
    if max(map(len, named), default=0) > 34:
        below = 20 * len(named)
        shown |= {"x": 0, "y": -78 / (height - 154), "yanchor": "top"}
        figure.update_layout(height=height + below, margin={"b": 68 + below})
    figure.update_layout(showlegend=True, legend=shown)
