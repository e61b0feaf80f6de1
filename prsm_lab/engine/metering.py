"""The time of machines that are paid by the hour, shared by the questions that are in flight there.

While n questions are in flight each pays an n-th of the passing time, so that all of them together pay for the time
in which the machine was busy, once: alone a question costs latency x rate, in a full batch a share of it. Counted is
what this process has in flight; idle time is nobody's, and so are answers that broke or were left.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.catalog import hours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prsm_lab.types import Reply, Target


class Meter:
    """The clock of one machine; on the engine's loop only.

    Args:
        clock: Seconds that only grow.

    >>> now = iter([0.0, 10.0, 20.0, 20.0, 30.0, 30.0])
    >>> meter = Meter(lambda: next(now))
    >>> with meter.running() as first:  # alone for ten seconds, then two of them
    ...     with meter.running() as second:
    ...         second()
    ...     first()
    5.0
    25.0
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running = 0
        self._at = 0.0
        self._each = 0.0
        """Seconds that somebody would have paid who was there from the beginning on."""

    def _passed(self) -> float:
        now = self._clock()
        if self._running:
            self._each += (now - self._at) / self._running
        self._at = now
        return self._each

    @contextmanager
    def running(self) -> Iterator[Callable[[], float]]:
        """Take part; what is yielded says the seconds that are this one's so far."""
        began = self._passed()
        self._running += 1
        try:
            yield lambda: self._passed() - began
        finally:
            self._passed()
            self._running -= 1


_meters: Final[dict[str, Meter]] = {}


@contextmanager
def charging(target: Target) -> Iterator[Callable[[Reply], Reply]]:
    """Charge a reply with its share of the machine's time, where that is what is paid for."""
    rate = hours.rate(target.name, target.provider)
    if rate is None:
        yield lambda reply: reply
        return
    with _meters.setdefault(rate.name, Meter()).running() as seconds:
        yield lambda reply: _charged(reply, rate.usd * seconds() / hours.HOUR)


def _charged(reply: Reply, usd: float) -> Reply:
    return msgspec.structs.replace(reply, usage=msgspec.structs.replace(reply.usage, charged=usd))
