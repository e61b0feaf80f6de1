"""Many questions at once: a crew of workers over one iterator, whose size may change while it works."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from prsm_lab.engine.seats import SEAT
from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prsm_lab.protocols import Engine
    from prsm_lab.types import Inference, Request

    Deliver: TypeAlias = Callable[[int, Inference | PRSMError], None]

LOOKAHEAD: Final = 10_000
"""Questions of routes that rest which are put aside at most, on the search for one whose route does not."""


async def run(engine: Engine, requests: Iterable[Request], *, concurrency: int, deliver: Deliver) -> None:
    """Ask all questions, so many at a time, and hand each outcome over as it comes; see `Crew.run`.

    Args:
        engine: Who answers.
        requests: The questions; read only as fast as they are asked.
        concurrency: Most questions in flight.
        deliver: Called on the engine's loop with the question's position and its answer or error. An answer
            is already in the ledger when it is delivered.
    """
    await Crew(concurrency).run(engine, requests, deliver=deliver)


class _Item(NamedTuple):
    position: int
    request: Request

    @property
    def lane(self) -> tuple[str, str | None]:
        """What questions share that wait for the same route."""
        return self.request.model, self.request.routing.provider


class Crew:
    """Workers over one iterator, not a task per question: memory stays flat and no slot waits for a window to fill.

    A question that waits for its route (a pause after a 429, a limit per minute) gives its seat to the next one, and
    while it waits, questions of that model are put aside and others asked: a model that rests takes no worker from one
    that does not. `size`, `pause` and `resume` may be used from any thread while it runs.

    Args:
        size: Most questions in flight.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._paused = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._working = 0
        self._napping = 0
        self._queued: Counter[tuple[str, str | None]] = Counter()
        self._returning: deque[asyncio.Future[None]] = deque()

    @property
    def size(self) -> int:
        """Most questions in flight; more workers start at once, fewer end after their present question."""
        return self._size

    @size.setter
    def size(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"A crew of {size} asks nothing; use pause().")
        self._size = size
        self._nudge()

    @property
    def paused(self) -> bool:
        """Whether no new question begins."""
        return self._paused

    def pause(self) -> None:
        """Begin no new question; those that have begun end."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._nudge()

    def _nudge(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._look)

    async def run(self, engine: Engine, requests: Iterable[Request], *, deliver: Deliver) -> None:
        """Ask all questions, and hand each outcome over as it comes.

        Cancelling cancels what is in flight and returns when every connection is closed.

        Args:
            engine: Who answers.
            requests: The questions; read only as fast as they are asked.
            deliver: Called on the engine's loop with the question's position and its answer or error.
        """
        self._engine, self._deliver = engine, deliver
        self._coming: Iterator[tuple[int, Request]] | None = iter(enumerate(requests))
        self._aside: dict[tuple[str, str | None], deque[_Item]] = {}
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._staff = 0
        self._breaking_up = False
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._hire()
                while self._goes_on():
                    await self._changed.wait()
                    self._changed.clear()
                    self._hire()
        except BaseExceptionGroup as several:  # workers meet one fault, as a full disk, together
            raise several.exceptions[0] from None
        finally:
            self._loop = None
            self._working = self._napping = 0
            self._queued.clear()
            self._returning.clear()

    # ------------------------------------------------------------------------------------------------- workers

    def _goes_on(self) -> bool:
        return bool(self._staff or self._coming is not None or self._aside)

    def _look(self) -> None:
        """Let the run see what has changed: hiring reads the caller's iterator, whose errors belong to it."""
        self._changed.set()

    def _hire(self) -> None:
        """Fill the seats that are free: with questions that wait to go on, then with new ones."""
        while self._returning and self._working < self._size:
            back = self._returning.popleft()
            if not back.done():
                self._working += 1
                back.set_result(None)
        while self._working < self._size and not self._returning and not self._breaking_up:
            item = self._next()
            if item is None:
                return
            self._working += 1
            self._staff += 1
            self._group.create_task(self._work(item))

    async def _work(self, item: _Item | None) -> None:
        """Ask one question after the other for as long as there is a seat for it."""
        try:
            while item is not None:
                seat = _Seat(self, item.lane)
                SEAT.set(seat)
                outcome: Inference | PRSMError
                try:
                    outcome = await self._engine.create(item.request)
                except PRSMError as error:
                    if error.details.get("kind") == "ledger":
                        raise  # what cannot be written down is not bought
                    outcome = error
                finally:
                    seat.leave()
                self._deliver(item.position, outcome)
                kept = seat.held and self._working <= self._size and not self._returning
                item = self._next() if kept else None
        except BaseException:
            self._breaking_up = True
            raise
        self._staff -= 1
        if seat.held:
            self.free()
        self._look()

    def _next(self) -> _Item | None:
        """The next question that may begin: one put aside whose route is free again, or the next of the iterator."""
        if self._paused:
            return None
        for lane, items in self._aside.items():
            if lane not in self._queued:
                if len(items) == 1:
                    del self._aside[lane]
                return items.popleft()
        while self._coming is not None and sum(map(len, self._aside.values())) < LOOKAHEAD:
            found = next(self._coming, None)
            if found is None:
                self._coming = None
                return None
            item = _Item(*found)
            if not self._queued or item.lane not in self._queued:
                return item
            self._aside.setdefault(item.lane, deque()).append(item)
        return None

    # --------------------------------------------------------------------------------------------------- seats

    def free(self) -> None:
        """Hand a seat on: to a question that waits to go on, else to a new one."""
        while self._returning and self._working <= self._size:
            back = self._returning.popleft()
            if not back.done():
                back.set_result(None)
                return
        self._working -= 1
        self._look()

    def aside(self, lane: tuple[str, str | None] | None) -> bool:
        """Note that a question waits without a seat; None: it naps. False: too many nap, it must keep its seat."""
        if lane is not None:
            self._queued[lane] += 1
        elif self._napping < self._size:
            self._napping += 1
        else:
            return False
        return True

    def back(self, lane: tuple[str, str | None] | None) -> None:
        """Note that it waits no longer."""
        if lane is None:
            self._napping -= 1
            return
        self._queued[lane] -= 1
        if not self._queued[lane]:
            del self._queued[lane]
            self._look()

    async def reseat(self) -> None:
        """Wait for a free seat; a pause does not keep a question from its end that has begun."""
        if self._working < self._size and not self._returning:
            self._working += 1
            return
        free = asyncio.get_running_loop().create_future()
        self._returning.append(free)
        try:
            await free
        except asyncio.CancelledError:
            if free.done() and not free.cancelled():
                self.free()  # it was handed over in the same moment
            elif free in self._returning:
                self._returning.remove(free)
            raise


class _Seat:
    """One question's seat."""

    __slots__ = ("_aside", "_crew", "_lane", "_queued", "held")

    def __init__(self, crew: Crew, lane: tuple[str, str | None]) -> None:
        self._crew, self._lane = crew, lane
        self.held = True
        self._aside = self._queued = False

    def give(self, *, queued: bool) -> None:
        """Let another question have it; too many that merely nap keep theirs."""
        if self._aside:
            if queued == self._queued:
                return
            self.leave()
        self._aside = self._crew.aside(self._lane if queued else None)
        self._queued = queued
        if self._aside and self.held:
            self.held = False
            self._crew.free()

    async def take(self) -> None:
        """Wait for it, if it is not held."""
        self.leave()
        if not self.held:
            await self._crew.reseat()
            self.held = True

    def leave(self) -> None:
        """Wait no longer."""
        if self._aside:
            self._aside = False
            self._crew.back(self._lane if self._queued else None)
