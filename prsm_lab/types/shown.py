"""How values show themselves: a line in a list or a terminal, a little HTML in a cell. A model's text obeys neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prsm_lab import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST: Final = 100
"""Characters of a repr."""
LEAST: Final = 0.000001
"""USD; what is less is not written as nought."""
SOFT: Final = "opacity:.75;font-size:90%"
"""For what is beside the answer: legible on any ground, light or dark."""
CELL: Final = "text-align:left;vertical-align:top;min-width:5em;max-width:44em;overflow-wrap:break-word"
FIGURE: Final = "text-align:right;vertical-align:top;white-space:nowrap"


def line(*parts: object) -> str:
    """Return `<part part>` of at most `LONGEST` printable characters; a part that is None is left out."""
    return f"<{_printable(' '.join(str(part) for part in parts if part is not None), LONGEST - 2)}>"


def quoted(*parts: object, text: str | None) -> str:
    """Return `<part part 'text'>` of as many; the text gives way to the parts, which are cut at 40 each.

    >>> quoted("Inference", "inf_1", "gpt-4", text="two\\nlines")
    "<Inference inf_1 gpt-4 'two lines'>"
    """
    head = " ".join(_printable(part, 40) for part in parts)
    said = _printable(text or "", max(LONGEST - len(head) - 5, 8))
    return f"<{_printable(head, LONGEST - len(said) - 5)} '{said}'>"


def _printable(value: object, longest: int) -> str:
    """A line without characters that cannot be seen."""
    whole = render.line(value, longest=longest)
    seen = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in whole)
    return seen if len(seen) <= longest else seen[: longest - 1] + "…"


def paid(usd: float | None, unpriced: int = 0) -> str:
    """Write a cost; what is not known is said, never a nought.

    >>> paid(0.00042), paid(12.5), paid(None), paid(0.0, 2), paid(3e-8)
    ('$0.000420', '$12.50', 'cost unknown', '$0.00 + 2 unpriced', '<$0.000001')
    """
    more = f" + {unpriced:,} unpriced" if unpriced else ""
    if usd is None:
        return "cost unknown" if not unpriced else more.removeprefix(" + ")
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}{more}"
    return (f"${usd:.6f}" if usd >= LEAST else f"<${LEAST:.6f}") + more


def money(usd: float) -> str:
    """Write a sum with as many digits as it needs.

    >>> money(1.5), money(0.00123), money(0.0), money(3e-8)
    ('$1.50', '$0.0012', '$0.00', '<$0.000001')
    """
    if usd == 0 or usd >= 0.1:
        return f"${usd:,.2f}"
    if usd < LEAST:
        return f"<${LEAST:.6f}"
    return f"${usd:.4f}" if usd >= 0.0005 else f"${usd:.6f}"


def took(milliseconds: float | None) -> str | None:
    """Write a time; None where it is not known."""
    if milliseconds is None:
        return None
    return f"{milliseconds / 1000:,.1f} s" if milliseconds >= 10_000 else f"{milliseconds:,.0f} ms"


def counted(number: int | None, word: str) -> str:
    """Write a number of things.

    >>> counted(1, "token"), counted(1200, "token"), counted(None, "token")
    ('1 token', '1,200 tokens', 'tokens unknown')
    """
    return f"{word}s unknown" if number is None else f"{number:,} {word}{'' if number == 1 else 's'}"


def head(title: str, parts: Iterable[str | None]) -> str:
    """Return a line of HTML: a title, then what is known, of plain text."""
    rest = [render.escaped(part) for part in parts if part]
    return f'<div style="{SOFT}">{" · ".join([f"<strong>{render.escaped(title)}</strong>", *rest])}</div>'


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, figures: int = 0) -> str:
    """Return a table of plain text; the last `figures` columns are numbers and stand to the right.

    Where the page is narrower than its figures it scrolls of its own.
    """
    styles = [CELL] * (len(headings) - figures) + [FIGURE] * figures
    top = _row("th", headings, styles)
    body = "".join(_row("td", row, styles) for row in rows)
    return f'<div style="overflow-x:auto"><table><thead>{top}</thead><tbody>{body}</tbody></table></div>'


def _row(tag: str, cells: Sequence[object], styles: Sequence[str]) -> str:
    made = (
        f'<{tag} style="{style}">{"–" if cell is None else render.escaped(cell)}</{tag}>'
        for cell, style in zip(cells, styles, strict=True)
    )
    return f"<tr>{''.join(made)}</tr>"
