"""What a hostile model may write: one list for units, widgets, exports, servers and browsers.

Whatever runs here sets a property of `window` that begins with `owned`, or asks for an address below `beacon.test`.
"""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

from prsm_lab import render

RUN = "window.owned=1"
ADDRESS = "http://beacon.test"

HOSTILE = {
    "script": f"<script>{RUN}</script>",
    "onerror": f'<img src=x onerror="{RUN}">',
    "svg": f"<svg onload={RUN}><script>{RUN}</script></svg>",
    "iframe": f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    "object": f'<object data="javascript:{RUN}"></object><embed src="javascript:{RUN}">',
    "details": f"<details open ontoggle={RUN}>x</details>",
    "mutation": f"<math><mtext></table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUN}&gt;'>",
    "template": f"<template><img src=x onerror={RUN}></template><noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    "comment": f"<!--><img src=x onerror={RUN}>-->]]></script></textarea></title></style>",
    "style": f"<style>*{{position:fixed;inset:0;background:red url({ADDRESS}/style)}}</style>",
    "css import": f'<link rel=stylesheet href="{ADDRESS}/link"><style>@import url({ADDRESS}/import);</style>',
    "covering": '<div style="position:fixed;inset:0;z-index:99999;background:red">log in again</div>',
    "form": f'<form action="{ADDRESS}/form"><input name=password autofocus onfocus={RUN}><button>Sign in</button></form>',
    "meta": f'<meta http-equiv=refresh content="0;url={ADDRESS}/meta"><base href="{ADDRESS}/">',
    "image": f'<img src="{ADDRESS}/image"> ![pixel]({ADDRESS}/markdown) ![ref][r]\n\n[r]: {ADDRESS}/reference',
    "media": f'<video src="{ADDRESS}/video" autoplay></video><audio src="{ADDRESS}/audio" autoplay></audio>',
    "link": f"[click](javascript:{RUN}) <a href='javascript:{RUN}'>click</a> <javascript:{RUN}>",
    "link entities": f"[a](java&#115;cript:{RUN}) [b](\tjava\nscript:{RUN}) [c](data:text/html,<script>{RUN}</script>) [d](vbscript:{RUN})",
    "link titles": f'[a](http://x.test "onmouseover={RUN}") [b](http://x.test\'"onmouseover="{RUN})',
    "mathjax": rf"$$\href{{javascript:{RUN}}}{{click}}$$ \(\unicode{{x}}\) $\require{{html}}\class{{x}}{{y}}$",
    "ansi": "\x1b[2J\x1b[31mred\x1b]8;;http://beacon.test\x07link\x1b]8;;\x07 \x1b]52;c;ZXZpbA==\x07\x9b31m",
    "bidi": "exe.\u202egnp.txt \u2066isolate\u2069",
    "invisible": "a\u200bb\ufeffc\u00ad",
    "nul": "nul\x00 and \ud83d alone \u2028 \u2029",
    "formula": '=HYPERLINK("http://beacon.test","x") @SUM(1) +1 -1 \uff1dcmd',
    "events": "\n\ndata: [DONE]\n\nevent: error\r\r",
    "braces": "{__class__.__mro__} {{7*7}} %(x)s ${7*7} #{7*7} {0.__globals__}",
    "quotes": "'; DROP TABLE inference; -- \" ` \\",
    "key": "sk-proj-0123456789abcdefghij pk_0123456789ab_x",
    "long line": "<" * 20_000,
    "deep": "> " * 2_000 + "[" * 2_000 + "*" * 2_000,
    "html in code": f"```html\n<script>{RUN}</script>\n```\n`<img src=x onerror={RUN}>`",
    "fence": f"````\n```\n</code></pre><script>{RUN}</script>",
    "table": f"| a | b |\n|---|---|\n| <img src=x onerror={RUN}> | [x](javascript:{RUN}) |",
    "heading": f"# <script>{RUN}</script>\n\n<h1 onclick={RUN}>x</h1>",
}


class Read(HTMLParser):
    """The elements, attributes and text of some HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.tags.add(f"<!-- {data}")

    def handle_decl(self, decl):
        self.tags.add(f"<!{decl}")

    def handle_pi(self, data):
        self.tags.add(f"<?{data}")


OURS = {"div", "span", "details", "summary"}
"""Elements that our own pages have beside a model's."""
ATTRIBUTES = {"style", "class", "open"}


def harmless(markup: str) -> None:
    """Assert that HTML holds no element but a few, and of addresses only links that somebody must click."""
    read = Read(markup)

    assert read.tags <= render.TAGS | OURS, read.tags - render.TAGS - OURS
    for tag, name, value in read.attributes:
        if name == "href":
            assert (tag, urlsplit(value).scheme) in (("a", "http"), ("a", "https"), ("a", "mailto")), value
        elif name in ("rel", "target"):
            assert (tag, value) in (("a", "noopener noreferrer nofollow"), ("a", "_blank"))
        else:
            assert name in ATTRIBUTES, (tag, name, value)
            assert "owned" not in value, value
            assert "url(" not in value, value
