"""The windows of an engine by name. One that is replaced closes when nobody asks through it any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prsm_lab.engine.balance import Pool
from prsm_lab.engine.fleet import AWAY
from prsm_lab.errors import ConflictError, InternalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prsm_lab.protocols import Provider
    from prsm_lab.types import Target


RESERVED_FILES: Final = 96
"""Of those that a process may open: ledger, kernel, what the user's own code reads."""


class Windows:
    """What an engine asks through; all but the making of it happens on the engine's loop.

    Args:
        providers: Windows by name.
    """

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._here = dict(providers)
        self._asking: Counter[int] = Counter()
        """By identity: a window of one's own need not be hashable."""
        self._leaving: dict[int, Provider] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __getitem__(self, name: str) -> Provider:
        pool = self.pool(name)
        return self._here[name] if pool is None else pool.members[0]

    def pool(self, name: str) -> Pool | None:
        """Return a provider's keys and endpoints, where it has several."""
        window = self._here.get(name)
        return window if isinstance(window, Pool) else None

    def origins(self) -> dict[str, str]:
        """Return where each provider really is."""
        return {name: window.origin for name, window in self._here.items()}

    def of(self, target: Target) -> Provider:
        """Return the window to a target.

        Raises:
            ConflictError: If its provider has been moved since the target was chosen: an answer from the new place
                would be filed as one from the old.
        """
        window = self._here.get(target.provider)
        if window is None or (target.origin and target.origin != window.origin):
            raise ConflictError(
                f"{target.provider} was {'moved' if window else 'taken away'} while this question waited. Ask again; "
                "nothing was sent.",
                provider=target.provider, details={"not_sent": True},
            )  # fmt: skip
        return window

    def through(self, target: Target) -> Provider:
        """Return what a target is asked through: its window here, or the workers that the running task has.

        Raises:
            ConflictError: See `of`.
        """
        here, fleet = self.of(target), AWAY.get()
        return here if fleet is None else fleet.window(target.provider, here.origin)

    async def ready(self, target: Target) -> None:
        """Load what a target's window is slow to load.

        Raises:
            PRSMError: If it cannot be asked: no key, moved.
        """
        window = self.through(target)
        if isinstance(window, Pool) and target.member is not None:
            window = window.members[target.member]
        await window.ready()

    def account(self, target: Target) -> str:
        """Return a digest of where a target is and of the key that it is asked with: who shares its limits."""
        window = self._here.get(target.provider)
        if isinstance(window, Pool):
            window = window.members[target.member or 0]
        return str(getattr(window, "account", "") or getattr(window, "origin", ""))

    @contextmanager
    def held(self, target: Target) -> Iterator[Provider]:
        """Hold a target's window open for as long as it is asked through."""
        window = self.of(target)
        self._asking[id(window)] += 1
        try:
            yield self.through(target)
        finally:
            self._asking[id(window)] -= 1
            self._leave(window)

    def put(self, name: str, window: Provider | None) -> None:
        """Ask through another window from now on, or through none; the one that was there closes when it is idle."""
        old = self._here.pop(name, None)
        if window is not None:
            self._here[name] = window
        if old is not None and old is not window:
            self._leaving[id(old)] = old
            self._leave(old)

    def _leave(self, window: Provider) -> None:
        if self._asking[id(window)]:
            return
        del self._asking[id(window)]
        if self._leaving.pop(id(window), None) is not None:
            task = asyncio.get_running_loop().create_task(window.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close them all."""
        for window in (*self._here.values(), *self._leaving.values()):
            await window.aclose()
        if self._closing:
            await asyncio.wait(set(self._closing))


def most_connections(wanted: int) -> int:
    """Return how many connections this process may hold, `wanted` at most (`ulimit -n`, less what else is open)."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED_FILES))


def broken(target: Target, bug: Exception) -> InternalError:
    """Return what is said of a window that raised something else than a `PRSMError`; never its own words."""
    return InternalError(
        f"Provider {target.provider!r} failed inside prsm_lab: {type(bug).__name__}. This is a bug, not the model's "
        "fault; it was neither retried nor sent on.",
        provider=target.provider, details={"kind": type(bug).__name__},
    )  # fmt: skip
