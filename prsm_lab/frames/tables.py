"""A table of cells as HTML and as Markdown: nothing a model wrote is obeyed by either.

The HTML has no script, no stylesheet and no address. Its colours let the page's ground through, so that they hold on
light and dark pages; a host that strips all styles leaves a table with bold differences and foldable answers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab import render
from prsm_lab.frames.cells import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prsm_lab.frames.cells import Cell

FOLD: Final = 280
"""Characters of a text that are always seen."""
LONGEST: Final = 10_000
"""Characters of a text that are in the page at all."""
MARKED: Final = "background:rgba(224,154,20,.28);border-radius:2px;font-weight:600"
SOFT: Final = "opacity:.72;font-size:90%"
EDGE: Final = "border-bottom:1px solid rgba(128,128,128,.25);padding:.4em .7em;vertical-align:top"
TEXT: Final = f"{EDGE};text-align:left;white-space:pre-wrap;overflow-wrap:break-word;min-width:15em;max-width:30em"
"""So that many columns do not make towers of their texts, nor one text a line across the page."""
NAME: Final = f"{EDGE};text-align:left;white-space:nowrap"
NUMBER: Final = f"{EDGE};text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
HEAD: Final = "font-weight:600;background:rgba(128,128,128,.1)"
GOOD: Final = "42,120,214"
BAD: Final = "229,41,88"
"""Red, green and blue of the tones: told apart with any common kind of colour vision."""
SHORT: Final = 28
"""Characters of what is a name, not a text."""
_MARKS: Final = re.compile(r"[\\`*_{}\[\]()#+\-!|~$<>&:@^=\"']|\bwww(?=\.)", re.IGNORECASE)


class Table(NamedTuple):
    """What is shown: headings, rows, and remarks below."""

    headings: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


def html(table: Table) -> str:
    """Return a table as HTML that stands alone."""
    styles = [NUMBER if number else _style([row[n] for row in table.rows]) for n, number in enumerate(table.numbers)]
    head = "".join(
        f'<th style="{style};{HEAD}">{render.escaped(name)}</th>'
        for name, style in zip(table.headings, styles, strict=True)
    )
    rows = (
        f"<tr>{''.join(_cell(cell, style) for cell, style in zip(row, styles, strict=True))}</tr>" for row in table.rows
    )
    notes = "".join(f'<div style="{SOFT};margin:.3em .2em">{render.escaped(note)}</div>' for note in table.notes)
    return (
        '<div class="mathjax_ignore tex2jax_ignore"><div style="overflow-x:auto">'
        f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f"</div>{notes}</div>"
    )


def _style(column: list[Cell]) -> str:
    return NAME if all(len(cell.text) <= SHORT and not cell.badges for cell in column) else TEXT


def _cell(cell: Cell, style: str) -> str:
    ground = "" if cell.tone is None else f";background:{_colour(cell.tone)}"
    badges = "".join(_badge(text, tone) for text, tone in cell.badges)
    below = f'<div style="margin-top:.35em">{badges}</div>' if badges else ""
    body = _text(cell)
    if cell.soft:
        body = f'<span style="{SOFT}">{body}</span>'
    return f'<td style="{style}{ground}">{body}{below}</td>'


def _colour(tone: float) -> str:
    """The stronger, the further from the middle."""
    return f"rgba({GOOD if tone > 0 else BAD},{min(1.0, abs(tone)) * 0.3:.2f})"


def _badge(text: str, tone: float | None) -> str:
    ground = "rgba(128,128,128,.15)" if tone is None else _colour(tone)
    style = f"background:{ground};border-radius:.7em;padding:.05em .6em;margin-right:.4em;font-size:85%"
    return f'<span style="{style}">{render.escaped(text)}</span> '


def _text(cell: Cell) -> str:
    """The text with its differences marked, what is beyond `FOLD` in a fold."""
    pieces = list(cell.pieces or ((False, cell.text),))
    if len(cell.text) <= FOLD * 1.25:
        return _marked(pieces)
    head, rest = _parted(pieces, _seam(cell.text))
    seen, cut = _parted(rest, LONGEST)
    left = sum(len(text) for _, text in cut)
    more = f" … {left:,} more characters are not in this table" if left else ""
    told = f'<span style="{SOFT}"> … {sum(len(text) for _, text in rest):,} more characters</span>'
    return (
        f'<details><summary>{_marked(head)}{told}</summary>{_marked(seen)}<span style="{SOFT}">{more}</span></details>'
    )


def _seam(text: str) -> int:
    """Where to fold: behind a word, if there is one near."""
    space = text.rfind(" ", FOLD // 2, FOLD)
    return FOLD if space < 0 else space


def _parted(pieces: Iterable[tuple[bool, str]], at: int) -> tuple[list[tuple[bool, str]], list[tuple[bool, str]]]:
    """Cut pieces at a character."""
    before: list[tuple[bool, str]] = []
    after: list[tuple[bool, str]] = []
    for mark, text in pieces:
        if len(text) <= at:
            before.append((mark, text))
        else:
            before += [(mark, text[:at])] if at else []
            after.append((mark, text[at:]))
        at = max(0, at - len(text))
    return before, after


def _marked(pieces: Iterable[tuple[bool, str]]) -> str:
    made = []
    for mark, text in pieces:
        before, inner, after = _core(text) if mark else (text, "", "")
        marked = f'<b style="{MARKED}">{_lines(inner)}</b>' if inner else ""
        made.append(f"{_lines(before)}{marked}{_lines(after)}")
    return "".join(made)


def _lines(text: str) -> str:
    return render.escaped(text).replace("\n", "<br>")


def _core(text: str) -> tuple[str, str, str]:
    """A text without the blanks around it, and these."""
    inner = text.strip()
    return text[: len(text) - len(text.lstrip())], inner, text[len(text.rstrip()) :] if inner else ""


# -------------------------------------------------------------------------------------------------- Markdown


def markdown(table: Table) -> str:
    """Return a table as Markdown (GitHub's), differences in bold, texts cut at `FOLD` characters."""
    rule = ["---:" if number else "---" for number in table.numbers]
    lines = [[_inert(name) or " " for name in table.headings], rule]
    lines += [[_plain(cell) for cell in row] for row in table.rows]
    made = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([made, *(_inert(note) for note in table.notes)])


def _plain(cell: Cell) -> str:
    head, rest = _parted(cell.pieces or ((False, cell.text),), FOLD)
    said = "".join(_bold(text) if mark else _inert(text) for mark, text in head) + ("…" if rest else "")
    return " ".join([said.strip() or UNKNOWN, *(f"({_inert(text)})" for text, _ in cell.badges)])


def _bold(text: str) -> str:
    """Bold only what is inside the blanks, as Markdown wants it."""
    before, inner, after = _core(text)
    return f"{_inert(before)}**{_inert(inner)}**{_inert(after)}" if inner else _inert(before)


def _inert(text: str) -> str:
    """Text that Markdown takes for nothing else: its signs are written as entities."""
    return _MARKS.sub(_entity, render.plain(text)).replace("\n", "<br>")


def _entity(found: re.Match[str]) -> str:
    return "".join(f"&#{ord(sign)};" for sign in found[0])
