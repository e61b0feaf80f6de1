"""A comparison as one HTML file: nothing is fetched when it is opened, and no answer can run in it."""

from __future__ import annotations

import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab import plot, render
from prsm_lab.frames import reading
from prsm_lab.frames.side import side_by_side
from prsm_lab.frames.summary import summarize

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


class Words(NamedTuple):
    """What a report says in words."""

    title: str
    lead: str
    """One paragraph: what was compared and how it was made."""
    code: str
    """How to do the same, as code."""


CSS: Final = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #667085; --line: #e2e6ec; --ground: #ffffff; --tile: #f6f8fa; --mark: #8a5300; --markbg: #fff3dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2f3642; --ground: #14181f; --tile: #1c222c; --mark: #ffd591; --markbg: #3a2c12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 60rem; background: var(--ground); color: var(--ink); font: 16px/1.55 Inter, "Segoe UI", system-ui, sans-serif; }
h1 { font-size: 1.75rem; margin: 0 0 .4rem; letter-spacing: -.01em; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); font-size: .88rem; }
.label { display: inline-block; padding: .1rem .55rem; border-radius: 1rem; background: var(--markbg); color: var(--mark); font-size: .82rem; font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); } th, td { padding: .45rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; } tr.best td { font-weight: 600; }
td.answer { min-width: 11rem; max-width: 20rem; overflow-wrap: anywhere; }
pre { background: var(--tile); border: 1px solid var(--line); border-radius: .5rem; padding: .9rem 1rem; overflow-x: auto; font-size: .85rem; line-height: 1.5; }
.figure { margin: .5rem 0 1rem; } footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .8rem; }
"""

ROWS_SHOWN: Final = 8
LONGEST_ANSWER: Final = 240


def write(results: pd.DataFrame, path: Path, words: Words) -> Path:
    """Write the report of a scored comparison.

    Args:
        results: The scored frame.
        path: The file.
        words: Title, lead and code.

    Returns:
        The file's path.
    """
    path.write_text(page(results, words), encoding="utf-8")
    return path


def page(results: pd.DataFrame, words: Words) -> str:
    """Return the report as HTML text."""
    known = reading.of(results)
    label = '<span class="label">simulated answers</span>' if known.simulated else ""
    figures = [plot.cost_quality(results), plot.scores(results), plot.latency(results)]
    parts = [
        f"<h1>{render.escaped(words.title)}</h1><p>{render.escaped(words.lead)} {label}</p>",
        "<h2>Summary</h2>", f'<div class="scroll">{summary_table(results)}</div>',
        "<h2>Figures</h2>", *(_figure(figure, first=n == 0) for n, figure in enumerate(figures)),
        f"<h2>Answers side by side</h2><p class='soft'>The first {ROWS_SHOWN} rows.</p>",
        f'<div class="scroll">{_answers(results)}</div>',
        "<h2>Do the same</h2>", f"<pre>{render.escaped(words.code)}</pre>",
        f"<footer class='soft'>prsm_lab {version('prsm-lab')} · {_now()} · run {render.escaped(_run(results))}</footer>",
    ]  # fmt: skip
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{render.escaped(words.title)}</title><style>{CSS}</style><body>{body}</body></html>"
    )


def _figure(figure: Any, *, first: bool) -> str:
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=first,
        config={"displayModeBar": False, "responsive": True},
        default_width="100%",
    )
    return f'<div class="figure">{drawn}</div>'


COLUMNS: Final = (
    ("n", "rows", "{:,.0f}"), ("failed", "failed", "{:,.0f}"), ("SCORE", "", "{:.0%}"),
    ("cost_per_1k", "USD / 1k rows", "${:,.4f}"), ("latency_p50_ms", "p50 ms", "{:,.0f}"),
    ("latency_p95_ms", "p95 ms", "{:,.0f}"), ("tokens_per_s", "tokens/s", "{:,.0f}"),
)  # fmt: skip


def figures_of(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return the summary as texts: the headings, and a row per variant, best first."""
    summary = summarize(results)
    scores = reading.score_columns(results)
    keys = list(summary.columns[: list(summary.columns).index("n")])
    shown: list[tuple[str, str, str]] = []
    for name, heading, form in COLUMNS:
        if name == "SCORE":
            shown += [(c, str(c).removeprefix("score_"), form) for c in scores]
        else:
            shown.append((name, heading, form))
    known = reading.of(results)
    played = set(known(results, "model")[known(results, "served_model").str.startswith("simulated/").fillna(False)])
    rows = []
    for _, line in summary.iterrows():
        names = [f"{line[key]} (simulated)" if line[key] in played else str(line[key]) for key in keys]
        rows.append([*names, *(_cell(line[name], form) for name, _, form in shown)])
    return [*(str(key) for key in keys), *(heading for _, heading, _ in shown)], rows


def _cell(value: Any, form: str) -> str:
    """Unknown is a dash, never a nought."""
    return "–" if _unknown(value) else form.format(float(value))


def _unknown(value: Any) -> bool:
    return value is None or str(value) in ("<NA>", "nan", "NaN")


def summary_table(results: pd.DataFrame) -> str:
    """Return the summary as an HTML table."""
    headings, rows = figures_of(results)
    names = headings.index("rows")
    kind = ["" if n < names else ' class="n"' for n in range(len(headings))]
    head = "".join(f"<th{k}>{render.escaped(h)}</th>" for h, k in zip(headings, kind, strict=True))
    body = "".join(
        f"<tr{' class=best' if n == 0 else ''}>"
        + "".join(f"<td{k}>{render.escaped(cell)}</td>" for cell, k in zip(row, kind, strict=True))
        + "</tr>"
        for n, row in enumerate(rows)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _answers(results: pd.DataFrame) -> str:
    wide = side_by_side(results)
    known = reading.of(results)
    inputs = [c for c in known.inputs(results) if str(c) in ("question", "text", "answer")]
    ways = list(dict.fromkeys(known.labels(results)))
    shown = [*inputs, *ways]
    head = "".join(f"<th>{render.escaped(str(name))}</th>" for name in shown)
    rows = []
    for line in zip(*(wide[name].head(ROWS_SHOWN) for name in shown), strict=True):
        cells = "".join(f'<td class="answer">{_text(value)}</td>' for value in line)
        rows.append(f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _text(value: Any) -> str:
    """Model output is text, whatever it looks like."""
    if _unknown(value):
        return "–"
    return render.escaped(value, longest=LONGEST_ANSWER)


def _now() -> str:
    return datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")


def _run(results: pd.DataFrame) -> str:
    return str((results.attrs.get("prsm") or {}).get("run", "–"))
