"""What was spent and asked: the ledger's figures."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from prsm_lab.engine import timeframe
from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames.data import missing
from prsm_lab.plot import look

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

FEW_DAYS: Final = 10
"""Each has its name."""
FEW_NAMES: Final = 4
"""They stand side by side."""
NARROW: Final = 18
"""Characters of a line below a bar."""
DAY_MS: Final = 86_400_000


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
    names = [look.safe("–" if missing(name) else str(name)) for name in figures[by]]
    wide = {"width": 0.8 * DAY_MS} if by == "day" else {"width": 0.5}
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12, row_heights=[0.6, 0.4])
    figure.add_bar(
        x=names, y=figures["total_cost"].astype("Float64"), marker_color=look.COLOURS[0], row=1, col=1, **wide,
        hovertemplate="%{x}<br>$%{y:,.4f}<extra></extra>",
    )  # fmt: skip
    figure.add_bar(
        x=names, y=figures["total_requests"], marker_color=look.COLOURS[3], row=2, col=1, **wide,
        hovertemplate="%{x}<br>%{y:,} requests<extra></extra>",
    )  # fmt: skip
    unpriced = int(figures["unpriced_requests"].sum()) if len(figures) else 0
    notes = ["UTC"] if by == "day" else []
    notes += [f"{unpriced:,} requests of unknown cost are left out"] if unpriced else []
    look.frame(figure, f"Usage by {by}", " · ".join(notes))
    if by == "day":
        few = {"dtick": DAY_MS} if len(figures) and _days(names) <= FEW_DAYS else {}
        figure.update_xaxes(type="date", tickformat="%b %-d", **few)
    else:
        figure.update_xaxes(
            type="category", tickvals=list(range(len(names))), ticktext=[_below(name) for name in names]
        )
        figure.update_xaxes(tickangle=0 if len(names) <= FEW_NAMES else -90)
        most = max((len(name) for name in names), default=0)
        figure.update_layout(height=448 if len(names) <= FEW_NAMES else 448 + 7 * min(most, 2 * NARROW))
    if not names:
        return look.empty(figure, "Nothing to draw: nothing was asked.")
    figure.update_yaxes(title_text="USD", tickprefix="$", row=1, col=1)
    figure.update_yaxes(title_text="requests", row=2, col=1)
    return figure


def _below(name: str) -> str:
    """A name below its bar, on three lines at most; a longer one is told when one points at the bar."""
    lines = look.wrapped(name, NARROW).split("<br>")
    return "<br>".join(lines[:3]) + ("…" if len(lines) > 3 else "")


def _days(names: list[str]) -> int:
    """From the first to the last."""
    return (date.fromisoformat(max(names)) - date.fromisoformat(min(names))).days + 1
