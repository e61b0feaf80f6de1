"""How many requests a route carries at once, and when it rests.

A *route* is one model at one provider. What it carries at once adapts to what it answers (`gradient`), below the
provider's ceiling, which holds for everything that goes through this engine. A `retry-after` closes the whole route
until then, and so does a limit that its headers call exhausted, so that no other request knocks inside an announced
pause, while other routes run on. Limits per minute that are set by hand are kept by `gate`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from prsm_lab.engine.gate import MARGIN_SECONDS, WINDOW_SECONDS, Gate, Ticket
from prsm_lab.engine.gradient import Gradient
from prsm_lab.engine.quotas import Quotas
from prsm_lab.engine.seats import SEAT
from prsm_lab.errors import InternalError, RateLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prsm_lab.ledger.pace import PaceBook
    from prsm_lab.types import Reply, Request, Target

HELD_SECONDS: Final = 0.5
"""A refusal comes sooner than that: a route that was silent for so long has let in what it was sent."""
TOLD_SECONDS: Final = 0.5
"""Pauses shorter than that are over before another process could know of them."""
LOOK_SECONDS: Final = 1.0
"""How often pauses are looked for that other processes were told of."""


class Route(NamedTuple):
    """What shares one limit: a model at a provider, by one of its keys."""

    provider: str
    model: str
    member: int | None = None


def route(target: Target) -> Route:
    return Route(target.provider, target.model, target.member)


class _House:
    """A provider: its ceiling, and the routes at which somebody waits."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling, self.busy = ceiling, 0
        self.queues: dict[Route, _Lane] = {}


class _Lane:
    """A route: what is known of it and who waits."""

    def __init__(self, where: Route, house: _House) -> None:
        self.where, self.house = where, house
        self.gradient = Gradient(house.ceiling)
        self.quotas = Quotas()
        self.busy = 0
        self.heard = time.monotonic()
        self.looked = float("-inf")
        self.gate: Gate | None = None
        self.account = ""
        self.waiting: deque[asyncio.Future[Pass]] = deque()
        self.alarm: asyncio.TimerHandle | None = None


class Pass:
    """Leave for one knock; a context manager that takes note of what comes of it and gives the slot back."""

    __slots__ = ("_heard", "_pace", "busy", "lane", "number", "sent", "ticket")

    def __init__(self, pace: Pace, lane: _Lane, number: int, busy: int, sent: float) -> None:
        self._pace, self.lane, self.number, self.busy, self.sent = pace, lane, number, busy, sent
        self.ticket: Ticket | None = None
        self._heard = False

    def heard(self, *, live: bool) -> None:
        """The provider answers: the first piece came, or all of it."""
        if self._heard:
            return
        self._heard = True
        lane, now = self.lane, time.monotonic()
        lane.heard = now
        lane.gradient.answered(now - self.sent, now, busy=lane.busy, live=live)
        if lane.waiting:
            self._pace.serve(lane.house)

    def answered(self, reply: Reply, *, live: bool) -> None:
        """Take note of a whole answer: of its tokens, and of what it says of the provider's limits."""
        self.heard(live=live)
        lane = self.lane
        lane.quotas.answered(reply.usage.total_tokens)
        if reply.limits:
            lane.quotas.told(reply.limits, self.number, time.monotonic())
        if lane.gate is not None and self.ticket is not None:
            lane.gate.correct(self.ticket, reply)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and _refuses(error):
            lane, now = self.lane, time.monotonic()
            lane.heard = now
            lane.gradient.refused(sent=self.sent, at=now, busy=self.busy)
            if isinstance(error, RateLimitError) and error.retry_after is not None:
                lane.quotas.refused(self.number, error.retry_after, now)
        self.lane.quotas.done(self.number)
        self._pace.leave(self.lane)


class Pace:
    """Slots and pauses of all routes of one engine.

    Args:
        ceilings: Most requests in flight at each provider.
        book: Opens what processes share, at first use; None: nothing is shared.
        account: Tells where a target really is and with which key it is asked, as a digest.
        window: Seconds that limits per minute are about.
        margin: Seconds that a request counts beyond them.
    """

    def __init__(
        self, ceilings: Mapping[str, int], *, book: Callable[[], PaceBook | None] | None = None,
        account: Callable[[Target], str] | None = None, window: float = WINDOW_SECONDS, margin: float = MARGIN_SECONDS,
    ) -> None:  # fmt: skip
        self._houses = {provider: _House(ceiling) for provider, ceiling in ceilings.items()}
        self._lanes: dict[Route, _Lane] = {}
        self._closed_until: dict[Route, float] = {}
        self._open_book, self._account = book, account
        self._book: PaceBook | None = None
        self._window, self._margin = window, margin

    def open(self, provider: str, ceiling: int) -> None:
        """Make room for a provider that is new; a known one keeps its slots, but what it said was of another key."""
        self._houses.setdefault(provider, _House(ceiling))
        for where, lane in self._lanes.items():
            if where.provider == provider:
                lane.quotas, lane.gate, lane.account = Quotas(), None, ""
                self._closed_until.pop(where, None)

    def limit(self, target: Target) -> int:
        """Return how many requests at once a route carries at the moment."""
        return min(self._lane(target).gradient.now, self._houses[target.provider].ceiling)

    # -------------------------------------------------------------------------------------------------- knocking

    def try_enter(self, request: Request, target: Target) -> Pass | None:
        """Take a slot if that takes no waiting at all; a `Pass` gives it back at its end."""
        lane, routing = self._lane(target), request.routing
        if lane.gate is not None or routing.rpm is not None or routing.tpm is not None:
            return None
        seat = SEAT.get()
        if lane.waiting or (seat is not None and not seat.held):
            return None
        return self._admit(lane)

    async def enter(self, request: Request, target: Target) -> Pass:
        """Take a slot as soon as the route takes one more, is not resting, and its limits per minute allow it."""
        lane = self._lane(target)
        gate = self._gate(lane, request)
        if gate is None:
            return await self._enter(lane)
        seat = SEAT.get()
        if seat is not None and gate.turn.locked():
            seat.give(queued=True)
        async with gate.turn:
            while True:
                leave = await self._enter(lane)
                try:
                    found = gate.admit(request, target)
                except BaseException:
                    self._take_back(leave)
                    raise
                if isinstance(found, Ticket):
                    leave.ticket = found
                    return leave
                self._take_back(leave)
                if seat is not None:
                    seat.give(queued=True)
                await gate.wait(found)

    async def _enter(self, lane: _Lane) -> Pass:
        seat = SEAT.get()
        while True:
            if lane.waiting or (leave := self._admit(lane)) is None:
                if seat is not None:
                    seat.give(queued=True)
                leave = await self._queue(lane)
            try:
                if seat is not None:
                    await seat.take()
            except BaseException:
                self._take_back(leave)
                raise
            if self._closed_until.get(lane.where, 0.0) <= time.monotonic():
                leave.sent = time.monotonic()
                return leave
            self._take_back(leave)  # another request was told to wait while this one waited for its seat

    def _admit(self, lane: _Lane) -> Pass | None:
        """Take a slot, if there is one now."""
        now, house = time.monotonic(), lane.house
        if lane.busy >= lane.gradient.now or house.busy >= house.ceiling:
            return None
        if self._open_book is not None and now - lane.looked > LOOK_SECONDS:
            self._ask_others(lane, now)
        if self._closed_until.get(lane.where, 0.0) > now:
            return None
        if lane.quotas.until(now) is not None:
            return None
        lane.busy += 1
        house.busy += 1
        return Pass(self, lane, lane.quotas.take(now), lane.busy, now)

    def _take_back(self, leave: Pass) -> None:
        """A slot that was taken and not used."""
        leave.lane.quotas.give_back(leave.number)
        self.leave(leave.lane)

    def leave(self, lane: _Lane) -> None:
        """Give a slot back; `Pass` does."""
        lane.busy -= 1
        lane.house.busy -= 1
        if lane.house.queues:
            self.serve(lane.house)

    # --------------------------------------------------------------------------------------------------- waiting

    async def _queue(self, lane: _Lane) -> Pass:
        """Wait for a slot, in turn."""
        mine: asyncio.Future[Pass] = asyncio.get_running_loop().create_future()
        lane.waiting.append(mine)
        lane.house.queues[lane.where] = lane
        self._arm(lane)
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._take_back(mine.result())  # it was handed over in the same moment
            raise

    def serve(self, house: _House) -> None:
        """Hand the slots that are free to those who wait, one route after the other."""
        for where, lane in list(house.queues.items()):
            while lane.waiting:
                if lane.waiting[0].done():
                    lane.waiting.popleft()
                elif (leave := self._admit(lane)) is not None:
                    lane.waiting.popleft().set_result(leave)
                else:
                    break
            del house.queues[where]
            if lane.waiting:
                house.queues[where] = lane  # at the end: another route is the first to be served next time
            elif lane.alarm is not None:
                lane.alarm.cancel()
                lane.alarm = None

    def _arm(self, lane: _Lane) -> None:
        """Look again when a pause ends, or when silence has lasted long enough to be good news."""
        if lane.alarm is not None:
            return
        now = time.monotonic()
        when = max(self._closed_until.get(lane.where, 0.0), lane.quotas.until(now) or 0.0)
        delay = when - now if when > now else HELD_SECONDS
        lane.alarm = asyncio.get_running_loop().call_later(min(delay, LOOK_SECONDS), self._ring, lane)

    def _ring(self, lane: _Lane) -> None:
        lane.alarm = None
        if lane.busy >= lane.gradient.now and time.monotonic() - lane.heard >= HELD_SECONDS:
            lane.gradient.held()
        self.serve(lane.house)
        if lane.waiting:
            self._arm(lane)

    # ---------------------------------------------------------------------------------------------------- pauses

    def rest(self, target: Target, seconds: float) -> None:
        """Close a route for so long, counted from now; a longer pause that is already set stays."""
        where, now = route(target), time.monotonic()
        until = now + seconds
        known = self._closed_until.get(where, 0.0)
        self._closed_until[where] = max(known, until)
        book = self._shared() if seconds >= TOLD_SECONDS and until > known + 0.1 else None
        if book is not None:
            with contextlib.suppress(InternalError):  # it holds here; the others find out by themselves
                book.rest(self._name(self._lane(target)), time.time() + seconds)

    def _ask_others(self, lane: _Lane, now: float) -> None:
        """Rest if another process with this key was told to."""
        lane.looked = now
        book = self._shared()
        if book is None:
            return
        with contextlib.suppress(InternalError):
            left = book.resting(self._name(lane)) - time.time()
            if left > 0:
                known = self._closed_until.get(lane.where, 0.0)
                self._closed_until[lane.where] = max(known, now + left)

    # --------------------------------------------------------------------------------------------------- helpers

    def _lane(self, target: Target) -> _Lane:
        where = route(target)
        lane = self._lanes.get(where)
        if lane is None:
            lane = self._lanes[where] = _Lane(where, self._houses[where.provider])
        if not lane.account:
            lane.account = self._account(target) if self._account is not None else "here"
        return lane

    def _gate(self, lane: _Lane, request: Request) -> Gate | None:
        """The door with the limits that hold at a route, if any do."""
        routing = request.routing
        if routing.rpm is not None or routing.tpm is not None:
            if lane.gate is None:
                name = self._name(lane)
                lane.gate = Gate(name, self._shared, window=self._window, margin=self._margin)
            lane.gate.set(request.run, routing.rpm, routing.tpm)
        elif lane.gate is not None and lane.gate.limits() is None and not lane.gate.turn.locked():
            lane.gate = None
        return lane.gate

    def _name(self, lane: _Lane) -> str:
        return f"{lane.where.provider} {lane.where.model} {lane.account}"

    def _shared(self) -> PaceBook | None:
        if self._book is None and self._open_book is not None:
            try:
                self._book = self._open_book()
            except InternalError:
                self._book = None  # a ledger out of reach says so itself, at the first answer
            if self._book is None:
                self._open_book = None
        return self._book

    def close(self) -> None:
        """Close what is shared."""
        if self._book is not None:
            self._book.close()
        self._book = self._open_book = None


def _refuses(error: BaseException) -> bool:
    """Does a fault say that there were too many requests? One too large for any minute says nothing of others."""
    if isinstance(error, RateLimitError):
        return error.verdict == "retry"
    details = getattr(error, "details", None)
    return isinstance(details, dict) and details.get("kind") == "overloaded"
