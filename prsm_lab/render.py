"""Model output made safe to show: as plain text, or as sanitised HTML. Every surface that shows an answer asks here.

A notebook's own sinks run what they are given: `display(HTML)`, `display(Markdown)`, `widgets.HTML`, pandas' `Styler`,
`tqdm(desc=)`. So nothing of a model reaches them but through this room. Images are left out even where they are
harmless: one that is fetched tells its host that the answer was read.
"""

from __future__ import annotations

import functools
import html
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["escaped", "line", "markdown", "plain"]

LONGEST_MARKDOWN: Final = 40_000
"""Characters that are parsed as Markdown; a longer answer is shown as text (nested brackets cost a parser n²)."""
TAGS: Final = frozenset((
    "a", "b", "blockquote", "br", "code", "dd", "del", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i",
    "li", "ol", "p", "pre", "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
))  # fmt: skip
_SEQUENCES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
"""What a terminal would obey: colours, cursor moves, and OSC's links, titles and clipboard writes."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_REORDERING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ABSOLUTE: Final = re.compile(r"https?://|mailto:", re.IGNORECASE)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def plain(value: object, *, longest: int | None = None) -> str:
    """Return text that no terminal, widget or reader obeys.

    Args:
        value: Text of a model, or anything that has a `str`.
        longest: Characters to keep; what is cut off is an ellipsis.

    Returns:
        The text without terminal sequences and control characters but line feed and tab; characters that reorder what
        is read are shown as what they are; lone surrogates, which nothing can store, are U+FFFD.

    >>> plain("\\x1b[31mred\\x07 and \\u202egnp.exe")
    'red and \\\\u202egnp.exe'
    """
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", _SEQUENCES.sub("", text))
    text = _REORDERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    text = _SURROGATES.sub("\ufffd", text)
    return text if longest is None or len(text) <= longest else text[: max(0, longest - 1)] + "…"


def line(value: object, *, longest: int = 80) -> str:
    """Return plain text of one line, for a repr, a progress bar or a table's cell.

    >>> line("one\\n  two", longest=20)
    'one two'
    """
    return plain(" ".join(plain(value).split()), longest=longest)


def escaped(value: object, *, longest: int | None = None) -> str:
    """Return plain text for HTML: in an element, in a quoted attribute, or in plotly's labels.

    >>> escaped("<script>alert(1)</script>")
    '&lt;script&gt;alert(1)&lt;/script&gt;'
    """
    return html.escape(plain(value, longest=longest))


def markdown(value: object) -> str:
    """Return a model's Markdown as sanitised HTML, of a small set of elements.

    No images, styles, forms or raw HTML; links are of http, https and mailto, open elsewhere and tell nobody where they
    were clicked. MathJax passes over it: its `\\\\href` would run scripts.

    >>> print(markdown("**bold**, <b>raw</b>"))
    <div class="mathjax_ignore tex2jax_ignore"><p><strong>bold</strong>, &lt;b&gt;raw&lt;/b&gt;</p>
    </div>
    """
    text = plain(value)
    short = len(text) <= LONGEST_MARKDOWN
    body = _clean(_parser().render(text)) if short else f"<pre>{html.escape(text)}</pre>"
    return f'<div class="mathjax_ignore tex2jax_ignore">{body}</div>'


@functools.cache
def _parser() -> Any:
    """CommonMark with tables; raw HTML is text, and an image becomes its link, which somebody must click."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def _clean(markup: str) -> str:
    import nh3

    return _cleaner(nh3)(markup)


@functools.cache
def _cleaner(nh3: Any) -> Callable[[str], str]:
    clean: Callable[[str], str] = nh3.Cleaner(
        tags=set(TAGS), attributes={"*": set(), "a": {"href"}}, attribute_filter=_address,
        url_schemes={"http", "https", "mailto"}, link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    ).clean  # fmt: skip
    return clean


def _address(_tag: str, attribute: str, value: str) -> str | None:
    """A relative link would lead into the reader's own Jupyter."""
    return value if attribute != "href" or _ABSOLUTE.match(value) else None
