"""How many requests at once a route carries, learnt from its answers. Pure: no clock and no loop of its own.

TCP's congestion control (slow start, additive increase, multiplicative decrease: RFC 5681) over requests, in the
manner of Netflix's concurrency-limits (Gradient2Limit): a route whose answers take much longer than they used to is
queueing, and more requests would only wait there. What is refused (429, 529) halves the limit once per round trip;
the level that was refused is remembered and tried again rarely, so that finding it costs less than one refusal in a
hundred answers.
"""

from __future__ import annotations

from typing import Final

START: Final = 16
"""Requests at once on a route of which nothing is known."""
QUICK: Final = 2
"""Requests more for each answer while nothing has gone wrong: three times as many every round trip. Doubling, as TCP
does, takes four round trips from 16 to 256, a sixth of the time that 5,000 questions take there; this takes three."""
TOLERANCE: Final = 2.0
"""Answers that take so many times as long as usual are queued for (Gradient's `rttTolerance`)."""
SLACK_SECONDS: Final = 0.1
"""On top of that: of fast routes, our own process's bursts are most of the latency."""
SHORT: Final = 32
LONG: Final = 600
"""Answers over which latency is averaged: now, and usually (Gradient2's long window)."""
PROBE: Final = 250
"""Answers after which the level that was refused is tried again: at most one refusal in so many."""
FORGET_SECONDS: Final = 60.0
"""So long a refused level is remembered."""
RECOVERY: Final = 16
"""Round trips from half of a level back to it, at most twice as many."""


class _Latency:
    """Two moving averages: the latency of now, and the usual one."""

    __slots__ = ("count", "long", "short")

    def __init__(self) -> None:
        self.count, self.short, self.long = 0, 0.0, 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.short += (seconds - self.short) / min(self.count, SHORT)
        self.long += (seconds - self.long) / (self.count if self.count <= START else LONG)
        if self.long > TOLERANCE * self.short:
            self.long *= 0.95  # the route became faster: learn that sooner than in hundreds of answers

    @property
    def inflated(self) -> bool:
        return self.count >= START and self.short > TOLERANCE * self.long + SLACK_SECONDS


class Gradient:
    """The limit of one route.

    Args:
        ceiling: Most requests at once, whatever is learnt.
        start: Requests at once to begin with.

    >>> limit = Gradient(256)
    >>> for _ in range(16): limit.answered(0.1, 0.2, busy=limit.now)
    >>> limit.now
    48
    >>> limit.refused(sent=0.0, at=0.3, busy=48)
    >>> limit.now
    24
    """

    __slots__ = ("_calm", "_ceiling", "_cut", "_latency", "_level", "_limit", "starting")

    def __init__(self, ceiling: int, *, start: int = START) -> None:
        self._ceiling = max(1, ceiling)
        self._limit = float(min(start, self._ceiling))
        self._latency = {False: _Latency(), True: _Latency()}
        self._level: int | None = None
        self._calm = 0
        self._cut = float("-inf")
        self.starting = True
        """Nothing has gone wrong yet: the limit grows quickly."""

    @property
    def now(self) -> int:
        """Requests at once that are allowed."""
        return int(self._limit)

    def answered(self, seconds: float, at: float, *, busy: int, live: bool = False) -> None:
        """Learn from an answer.

        Args:
            seconds: Its latency: to the first piece where it is live, else to its end.
            at: The time, on the clock that `refused` uses.
            busy: Requests in flight when it came, itself among them.
            live: It comes in pieces; such latencies are kept apart from those of whole answers.

        Long answers take longer too, so latency never shrinks the limit: while it is high, the limit does not grow.
        """
        latency = self._latency[live]
        latency.add(seconds)
        if busy * 2 < self._limit:
            return  # it is not the limit that holds the route back: nothing is proved
        if not latency.inflated:
            self._grow(at)

    def _grow(self, at: float) -> None:
        limit = self._limit
        if self._level is not None and at - self._cut > FORGET_SECONDS:
            self._level = None
        if self.starting:
            limit += QUICK
        elif self._level is None:
            limit += 1.0 / limit
        elif limit < self._level - 1:
            limit = min(self._level - 1, limit + max(1.0, self._level / RECOVERY) / limit)
        else:
            self._calm += 1
            if limit >= self._level and self._calm > limit:
                self._level, self._calm = None, 0  # a whole round trip at the level that was refused, and none was
            elif limit < self._level and self._calm > PROBE:
                limit, self._calm = float(self._level), 0
        self._limit = min(limit, self._ceiling)

    def held(self) -> None:
        """Learn from silence: nothing was refused for a while, so what is in flight was let in."""
        if self.starting:
            self._limit = min(self._limit * 2, self._ceiling)

    def refused(self, *, sent: float, at: float, busy: int) -> None:
        """Halve the limit; refusals of what was sent before the last halving are the same piece of news.

        Args:
            sent: When the refused request was sent.
            at: The time.
            busy: Requests in flight when it was sent, itself among them.
        """
        if sent < self._cut:
            return
        level = min(self._limit, max(1, busy))
        self._level = max(2, int(level))
        self._limit = max(1.0, level / 2)
        self.starting, self._calm, self._cut = False, 0, at
