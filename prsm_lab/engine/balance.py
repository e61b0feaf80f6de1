"""Several keys or endpoints of one provider: whose turn it is, who rests after a failure, who is tried again.

They are asked as one: each knock goes to the member with the least questions in flight for its weight. One that fails
rests, the longer the more often, and then gets a single question as a probe; one that answers is back. `pick` is pure.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.engine.fleet import AWAY
from prsm_lab.errors import PRSMError, RateLimitError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from prsm_lab.engine.health import Health
    from prsm_lab.engine.windows import Windows
    from prsm_lab.protocols import Provider
    from prsm_lab.types import Delta, Reply, Request, Target

FIRST_SECONDS: Final = 1.0
"""Rest after a first failure; it doubles with each that follows."""
LONGEST_SECONDS: Final = 60.0


class Pool:
    """A window to one provider by several keys or endpoints; a target's `member` says which is asked.

    Args:
        name: The provider.
        members: A window each.
        weights: How many questions each takes, relative to the others.
        origin: Where all of them are, for fingerprints: what one answers, any of them may have answered.
    """

    def __init__(self, name: str, members: Sequence[Provider], weights: Sequence[float], origin: str) -> None:
        self.name, self.origin = name, origin
        self.members, self.weights = tuple(members), tuple(weights)

    async def ready(self) -> None:
        """Load what is slow to load."""
        await self.members[0].ready()

    def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Ask the target's member."""
        return self.members[target.member or 0].send(request, target, live=live)

    async def aclose(self) -> None:
        """Close them all."""
        for member in self.members:
            await member.aclose()


@dataclass
class Member:
    """How one key or endpoint stands."""

    weight: float = 1.0
    busy: int = 0
    asked: int = 0
    failures: int = 0
    """In a row."""
    rests_until: float = 0.0


def pick(members: Sequence[Member], now: float, tried: Collection[int] = ()) -> int | None:
    """Return which member is asked next; None if all were tried.

    The least busy for its weight, and of equals the least asked for its weight. One that failed lately is asked when
    its rest is over and no other probe is under way; where all rest, the one that rests the shortest.

    Args:
        members: How they stand.
        now: Monotonic time.
        tried: Members that this question need not ask again.

    >>> pick([Member(weight=2.0, busy=2), Member(busy=0)], 0.0)
    1
    >>> pick([Member(failures=1, rests_until=9.0), Member(busy=5)], 0.0)
    1
    """
    left = [n for n in range(len(members)) if n not in tried]
    awake = [n for n in left if not _out(members[n], now)]
    if awake:
        return min(awake, key=lambda n: (members[n].busy / members[n].weight, members[n].asked / members[n].weight))
    return min(left, key=lambda n: members[n].rests_until, default=None)


def _out(member: Member, now: float) -> bool:
    """Does it rest, or is it being probed?"""
    return member.failures > 0 and (member.rests_until > now or member.busy > 0)


def rest(failures: int, error: PRSMError) -> float:
    """Return for how many seconds a member rests after a failure.

    Args:
        failures: In a row, this one counted.
        error: What came: a provider's own word wins; a refused key or an empty account rests the longest.
    """
    if error.closes_route:
        return LONGEST_SECONDS
    hint = error.retry_after if isinstance(error, RateLimitError) else None
    grown = FIRST_SECONDS * math.pow(2.0, min(failures - 1, 10))
    return min(LONGEST_SECONDS, grown) if hint is None else hint


class Balance:
    """Which member of a pool each knock goes to; on the engine's loop.

    Args:
        windows: Where pools are.
        health: Breakers of each member.
    """

    def __init__(self, windows: Windows, health: Health) -> None:
        self._windows, self._health = windows, health
        self.now = time.monotonic
        """The clock of rests."""
        self._members: dict[str, tuple[Pool, list[Member]]] = {}

    def _of(self, target: Target) -> list[Member]:
        """The members of a target's provider; none where it has but one key, or workers elsewhere ask."""
        pool = self._windows.pool(target.provider)
        if pool is None or AWAY.get() is not None:
            return []
        known = self._members.get(target.provider)
        if known is None or known[0] is not pool:
            known = self._members[target.provider] = (pool, [Member(weight=weight) for weight in pool.weights])
        return known[1]

    def chosen(self, target: Target, tried: set[int]) -> Target:
        """Return a target with the member that is asked, and note it among those that were tried.

        From here on the question counts as in flight there, while it waits for its turn too; until `left`.
        """
        members, now = self._of(target), self.now()
        if not members:
            return target
        found = pick(members, now, tried)
        n = (pick(members, now) or 0) if found is None else found
        tried.add(n)
        members[n].busy += 1
        members[n].asked += 1
        return msgspec.structs.replace(target, member=n)

    def others(self, target: Target, tried: Collection[int]) -> bool:
        """Tell whether a member that was not tried is awake."""
        members, now = self._of(target), self.now()
        return any(n not in tried and not _out(member, now) for n, member in enumerate(members))

    def is_open(self, target: Target) -> bool:
        """Has the breaker of a target tripped, or of all its members?"""
        members = self._of(target)
        if not members:
            return self._health.is_open(target)
        return all(self._health.is_open(msgspec.structs.replace(target, member=n)) for n in range(len(members)))

    def left(self, target: Target) -> None:
        """A question that was sent to a member is there no more."""
        if target.member is not None and (members := self._of(target)[target.member : target.member + 1]):
            members[0].busy = max(0, members[0].busy - 1)  # of other keys since then, none is busy with it

    def answered(self, target: Target) -> None:
        """A member that answers is back, and its breaker is whole."""
        self._health.answered(target)
        if target.member is not None and (members := self._of(target)):
            members[target.member].failures, members[target.member].rests_until = 0, 0.0

    def failed(self, target: Target, error: PRSMError) -> None:
        """A member that failed rests; what is wrong with the question itself is none of its failures."""
        members = self._of(target)
        if target.member is None or not members or error.verdict == "stop":
            return
        member = members[target.member]
        member.failures += 1
        member.rests_until = max(member.rests_until, self.now() + rest(member.failures, error))
