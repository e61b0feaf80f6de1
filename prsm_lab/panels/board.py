"""The view of a panel: one widget, whatever the panel. It shows what the state says and passes on what is clicked.

Text that streams would drown a widget whose whole value is replaced: it lags by seconds. So the kernel sends what is
new, for all columns together, some 15 times a second at most, and the page appends it. Such messages are not part of
a widget's state; the whole state is synced every two seconds and at the end, for a second view, a reload, a save.

What is clicked comes over the kernel's control channel where there is one: it is read while a cell runs, on every
ipykernel from 6 on, where a comm message waits for the cell's end.
"""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
import time
import weakref
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import anywidget

    from prsm_lab.panels.panel import Panel
    from prsm_lab.types import JSON

NEWS_SECONDS: Final = 0.066
SYNC_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 2.0
CHANNEL: Final = "prsm_lab_panel"
"""The message type on the control channel."""
_ALONE: Final = (
    "<style>.jp-OutputArea-child:not(:has(.prsm)):has(+ .jp-OutputArea-child .prsm-still-{id}) "
    "{{ display: none; }}</style>"
)
"""Without its kernel, JupyterLab shows an error in the widget's place, which is the static form's neighbour."""
_PAGE: Final = files("prsm_lab.panels").joinpath("page")
_boards: Final[weakref.WeakValueDictionary[str, Board]] = weakref.WeakValueDictionary()


def show(panel: Panel) -> None:
    """Show a panel in the cell that is running: its widget, and below it the static form, which a live page hides.

    The static form is what remains of it on a code host, in nbconvert, and where the kernel is gone; it is brought up
    to date whenever the panel comes to rest.
    """
    from IPython.display import display

    view = _board(panel)
    widget = {"text/plain": repr(panel), **view.mimebundle()}
    display(widget, raw=True)  # type: ignore[no-untyped-call]
    still: Any = display(view.still(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    if still is not None and _kernel() is not None:
        view.stills.append(lambda: still.update(view.still(), raw=True))
        _settle_after_cells()


def _board(panel: Panel) -> Board:
    """The panel's board: a second cell shows another view of the same."""
    known = next((one for one in _boards.values() if one.panel is panel), None)
    return known or Board(panel)


class Board:
    """One panel's widget and the loop that keeps it true."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.id = secrets.token_hex(8)
        self.stills: list[Callable[[], None]] = []
        """What brings the static forms up to date."""
        self._pump: asyncio.Task[None] | None = None
        self._again = False
        self._stale = False
        self._pid = os.getpid()
        self._widget = _widget(panel.kind)(state=panel.snapshot(), board=self.id, control=_listen())
        self._widget.on_msg(lambda _widget, content, buffers: self.obey(content, buffers))
        _boards[self.id] = self
        panel.watch(self)

    def mimebundle(self) -> dict[str, Any]:
        """Return the widget as a notebook displays it."""
        made = self._widget._repr_mimebundle_()
        data = made[0] if isinstance(made, tuple) else made
        return {name: value for name, value in (data or {}).items() if name != "text/plain"}

    def still(self) -> dict[str, str]:
        """Return the static form."""
        return {
            "text/html": _ALONE.format(id=self.id) + f'<div class="prsm-still-{self.id}">{self.panel.html()}</div>',
            "text/plain": repr(self.panel),
        }

    def obey(self, content: JSON, buffers: Sequence[Any] = ()) -> None:
        """Do what the page asks; comes on whatever thread reads the channel.

        A key that was typed comes in a buffer beside the content, which a kernel that logs its messages writes out.
        """
        given = content.get("with")
        if buffers and isinstance(given, dict):
            given = {**given, "key": Secret(bytes(buffers[0]).decode("utf-8", "replace"))}
        self.panel.obey(content.get("do"), given)

    def wake(self) -> None:
        """There is something new; may be called on any thread, as often as one likes."""
        self._stale = True
        if os.getpid() == self._pid:
            portal.loop().call_soon_threadsafe(self._start)

    def settle(self) -> None:
        """Wait until the page and the static form show what there is, unless more is on its way."""
        if not self._stale or self.panel.busy or os.getpid() != self._pid or portal.inside():
            return
        portal.call(self._settled())
        self._stale = False
        for update in self.stills:  # from this cell too: what another thread publishes, some readers pass over
            update()

    async def _settled(self) -> None:
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=SETTLE_SECONDS)

    def _start(self) -> None:
        self._again = True
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        synced = time.monotonic()
        while self._again or self.panel.busy:
            self._again = False
            if (news := self.panel.news()) is not None:
                self._widget.send(news)
            if time.monotonic() - synced >= SYNC_SECONDS:
                self._widget.state = self.panel.snapshot()
                synced = time.monotonic()
            await asyncio.sleep(NEWS_SECONDS)
        self._widget.state = self.panel.snapshot()
        for update in self.stills:
            update()


@functools.cache
def _widget(kind: str) -> type[anywidget.AnyWidget]:
    """The widget class of a kind of panel: the common script and style, and its own."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise InvalidRequestError("Panels need anywidget: pip install anywidget.") from None

    script, style = (
        "\n".join(_PAGE.joinpath(f"{name}.{end}").read_text("utf-8") for name in ("kit", kind)) for end in ("js", "css")
    )
    fields = {
        "_esm": script,
        "_css": style,
        "state": traitlets.Dict().tag(sync=True),
        "board": traitlets.Unicode().tag(sync=True),
        "control": traitlets.Bool().tag(sync=True),
    }
    return type(f"{kind.title()}Board", (anywidget.AnyWidget,), fields)


@functools.cache
def _settle_after_cells() -> None:
    """Bring the static forms up to date at the end of each cell: a notebook is saved with what its cells did."""
    from IPython import get_ipython

    shell: Any = get_ipython()
    shell.events.register("post_execute", _settle_all)


def _settle_all() -> None:
    for board in list(_boards.values()):
        board.settle()


# ------------------------------------------------------------------------------------------- the control channel


def _kernel() -> Any:
    """The IPython kernel that runs this code, if there is one."""
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def _listen() -> bool:
    """Read what pages send over the control channel; tell whether it is read."""
    handlers = getattr(_kernel(), "control_handlers", None)
    if not isinstance(handlers, dict):
        return False
    handlers[CHANNEL] = _heard
    return True


async def _heard(*given: Any) -> None:
    """A message of a page: ipykernel passes stream, identities, message."""
    content = given[-1].get("content") or {}
    board = _boards.get(str(content.get("board")))
    if board is not None:
        board.obey(content, given[-1].get("buffers") or ())
