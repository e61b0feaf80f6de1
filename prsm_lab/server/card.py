"""What a running server shows of itself in a cell: where it is, how to reach it, what it did. Never a key."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from prsm_lab.server.share import Share

REFRESH_SECONDS: Final = 1.0
"""How often the counts of a card that is shown are looked at."""


def card(share: Share) -> str:
    """Return the card as HTML that needs no script and follows JupyterLab's theme."""
    counts = share.counts
    state = ("#2e9e5b", "running") if share.running else ("#999", "stopped")
    figures = " · ".join(
        f"<b>{counts[name]:,}</b> {word}"
        for name, word in (("requests", "requests"), ("streams", "streams"), ("open", "open now"))
    )
    return f"""<div style="font-family:var(--jp-ui-font-family,system-ui);font-size:13px;line-height:1.6;
border:1px solid var(--jp-border-color2,#ccc);border-radius:6px;padding:12px 16px;max-width:760px">
<div><span style="color:{state[0]}">●</span> <b>Share server</b> {state[1]}
&nbsp; <a href="{html.escape(share.url, quote=True)}/" target="_blank" rel="noopener">{html.escape(share.url)}</a></div>
<div style="opacity:.75">{figures}</div>
<div style="margin-top:8px">A colleague sets</div>
<pre style="margin:2px 0 8px;padding:8px;background:var(--jp-layout-color2,#f4f4f4);overflow-x:auto">export \
PRSM_API_URL={html.escape(share.url)}
export PRSM_API_KEY=…   # share.new_key("name"){html.escape(_hint(share))}</pre>
<div>or asks without Python</div>
<pre style="margin:2px 0 0;padding:8px;background:var(--jp-layout-color2,#f4f4f4);\
overflow-x:auto">{html.escape(share.curl)}</pre></div>"""


def show(share: Share) -> Callable[[], None]:
    """Show the card in the cell that is running, and return what brings it up to date where it stands.

    A display's update is a message of the kernel that every notebook frontend knows and that ends up in the saved
    notebook; a widget would need its manager to be read again.
    """
    from IPython import get_ipython
    from IPython.display import display

    handle: Any = display(_bundle(share), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    if handle is None or not hasattr(get_ipython(), "kernel"):
        return lambda: None  # IPython in a terminal would print it anew
    return lambda: handle.update(_bundle(share), raw=True)


def _bundle(share: Share) -> dict[str, str]:
    return {"text/html": card(share), "text/plain": repr(share)}


def _hint(share: Share) -> str:
    return "" if share.last_key is None else f"; the last one made begins {share.last_key}"
