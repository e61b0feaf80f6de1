"""Who beats whom: a matrix of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing
from prsm_lab.plot import look
from prsm_lab.types.shown import counted

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

WRITTEN: Final = 8
"""Variants up to which each cell has its figure; of more it is told when one points at it."""
ABREAST: Final = 40
"""Characters of names that stand side by side below a matrix."""
SCALE: Final = ((0, look.COLOURS[2]), (0.5, "#e9ebef"), (1, look.COLOURS[0]))
"""Opaque: what is written on it is read on any page."""
STRONG: Final = 0.42
"""In share: a cell so far from a half has a ground on which white is read better than black (WCAG 2.2)."""


class Duel(NamedTuple):
    """What one variant did against another."""

    wins: int
    ties: int
    losses: int

    @property
    def share(self) -> float:
        """Points won: a tie is half of one."""
        return (self.wins + self.ties / 2) / (self.wins + self.ties + self.losses)


def wins(verdicts: pd.DataFrame, score: str | None = None) -> go.Figure:
    """Plot how often each variant beats each other one: the share of points in its row, a tie being half of one.

    Args:
        verdicts: What `judge_pairs` or the compare panel's `verdicts()` returned: columns `a`, `b` and `winner`; or a
            scored comparison, in which the higher score of the same row wins (of samples, the higher mean).
        score: The score column of a scored comparison; default the first.

    Returns:
        The figure: the best variant first. Verdicts without a winner are left out, `both_bad` is a tie.

    Raises:
        InvalidRequestError: If the frame is neither.

    >>> import pandas as pd
    >>> made = pd.DataFrame({"a": ["x"] * 4, "b": ["y"] * 4, "winner": ["a", "a", "tie", "b"]})
    >>> wins(made).data[0].z[0][1]
    0.625
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    if {"a", "b", "winner"} <= set(verdicts.columns):
        pairs, unknown = _judged(verdicts)
        note, played = "share of points, ties half", set[str]()
    else:
        column = look.score_column(verdicts, score)
        pairs, played = _scored(verdicts, column)
        note, unknown = f"share of rows with the higher {look.words(column)}, ties half", 0
    note += f" · {counted(unknown, 'verdict')} without a winner left out" if unknown else ""
    look.frame(figure, "Row beats column", note)
    order = _order(pairs)
    if not order:
        return look.empty(figure, "Nothing to draw: no two variants were compared.")
    labels = [look.short(name) + (" (simulated)" if name in played else "") for name in order]
    labels = [label + f" #{n + 1}" if label in labels[:n] else label for n, label in enumerate(labels)]
    cells = [[pairs.get((one, other)) for other in order] for one in order]
    figure.add_heatmap(
        z=[[None if cell is None else cell.share for cell in row] for row in cells], zmin=0, zmax=1, xgap=3, ygap=3,
        colorscale=SCALE, hoverongaps=False,
        hovertext=[[_told(labels, n, m, cell) for m, cell in enumerate(row)] for n, row in enumerate(cells)],
        hovertemplate="%{hovertext}<extra></extra>",
        colorbar={"tickformat": ".0%", "thickness": 10, "outlinewidth": 0, "tickvals": [0, 0.25, 0.5, 0.75, 1]},
    )  # fmt: skip
    for n, row in enumerate(cells):
        for m, cell in enumerate(row if len(order) <= WRITTEN else ()):
            if cell is not None:
                _write(figure, cell, n, m)
    ticks = {"tickvals": list(range(len(order))), "showgrid": False, "ticks": "", "ticklabelstandoff": 8}
    heads, rows = labels, [look.wrapped(label) for label in labels]
    if sum(map(len, labels)) > ABREAST:  # names that do not fit side by side would be turned, and lie on each other
        heads = [str(n) for n in range(1, len(labels) + 1)]
        rows = [f"{row}  <b>{n}</b>" for n, row in zip(heads, rows, strict=True)]
    figure.update_xaxes(ticktext=heads, side="bottom", **ticks)
    figure.update_yaxes(ticktext=rows, autorange="reversed", **ticks)
    figure.update_layout(height=min(1100, 230 + max(62, look.pitch(rows)) * len(order)))
    return figure


def _judged(verdicts: pd.DataFrame) -> tuple[dict[tuple[str, str], Duel], int]:
    """Count verdicts of judges, whose winner is a side, and those of people, whose winner is a variant."""
    by_name = "voter" in verdicts.columns
    counts: dict[tuple[str, str], list[int]] = {}
    unknown = 0
    for line, (a, b, winner) in enumerate(zip(verdicts["a"], verdicts["b"], verdicts["winner"], strict=True)):
        if missing(a) or missing(b) or a == b or missing(winner):
            unknown += 1
            continue
        sides = {str(a): 0, str(b): 2} if by_name else {"a": 0, "b": 2}
        place = 1 if winner in ("tie", "both_bad") and winner not in sides else sides.get(str(winner))
        if place is None:
            raise InvalidRequestError(
                f"Row {line}: winner {str(winner)!r:.60} is none of {', '.join(sides)}, tie.",
                details={"parameter": "verdicts", "column": "winner", "row": line},
            )
        counts.setdefault((str(a), str(b)), [0, 0, 0])[place] += 1
        counts.setdefault((str(b), str(a)), [0, 0, 0])[2 - place] += 1
    return {pair: Duel(*found) for pair, found in counts.items()}, unknown


def _scored(results: pd.DataFrame, column: str) -> tuple[dict[tuple[str, str], Duel], set[str]]:
    """Compare scores of the same row; and which variants are simulated."""
    import pandas as pd

    known = reading.of(results).without_samples()
    if len(set(known.labels(results))) < 2:
        return {}, set()
    from prsm_lab.frames.pairing import row_keys

    long = pd.DataFrame(
        {
            "row": pd.factorize(row_keys(results).to_numpy())[0], "way": known.labels(results),
            "value": results[column].astype("Float64").to_numpy(float, na_value=float("nan")),
        }
    )  # fmt: skip
    wide = long.groupby(["row", "way"], sort=False)["value"].mean().unstack()
    found: dict[tuple[str, str], Duel] = {}
    for one in wide.columns:
        for other in wide.columns:
            gap = (wide[one] - wide[other]).dropna()
            if one != other and len(gap):
                found[one, other] = Duel(int((gap > 0).sum()), int((gap == 0).sum()), int((gap < 0).sum()))
    served = known(results, "served_model").astype("string").str.startswith("simulated/").fillna(False)
    return found, set(long["way"][served.to_numpy(bool)])


def _order(pairs: dict[tuple[str, str], Duel]) -> list[str]:
    """Who wins the most against the average opponent comes first."""
    shares: dict[str, list[float]] = {}
    for (one, _), duel in pairs.items():
        shares.setdefault(one, []).append(duel.share)
    return sorted(shares, key=lambda name: -sum(shares[name]) / len(shares[name]))


def _told(labels: list[str], n: int, m: int, cell: Duel | None) -> str:
    if cell is None:
        return ""
    return (
        f"<b>{labels[n]}</b> against {labels[m]}<br>{cell.share:.1%} of points<br>"
        f"{cell.wins:,} won, {cell.ties:,} tied, {cell.losses:,} lost"
    )


def _write(figure: go.Figure, cell: Duel, n: int, m: int) -> None:
    font: dict[str, Any] = {"size": 13, "color": "white" if abs(cell.share - 0.5) >= STRONG else look.DARK}
    text = f"<b>{cell.share:.0%}</b><br><span style='font-size:11px'>{cell.wins}–{cell.ties}–{cell.losses}</span>"
    figure.add_annotation(x=m, y=n, text=text, showarrow=False, font=font)
