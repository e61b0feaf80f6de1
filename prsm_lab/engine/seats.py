"""The seat of a question in a crew: who waits for a route gives it up, so that others are asked meanwhile."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Protocol


class Seat(Protocol):
    """A place among the questions of a run that may be in flight at once."""

    held: bool

    def give(self, *, queued: bool) -> None:
        """Let another question have it; `queued`: this one waits for its route, which takes no more at the moment."""
        ...

    async def take(self) -> None:
        """Wait for it, if it is not held."""
        ...


SEAT: ContextVar[Seat | None] = ContextVar("SEAT", default=None)
"""The seat of the question that the running task asks; None: it is not asked by a crew."""


async def nap(seconds: float) -> None:
    """Sleep without the seat; who knocks afterwards takes it again (`pace` does)."""
    seat = SEAT.get()
    if seat is not None:
        seat.give(queued=False)
    await asyncio.sleep(seconds)
