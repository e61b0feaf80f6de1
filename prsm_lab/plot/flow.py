"""A run over time: what was in flight, what failed, what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from prsm_lab.frames.receipts import receipts
from prsm_lab.plot import hover, look
from prsm_lab.types.shown import counted

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from prsm_lab.client import Client

BINS: Final = 1_000
"""Pieces of time of which each shows the moment with the most in flight, where there are more moments."""
MODELS: Final = 7
"""Models with a colour of their own; the others are one."""
OTHERS: Final = "others"
NEEDED: Final = ("inference_id", "n", "started", "latency_ms", "error_code", "requested_model", "cost")
IDLE: Final = 3
"""A pause more than so many times as long as all work together is cut out."""
LEAST_PAUSE: Final = 60
"""Seconds; a shorter one is not."""


def timeline(results: pd.DataFrame, *, client: Client | None = None) -> go.Figure:
    """Plot a run over time: requests in flight by model, failed attempts by error, and the cost so far.

    Each attempt counts, those that failed too. Answers from the cache and rows that were not sent have no time. A long
    pause between two parts of a run is cut out of the axis.

    Args:
        results: Results, or what `lab.receipts` returned of them.
        client: Whose ledger knows the times; default the process's client. Not asked for receipts.

    Raises:
        InvalidRequestError: If the frame is neither.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.batch(["a", "b"], "{text}", model="gpt-4", client=client, progress=False)
    >>> timeline(found, client=client).layout.yaxis.title.text
    'in flight'
    """
    from plotly.subplots import make_subplots

    known, prompts = _known(results, client)
    knocks = known[known["started"].notna()].drop_duplicates(["inference_id", "n"])
    starts = knocks["started"].dt.tz_convert(None).to_numpy("datetime64[ns]")
    took = knocks["latency_ms"].astype("Float64").fillna(0.0).to_numpy(float)
    ends = starts + (took * 1e6).astype("timedelta64[ns]")
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.45, 0.22, 0.33])
    _head(figure, known, knocks)
    if not len(knocks):
        return look.empty(figure, "Nothing to draw: nothing of this was asked, or the ledger does not know when.")
    _flying(figure, knocks, starts, ends)
    _failed(figure, knocks, ends, prompts)
    _head(figure, known, knocks, unpriced=_spent(figure, knocks, ends))
    figure.update_xaxes(type="date", nticks=5, tickangle=0)
    if pauses := _pauses(starts, ends):
        _cut(figure, pauses, starts.min())
    figure.update_xaxes(title_text="time (UTC)", row=3, col=1)
    figure.update_yaxes(title_text="in flight", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="USD so far", tickprefix="$", rangemode="tozero", row=3, col=1)
    figure.update_layout(height=600)
    look.legend(figure, height=600)
    return figure


def _known(results: pd.DataFrame, client: Client | None) -> tuple[pd.DataFrame, dict[int, str]]:
    """The receipts, and by row what was asked and answered, where that is known."""
    if set(NEEDED) <= set(results.columns):
        return results, {}
    found = receipts(results, client=client)
    bad = sorted({int(row) for row in found["row"][found["error_code"].notna()]})[: look.POINTS]
    return found, dict(zip(bad, hover.rows(results.iloc[bad]), strict=True))


def _head(figure: go.Figure, known: pd.DataFrame, knocks: pd.DataFrame, unpriced: int = 0) -> None:
    questions = knocks["inference_id"].nunique()
    timeless = known["inference_id"].nunique(dropna=False) - questions
    failed = int(knocks["error_code"].notna().sum())
    note = f"{counted(len(knocks), 'attempt')} at {counted(questions, 'question')}, {failed:,} failed"
    note += f" · {timeless:,} from the cache or not sent" if timeless else ""
    played = "served_model" in known and known["served_model"].str.startswith("simulated/").fillna(False).any()
    note += " · simulated answers" if played else ""
    note += f" · {counted(unpriced, 'answer')} of unknown cost left out" if unpriced else ""
    look.frame(figure, "Timeline", note)


def _flying(figure: go.Figure, knocks: pd.DataFrame, starts: Any, ends: Any) -> None:
    """What was in flight, by model, one above the other."""
    asked = knocks["requested_model"].fillna("unknown").astype(str)
    often = list(asked.value_counts().index[:MODELS])
    names = [*often, *([OTHERS] if asked.nunique() > MODELS else [])]
    codes = np.array([names.index(name) if name in often else len(often) for name in asked])
    times, counts = in_flight(starts, ends, codes, len(names))
    for n, name in enumerate(names):
        colour = look.dress_of(n)[0] if n < MODELS else look.INK
        figure.add_scatter(
            x=times, y=counts[:, n], mode="lines", line={"shape": "hv", "width": 0.5, "color": colour}, row=1, col=1,
            fillcolor=colour, stackgroup="flying", name=look.short(name),
            hovertemplate=f"{look.short(name)}: %{{y}} in flight<br>%{{x}}<extra></extra>",
        )  # fmt: skip


def in_flight(starts: Any, ends: Any, codes: Any, groups: int) -> tuple[Any, Any]:
    """Return the moments at which something began or ended, and how much of each group was in flight from then on.

    Args:
        starts: When each began, `datetime64`, shape (n,).
        ends: When each ended, the same.
        codes: The group of each, from 0.
        groups: How many there are.

    Returns:
        Moments, shape (m,), and counts, shape (m, groups): m is at most 2 `BINS` + 2, of which each piece of time shows
        its fullest moment and its last, so that peaks and pauses stay.
    """
    moments = np.concatenate([starts, ends])
    change = np.zeros((len(moments), groups), dtype=np.int64)
    change[np.arange(len(starts)), codes] = 1
    change[np.arange(len(starts), len(moments)), codes] = -1
    times, place = np.unique(moments, return_inverse=True)
    steps = np.zeros((len(times), groups), dtype=np.int64)
    np.add.at(steps, place, change)
    counts = steps.cumsum(axis=0)
    if len(times) <= 2 * BINS:
        return times, counts
    span = max(1, int((times[-1] - times[0]).astype(np.int64)))
    bins = ((times - times[0]).astype(np.int64) * BINS // (span + 1)).astype(np.intp)
    fullest = np.lexsort((-counts.sum(axis=1), bins))
    first = fullest[np.unique(bins[fullest], return_index=True)[1]]
    last = np.append(np.nonzero(np.diff(bins))[0], len(times) - 1)
    kept = np.unique(np.concatenate([[0], first, last]))
    return times[kept], counts[kept]


def _failed(figure: go.Figure, knocks: pd.DataFrame, ends: Any, prompts: dict[int, str]) -> None:
    """Each failed attempt as a mark in the line of its error."""
    bad = knocks["error_code"].notna().to_numpy(bool)
    figure.update_yaxes(title_text="failed", type="category", row=2, col=1)
    if not bad.any():
        figure.add_scatter(
            x=[ends.min()], y=[""], mode="markers", marker_opacity=0, hoverinfo="skip", showlegend=False, row=2, col=1
        )
        figure.add_annotation(
            text="no attempt failed", x=0.5, xref="x2 domain", y=0.5, yref="y2 domain", showarrow=False
        )
        return
    part, when = knocks[bad].iloc[: look.POINTS], ends[bad][: look.POINTS]
    told = []
    rows = part["row"] if "row" in part else [None] * len(part)
    for row, model, code, error in zip(rows, part["requested_model"], part["error_code"], part["error"], strict=True):
        about = f"<br>{prompts[int(row)]}" if not pd.isna(row) and int(row) in prompts else ""
        told.append(f"<b>{look.short(str(code))}</b> {look.short(str(model))}<br>{hover.folded(error, 200)}{about}")
    figure.add_scatter(
        x=when, y=[look.wrapped(look.short(str(code)), 24) for code in part["error_code"]], mode="markers",
        marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": look.COLOURS[2]}}, hovertext=told,
        hovertemplate="%{hovertext}<extra></extra>", row=2, col=1, showlegend=False, name="failed attempt",
    )  # fmt: skip


def _spent(figure: go.Figure, knocks: pd.DataFrame, ends: Any) -> int:
    """The cost so far, paid when the last attempt ended; how many answers have no known cost."""
    by = pd.DataFrame(
        {"id": knocks["inference_id"], "end": ends, "cost": knocks["cost"], "status": knocks.get("status")}
    )
    last = by.sort_values("end", kind="stable").drop_duplicates("id", keep="last")
    priced = last[last["cost"].notna()]
    unknown = last[last["cost"].isna()]
    total = priced["cost"].cumsum().to_numpy(float)
    kept = np.unique(np.linspace(0, max(0, len(priced) - 1), 2 * BINS).round().astype(int))[: len(priced)]
    figure.add_scatter(
        x=priced["end"].to_numpy()[kept], y=total[kept], mode="lines", fill="tozeroy",
        line={"shape": "hv", "width": 2, "color": look.INK}, fillcolor=look.GROUND, name="cost", showlegend=False,
        row=3, col=1,
        hovertemplate="$%{y:,.6f} so far<br>%{x}<extra></extra>",
    )  # fmt: skip
    return int((unknown["status"] == "completed").sum())


def _pauses(starts: Any, ends: Any) -> list[tuple[Any, Any]]:
    """Long pauses in which nothing was in flight, a little kept at both ends of each."""
    order = np.argsort(starts)
    begun, over = starts[order], np.maximum.accumulate(ends[order])
    gaps = begun[1:] - over[:-1]
    work = (over[-1] - begun[0]) - gaps[gaps > np.timedelta64(0)].sum()
    least = max(np.timedelta64(LEAST_PAUSE, "s"), work * IDLE)
    edge = work // 50
    return [(over[n] + edge, begun[n + 1] - edge) for n in np.nonzero(gaps > least)[0]]


def _cut(figure: go.Figure, pauses: list[tuple[Any, Any]], begun: Any) -> None:
    """Cut pauses out of the axis; a line and a time mark where work goes on."""
    breaks = [{"bounds": [str(over), str(again)]} for over, again in pauses]
    for _, again in pauses:
        figure.add_vline(x=str(again), line={"color": look.INK, "width": 1, "dash": "dot"})
    moments = [begun, *(again for _, again in pauses)]
    names = [pd.Timestamp(moment).strftime("%H:%M:%S<br>%b %-d") for moment in moments]
    figure.update_xaxes(rangebreaks=breaks, tickvals=[str(moment) for moment in moments], ticktext=names)
