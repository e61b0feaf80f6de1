"""How many requests a provider's own limits per minute still let through. Pure: the time is handed in.

Most providers say it with every answer (`told`): then nothing is sent into a limit that is exhausted. Others only
refuse, and say how long to wait: two refusals in a row after about as many requests are a limit, which is kept to from
then on and probed now and then, so that it is found when it has risen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prsm_lab.types import Quota

LONGEST_SECONDS: Final = 120.0
"""A limit that is renewed later than that (a day's) is not waited for: the provider shall say so itself."""
LEAST: Final = 8
"""Fewer requests between two refusals are no pattern."""
ALIKE: Final = 0.25
"""Two windows let about as many through: their counts differ by at most this share."""
PROBE_WINDOWS: Final = 8
"""So many full windows pass before it is tried whether the limit has risen."""
PROBE_SHARE: Final = 64
"""The first try asks this part of the limit more; tries that succeed double it."""


class _Learnt(NamedTuple):
    """A limit that a provider keeps to itself: so many requests in so many seconds."""

    most: int
    seconds: float


class Quotas:
    """What the limits of one route leave.

    >>> from prsm_lab.types import Quota
    >>> left = Quotas()
    >>> left.take(0.0)
    1
    >>> left.told([Quota(kind="requests", remaining=0, reset=9.0)], 1, 0.5)
    >>> left.until(5.0), left.until(9.5)
    (9.5, None)
    """

    def __init__(self) -> None:
        self.sent = 0
        self._open: set[int] = set()
        self._horizon: int | None = None
        self._renewed = 0.0
        self._news = 0
        self._tokens = 0.0
        self._learnt: _Learnt | None = None
        self._last: int | None = None
        self._met: int | None = None
        """How many requests the last two windows let through that ended in refusals."""
        self._begun: float | None = None
        self._origin = 0
        """Requests that were sent before this window."""
        self._window: tuple[int, float] | None = None
        """Origin and length of the last window that ended in refusals."""
        self._used = self._windows = self._step = 0
        self._resting = float("-inf")

    def until(self, now: float) -> float | None:
        """Return when the next request may go, if a limit is exhausted; None: it may go now."""
        if self._horizon is not None:
            if now >= self._renewed:
                self._horizon = None
            elif self.sent >= self._horizon:
                return self._renewed
        if self._learnt is None or self._begun is None:
            return None
        end = self._begun + self._learnt.seconds
        if now >= end:
            self._roll(self._learnt)
            return None
        return end if self._used >= self._learnt.most else None

    def take(self, now: float) -> int:
        """Count a request that is sent, and return its number."""
        if self._begun is None:
            self._begun, self._origin = now, self.sent
        self._used += 1
        self.sent += 1
        self._open.add(self.sent)
        return self.sent

    def give_back(self, number: int) -> None:
        """Count one less: it was not sent after all."""
        self._open.discard(number)
        self._used = max(0, self._used - 1)
        if number == self.sent:  # else later ones were numbered already: it counts as sent, which errs on the safe side
            self.sent -= 1

    def done(self, number: int) -> None:
        """Note that a request is no longer in flight."""
        self._open.discard(number)

    def answered(self, tokens: int | None) -> None:
        """Learn how many tokens a question uses."""
        if tokens is not None:
            self._tokens += ((tokens - self._tokens) / 16) if self._tokens else tokens

    def told(self, limits: Iterable[Quota], number: int, now: float) -> None:
        """Work out from an answer's headers how many requests may be sent before a limit is exhausted.

        Later requests than the one that was answered may be in flight already. They are not in its figure, so they
        count against it, and so do earlier ones that are still open: they may have come after it. News of earlier
        requests are none.

        Args:
            limits: What the headers say.
            number: The answered request's.
            now: The time.
        """
        if number < self._news:
            return
        self._news, self._horizon = number, None
        base = number - sum(1 for other in self._open if other < number)
        for quota in limits:
            if quota.remaining is None or not quota.reset or quota.reset > LONGEST_SECONDS:
                continue
            left: float = quota.remaining
            if quota.kind != "requests" and left:
                if not self._tokens:
                    continue
                left /= self._tokens
            if self._horizon is None or base + int(left) < self._horizon:
                self._horizon, self._renewed = base + int(left), now + quota.reset

    def refused(self, number: int, pause: float, now: float) -> None:
        """Learn from a refusal that says how long to wait.

        Those that come while it lasts are the same piece of news; the earliest request of them met the limit.

        Args:
            number: The refused request's.
            pause: Seconds to wait.
            now: The time.
        """
        if now >= self._resting:
            self._last, self._met = self._met, None
            self._resting = now + pause
            self._window = None if self._begun is None else (self._origin, self._resting - self._begun)
            self._begun = None
            self._used = self._windows = self._step = 0
        if self._window is None:
            return
        origin, seconds = self._window
        passed = number - origin - 1
        if passed < LEAST or seconds > LONGEST_SECONDS or (self._met is not None and passed >= self._met):
            return
        self._met = passed
        alike = self._last is not None and abs(passed - self._last) <= max(1, ALIKE * self._last)
        if alike or self._learnt is not None:
            self._learnt = _Learnt(passed, seconds)

    def _roll(self, learnt: _Learnt) -> None:
        """A window has passed without a refusal."""
        if self._used >= learnt.most:
            self._windows += 1
        if self._windows >= PROBE_WINDOWS:
            self._step = self._step * 2 or max(1, learnt.most // PROBE_SHARE)
            self._learnt = learnt._replace(most=learnt.most + self._step)
            self._windows = PROBE_WINDOWS // 2  # had it not risen, a refusal would begin anew
        self._begun = None
        self._used = 0
