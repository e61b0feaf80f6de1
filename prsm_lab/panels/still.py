"""Static forms of panels: what is left of them on a code host, in nbconvert, in a file without its kernel.

Plain elements with few inline styles, legible where a host strips those. Whatever a model wrote goes through `render`.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import render
from prsm_lab.panels import ranks
from prsm_lab.types.shown import money

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.panels.stream_panel import StreamPanel

ROWS: Final = 12
"""Rows of a comparison that the static form shows."""
DAYS: Final = 31
"""Days of usage that it shows, the last."""
SOFT: Final = "color:#667085;font-size:85%"
CELL: Final = "vertical-align:top;text-align:left;min-width:5em;max-width:32em;overflow-wrap:anywhere"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; headings are text, cells are HTML already."""
    head = "".join(f'<th style="{CELL}">{html.escape(name)}</th>' for name in headings)
    body = "".join("<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def figures(found: dict[str, Any]) -> str:
    """Return an answer's times, tokens and cost as a line; unknown is a dash."""
    parts = (
        _span("first token", found["ttft_ms"]), _span("", found["latency_ms"]),
        "– tokens" if found["tokens"] is None else f"{found['tokens']:,.0f} tokens",
        "cost unknown" if found["cost"] is None else html.escape(money(found["cost"])),
    )  # fmt: skip
    return f'<div style="{SOFT}">{" · ".join(parts)}</div>'


def _span(name: str, milliseconds: float | None) -> str:
    took = "–" if milliseconds is None else f"{milliseconds:,.0f} ms"
    return f"{name} {took}".strip()


def conversation(panel: StreamPanel) -> str:
    """Return a stream panel's conversation: a column a model, a row a question."""
    state = panel.snapshot()
    names = [f"{column['model']} · {column['provider']}" for column in state["columns"]]
    turns = max((len(column["turns"]) for column in state["columns"]), default=0)
    if not turns:
        return f'<p style="{SOFT}">Nothing was asked yet: {html.escape(", ".join(names))}.</p>'
    rows = []
    for n in range(turns):
        prompt = next(column["turns"][n]["prompt"] for column in state["columns"] if len(column["turns"]) > n)
        rows.append([f"<strong>{render.escaped(prompt)}</strong>"] + [""] * (len(names) - 1))
        rows.append([_answer(column["turns"][n]) if len(column["turns"]) > n else "" for column in state["columns"]])
    code = f"<pre><code>{render.escaped(state['code'])}</code></pre>"
    return table(names, rows) + code


def _answer(turn: dict[str, Any]) -> str:
    said = turn["html"] or f'<div style="white-space:pre-wrap">{render.escaped(turn["text"])}</div>'
    mark = {
        "stopped": "stopped here",
        "failed": turn["error"],
        "waiting": "not answered yet",
        "streaming": "not at its end yet",
    }
    note = mark.get(turn["state"])
    told = f'<div style="{SOFT}">[{render.escaped(note)}]</div>' if note else ""
    return said + told + figures(turn)


_STATES: Final = {
    "ready": "not started", "running": "running", "stopped": "stopped", "done": "done", "failed": "could not run",
}  # fmt: skip


def run(state: dict[str, Any]) -> str:
    """Return a run's figures: rows, money, errors, the first rows."""
    spent = _cost(state["spent"], state["unpriced"])
    unsent = f" + {state['not_sent']:,} not sent" if state["not_sent"] else ""
    found = {
        "run": html.escape(state["run"]), "state": _STATES[state["state"]],
        "rows": f"{state['done']:,} of {state['rows']:,}", "failed": f"{state['failed']:,}{unsent}",
        "reused": f"{state['reused']:,}", "spent": spent,
        "latency": f"{_span('half under', state['p50_ms'])}, {_span('95 % under', state['p95_ms'])}",
    }  # fmt: skip
    parts = [table(list(found), [list(found.values())])]
    if state["errors"]:
        rows = [[html.escape(one["code"]), f"{one['n']:,}", render.escaped(one["message"])] for one in state["errors"]]
        parts.append(table(("error", "rows", "the first one says"), rows))
    if state["first"]:
        said = [[str(one["row"]), render.escaped(one["model"]), _line(one)] for one in state["first"]]
        parts.append(table(("row", "model", "the first rows"), said))
    label = f'<p style="{SOFT}">simulated answers</p>' if state["simulated"] else ""
    return "".join(parts) + label + f"<pre><code>{render.escaped(state['code'])}</code></pre>"


def _line(row: dict[str, Any]) -> str:
    text = render.escaped(row["text"])
    return f'<span style="{SOFT}">[{text}]</span>' if row["failed"] else text


def usage(state: dict[str, Any]) -> str:
    """Return usage as tables: the whole, the last days, by model, by key."""
    columns = ("requests", "cost", "success", "half under", "95 % under", "tokens", "from the cache")
    whole = table((state["timeframe"].replace("_", " "), *columns), [["all", *_used(state["whole"])]])
    parts = [
        table((name, *columns), [[html.escape(str(one["name"])), *_used(one)] for one in found])
        for name, found in (("day", state["days"][-DAYS:]), ("model", state["by_model"]), ("key", state["by_key"]))
        if found
    ]
    return whole + "".join(parts) + f"<pre><code>{render.escaped(state['code'])}</code></pre>"


def _cost(usd: float | None, unpriced: int) -> str:
    """Not known is a dash, never a nought."""
    return ("–" if usd is None else html.escape(money(usd))) + (f" + {unpriced:,} unpriced" if unpriced else "")


def _used(figures_: dict[str, Any]) -> list[str]:
    rate, tokens = figures_["success_rate"], figures_["total_tokens"]
    return [
        f"{figures_['total_requests']:,}", _cost(figures_["total_cost"], figures_["unpriced_requests"]),
        "–" if rate is None else f"{rate:.1%}", _span("", figures_["p50_latency_ms"]),
        _span("", figures_["p95_latency_ms"]), "–" if tokens is None else f"{tokens:,}",
        f"{figures_['cached_requests']:,}",
    ]  # fmt: skip


def comparison(shown: Sequence[dict[str, Any]], rows: int) -> str:
    """Return the first rows of a comparison side by side."""
    if not shown:
        return f'<p style="{SOFT}">There are no rows to compare.</p>'
    headings = ("row", "asked", "reference", *(answer["label"] for answer in shown[0]["answers"]))
    lines = [
        [
            str(one["row"]), "<br>".join(render.escaped(value, longest=400) for _, value in one["inputs"]),
            render.escaped(one["reference"] or "–", longest=400), *map(_said, one["answers"]),
        ]
        for one in shown
    ]  # fmt: skip
    more = f'<p style="{SOFT}">The first {len(shown)} of {rows:,} rows.</p>' if rows > len(shown) else ""
    return table(headings, lines) + more


WHISKER: Final = "display:inline-block;width:180px;height:16px;line-height:16px;font-size:0;white-space:nowrap"
STROKE: Final = "display:inline-block;vertical-align:middle"
SEEN: Final = "#2a78d6"
"""3:1 against white and against the usual dark grounds."""


def standings(found: ranks.Ranks) -> str:
    """Return how the votes stand: who leads, in a sentence, and a line a variant."""
    if not found.rows:
        return ""
    zero, drawn = ranks.places(found)
    rows = [
        [
            str(one.place), render.escaped(one.label), _strength(one, zero, at), f"{one.share:.0%}",
            f"{one.wins:,} / {one.ties:,} / {one.losses:,}", f"{one.n:,}",
        ]
        for one, at in zip(found.rows, drawn, strict=True)
    ]  # fmt: skip
    headings = (
        "",
        "variant",
        "strength, 95 % interval",
        "expected to win",
        "won / tied / lost",
        "n",
    )
    told = f'<p style="overflow-wrap:anywhere"><strong>{render.escaped(ranks.said(found))}</strong></p>'
    return told + table(headings, rows) + f'<p style="{SOFT}">{render.escaped(" ".join(ranks.notes(found)))}</p>'


def _strength(one: ranks.Rank, zero: float | None, drawn: tuple[float, float, float] | None) -> str:
    """A point with its whisker, and the figures, which are left where a host strips styles."""
    if zero is None or drawn is None or one.low is None or one.high is None:
        return f"{signed(one.strength)} (interval not known yet)"
    start, at, end = (100 * place for place in drawn)
    line = "transparent {0:.2f}%,#8a93a3 {0:.2f}%,#8a93a3 {1:.2f}%,transparent {1:.2f}%".format(
        100 * zero - 0.3, 100 * zero + 0.3
    )
    strokes = (
        f"width:{start:.2f}%", f"width:{at - start:.2f}%;height:3px;background:{SEEN}",
        f"width:10px;height:10px;margin:0 -5px;border-radius:50%;background:{SEEN}",
        f"width:{end - at:.2f}%;height:3px;background:{SEEN}",
    )  # fmt: skip
    spans = "".join(f'<span style="{STROKE};{stroke}"></span>' for stroke in strokes)
    whisker = f'<div style="{WHISKER};background:linear-gradient(90deg,{line})">{spans}</div>'
    return f"{whisker}<div>{signed(one.strength)} ({signed(one.low)} to {signed(one.high)})</div>"


def signed(value: float) -> str:
    """Write a strength; nought has no sign.

    >>> signed(0.456), signed(-1.5), signed(-0.001)
    ('+0.46', '−1.50', '0.00')
    """
    written = f"{value:+.2f}".replace("-", "−")
    return "0.00" if written[1:] == "0.00" else written


def _said(answer: dict[str, Any]) -> str:
    return render.escaped(answer["error"] or "".join(text for _, text in answer["parts"]), longest=600)
