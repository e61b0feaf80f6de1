"""The state of a panel: plain values and methods, with no widget in them. A `board.Board` shows it, a test calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prsm_lab.types import JSON


class View(Protocol):
    """What shows a panel."""

    def wake(self) -> None:
        """There is something new."""
        ...

    def settle(self) -> None:
        """Show all there is, now."""
        ...


class Panel:
    """What every panel is.

    A subclass names its page (`kind`), says all it shows (`snapshot`), what is new (`news`), what can be done
    (`commands`), whether it works (`busy`), and how it reads where no widget lives (`html`).
    """

    kind: ClassVar[str] = ""
    """Name of its script and style in `page/`."""

    def __init__(self) -> None:
        self.notice = ""
        """What the person is told: the last fault with its remedy."""
        self._views: list[View] = []

    # --------------------------------------------------------------------------------------- for a view

    def snapshot(self) -> JSON:
        """Return all that is shown; it is what a second view, a reload and a saved notebook start from."""
        raise NotImplementedError

    def news(self) -> JSON | None:
        """Return what has changed since the last call, None if nothing has; the page merges it."""
        return {"state": self.snapshot()}

    @property
    def commands(self) -> Mapping[str, Callable[..., None]]:
        """What the page may call; each returns at once."""
        return {}

    @property
    def busy(self) -> bool:
        """Is something still at work, so that a view has to look again?"""
        return False

    def html(self) -> str:
        """Return the static form: HTML that needs no script, no style and no kernel to be read."""
        raise NotImplementedError

    def obey(self, command: object, given: object) -> None:
        """Do what the page asks; a fault becomes the notice."""
        known = self.commands.get(command) if isinstance(command, str) else None
        if known is None:
            return
        self.notice = ""
        try:
            known(**(given if isinstance(given, dict) else {}))
        except PRSMError as fault:
            self.notice = fault.message
        except Exception as fault:  # noqa: BLE001 -- an edge: a fault here would vanish in the kernel's log
            self.notice = f"{type(fault).__name__}: {fault}"
        self.changed()

    # --------------------------------------------------------------------------------------- for a subclass

    def watch(self, view: View) -> None:
        """Tell a view of each change, on any thread."""
        self._views.append(view)

    def changed(self) -> None:
        """Tell the views that there is something new."""
        for view in self._views:
            view.wake()

    def settle(self) -> None:
        """Wait until all views show what there is: a notebook that ends here is saved with it."""
        for view in self._views:
            view.settle()

    def _ipython_display_(self) -> None:
        """Show the panel in the cell that is running."""
        from prsm_lab.panels import board

        board.show(self)
