"""Results as one file: HTML that fetches nothing when it is opened and in which no answer can run, or Markdown."""

from __future__ import annotations

import datetime
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab import manifest, plot, render
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.frames import reading
from prsm_lab.frames.contrasting import contrast
from prsm_lab.frames.showing import show
from prsm_lab.frames.side import side_by_side
from prsm_lab.frames.summary import summarize

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import pandas as pd

    from prsm_lab.frames.showing import Shown


class Words(NamedTuple):
    """What a report says in words."""

    title: str
    lead: str
    """One paragraph: what was compared and how it was made."""
    code: str = ""
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


def report(
    results: pd.DataFrame, path: str | os.PathLike[str], *, title: str = "Results", lead: str = "",
    baseline: str | None = None, rows: int = ROWS_SHOWN,
) -> Path:  # fmt: skip
    """Write results down as one file: summary, contrasts, figures, answers side by side, and how they were made.

    HTML works offline: plotly's script is in it once, nothing is fetched, and no answer can run. Markdown is for pull
    requests, without figures.

    Args:
        results: What `infer`, `batch` or `compare` returned, scored or not.
        path: The file, `.html` or `.md`.
        title: Its heading.
        lead: A paragraph under it.
        baseline: Label of the variant that the others are compared with; default the first.
        rows: Input rows that are shown, from the top.

    Returns:
        The file's path.

    Raises:
        InvalidRequestError: If the path ends otherwise, or the frame holds no results.

    >>> import tempfile
    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.compare(["hi"], "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report(found, f"{folder}/found.md").read_text().splitlines()[0]
    '# Results'
    """
    place, words = Path(path), Words(title, lead)
    if place.suffix.lower() not in (".html", ".htm", ".md"):
        raise InvalidRequestError(f"A report is .html or .md, not {place.name!r}.", details={"parameter": "path"})
    known = place.suffix.lower() == ".md"
    text = markdown(results, words, baseline, rows) if known else page(results, words, baseline, rows)
    place.write_text(text, encoding="utf-8")
    return place


def page(results: pd.DataFrame, words: Words, baseline: str | None = None, rows: int = ROWS_SHOWN) -> str:
    """Return the report as HTML text; see `report`."""
    known = reading.of(results)
    label = '<span class="label">simulated answers</span>' if known.simulated else ""
    apart, said = _contrasts(results, baseline)
    figures = _figures(results, apart)
    parts = [
        f"<h1>{render.escaped(words.title)}</h1><p>{render.escaped(words.lead)} {label}</p>",
        "<h2>Summary</h2>", f'<div class="scroll">{summary_table(results)}</div>',
        "<h2>Figures</h2>", *(_figure(figure, first=n == 0) for n, figure in enumerate(figures)),
        *(["<h2>Differences</h2><ul>", *(f"<li>{render.escaped(line)}</li>" for line in said), "</ul>"] if said else []),
        f"<h2>Answers side by side</h2><p class='soft'>The first {min(rows, len(results))} rows.</p>",
        f'<div class="scroll">{_answers(results, rows).html()}</div>',
        "<h2>How it was made</h2>", _manifest(results),
        f"<h2>Do the same</h2><pre>{render.escaped(words.code)}</pre>" if words.code else "",
        f"<footer class='soft'>prsm_lab {version('prsm-lab')} · {_now()}</footer>",
    ]  # fmt: skip
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{render.escaped(words.title)}</title><style>{CSS}</style><body>{body}</body></html>"
    )


def markdown(results: pd.DataFrame, words: Words, baseline: str | None = None, rows: int = ROWS_SHOWN) -> str:
    """Return the report as Markdown; see `report`."""
    headings, lines = figures_of(results)
    _, said = _contrasts(results, baseline)
    note = "\n\n*Simulated answers.*" if reading.of(results).simulated else ""
    parts = [
        f"# {_inert(words.title)}", f"{_inert(words.lead)}{note}".strip(),
        "## Summary", "\n".join([_line(headings), _line(["---"] * len(headings)), *map(_line, lines)]),
        *(["## Differences", "\n".join(f"- {_inert(line)}" for line in said)] if said else []),
        "## Answers side by side", _answers(results, rows).markdown(),
        "## How it was made", "\n".join(f"- **{name}**: {_inert(text)}" for name, text in manifest.lines(results)),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _contrasts(results: pd.DataFrame, baseline: str | None) -> tuple[pd.DataFrame | None, list[str]]:
    """What differs, as `contrast` lays it out, and in sentences; why that cannot be said, in one."""
    if not reading.score_columns(results) or len(_ways(results)) < 2:
        return None, []
    try:
        found = contrast(results, baseline)
    except PRSMError as lack:
        return None, [lack.message]
    return found, found["verdict"].tolist()


def _ways(results: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(reading.of(results).without_samples().labels(results)))


def _figures(results: pd.DataFrame, apart: pd.DataFrame | None) -> list[Any]:
    drawn = [plot.latency(results), plot.tokens(results)]
    if not reading.score_columns(results):
        return drawn
    forest = [] if apart is None else [plot.contrast(apart)]
    return [plot.cost_quality(results), plot.scores(results), *forest, *drawn]


def _manifest(results: pd.DataFrame) -> str:
    rows = "".join(
        f"<tr><th>{render.escaped(name)}</th><td class='answer'>{render.escaped(text)}</td></tr>"
        for name, text in manifest.lines(results)
    )
    return f'<div class="scroll"><table>{rows}</table></div>'


def _inert(text: str) -> str:
    """Text that Markdown takes for nothing else."""
    return re.sub(r"([\\`*_\[\]#|!])", r"\\\1", " ".join(render.escaped(text).split()))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell if cell == '---' else _inert(cell) for cell in cells)} |"


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


def _answers(results: pd.DataFrame, rows: int) -> Shown:
    """Answers of a row beside each other; where rows lack a variant, below each other."""
    try:
        wide = side_by_side(results)
    except InvalidRequestError:
        return show(results.head(rows))
    return show(wide.head(rows))


def _now() -> str:
    return datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
