"""One call at a time asks a run: whoever comes second waits, and finds the answers in the ledger."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from prsm_lab.errors import InternalError
from prsm_lab.ledger.turns import TurnBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prsm_lab.ledger import Ledger

LOOK_SECONDS: Final = 0.25
BEAT_SECONDS: Final = 60.0
"""A process of another machine counts as dead that has not said for ten minutes that it is at work."""


class Turns:
    """The turns of one engine's runs.

    Args:
        ledger: Where they are kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._book = TurnBook(ledger)

    @asynccontextmanager
    async def of(self, run: str, told: Callable[[str | None], None]) -> AsyncIterator[None]:
        """Hold a run's turn for the block; wait until it is free.

        Args:
            run: The run's id.
            told: Called with the mark of the process that is waited for, and with None when the wait is over.
        """
        holder = secrets.token_hex(8)
        while (other := self._book.take(run, holder)) is not None:
            told(other)
            await asyncio.sleep(LOOK_SECONDS)
        told(None)
        beating = asyncio.create_task(self._beat(run, holder))
        try:
            yield
        finally:
            beating.cancel()
            with suppress(InternalError):  # a full disk: the turn is free when this process ends
                self._book.leave(run, holder)

    async def _beat(self, run: str, holder: str) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(InternalError):
                self._book.take(run, holder)
