"""Limits per minute as a sliding log. Pure.

Token buckets and fixed windows let twice the limit through in some minute: a full bucket and its refill, the end of
one window and the beginning of the next. A log of what was sent does not: before every request, what lies in the
window that ends now is counted.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def wait(
    hits: Iterable[tuple[float, int]], now: float, *, tokens: int, rpm: int | None, tpm: int | None, window: float
) -> float:
    """Return how many seconds a request must wait until it fits into the window; 0: it may go.

    Args:
        hits: What was sent: when, and how many tokens are counted for it.
        now: The time, on the same clock.
        tokens: Counted for this request; more than `tpm` never fit, so that they wait for an empty window.
        rpm: Most requests in a window; None: any number.
        tpm: Most tokens in a window; None: any number.
        window: Length of the window in seconds.

    >>> wait([(0.0, 10), (30.0, 10)], 40.0, tokens=10, rpm=2, tpm=None, window=60.0)
    20.0
    """
    inside = sorted(hit for hit in hits if hit[0] > now - window)
    requests, used = len(inside), sum(count for _, count in inside)
    until = now
    for at, count in inside:
        if (rpm is None or requests < rpm) and (tpm is None or used + tokens <= tpm):
            break
        requests, used, until = requests - 1, used - count, at + window
    return max(0.0, until - now)


class Log:
    """What one process sent on one route.

    Args:
        window: Seconds for which a request counts.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._hits: deque[list[float]] = deque()

    def wait(self, now: float, *, tokens: int, rpm: int | None, tpm: int | None) -> float:
        """Return how long a request must wait; see `wait`."""
        while self._hits and self._hits[0][0] <= now - self._window:
            self._hits.popleft()
        hits = ((at, int(count)) for at, count in self._hits)
        return wait(hits, now, tokens=tokens, rpm=rpm, tpm=tpm, window=self._window)

    def add(self, now: float, tokens: int) -> list[float]:
        """Write a request down; `correct` takes what is returned."""
        hit = [now, tokens]
        self._hits.append(hit)
        return hit

    def correct(self, hit: list[float], *, tokens: int, later: float) -> None:
        """Count what a request really used, from so many seconds later."""
        hit[0] += later
        hit[1] = tokens
