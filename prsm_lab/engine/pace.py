"""How many requests a route carries at once, and when it rests.

A *route* is one model at one provider. Its ceiling holds for everything that goes through this engine; a
`retry-after` closes the whole route until then, so that no other request knocks inside an announced pause,
while other routes run on.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.types import Target


class Route(NamedTuple):
    """What shares one limit: a model at a provider."""

    provider: str
    model: str


def route(target: Target) -> Route:
    return Route(target.provider, target.model)


class Pace:
    """Slots per provider and pauses per route.

    Args:
        ceilings: Most requests in flight at each provider.
    """

    def __init__(self, ceilings: Mapping[str, int]) -> None:
        self._slots = {provider: asyncio.Semaphore(ceiling) for provider, ceiling in ceilings.items()}
        self._closed_until: dict[Route, float] = {}

    def open(self, provider: str, ceiling: int) -> None:
        """Make room for a provider that is new; one that is known keeps its slots."""
        self._slots.setdefault(provider, asyncio.Semaphore(ceiling))

    async def enter(self, target: Target) -> None:
        """Take one of the provider's slots, once the route's pause is over; `leave` gives it back."""
        where = route(target)
        slots = self._slots[where.provider]
        while True:
            rest = self._closed_until.get(where, 0.0) - time.monotonic()
            if rest > 0:  # waited for outside the slot: a resting route holds none; it may be made longer meanwhile
                await asyncio.sleep(rest)
                continue
            await slots.acquire()
            if self._closed_until.get(where, 0.0) <= time.monotonic():
                return
            slots.release()  # another request was told to wait while this one queued for the slot

    def is_free(self, target: Target) -> bool:
        """Tell whether `enter` would not wait."""
        where = route(target)
        return not self._slots[where.provider].locked() and where not in self._closed_until

    def leave(self, target: Target) -> None:
        """Give a slot back."""
        self._slots[target.provider].release()

    def rest(self, target: Target, seconds: float) -> None:
        """Close a route for so long, counted from now; a longer pause that is already set stays."""
        where = route(target)
        self._closed_until[where] = max(self._closed_until.get(where, 0.0), time.monotonic() + seconds)
