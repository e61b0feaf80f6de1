"""Pure: how questions are split into batches, when a batch is asked after, and what follows from what it says."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from prsm_lab import checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.providers.batches import Limits

DAY: Final = 86_400.0
"""Seconds: within a day both providers have answered a batch, or given the rest of it up."""
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_PARTS: Final = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


class Pacing(NamedTuple):
    """How often a batch is asked after, in seconds."""

    first: float = 10.0
    growth: float = 1.5
    longest: float = 300.0
    settle: float = 10.0
    """So long after a submission that was never confirmed it may still turn up in the provider's list."""
    give_up: float = 3600.0
    """So long a provider may be out of reach before a run goes on without its batch, which then still waits there."""


PACING = Pacing()
"""What runs go by; tests set another."""


def seconds(deadline: object) -> float | None:
    """Read a deadline: seconds, or a text of numbers with `s`, `m`, `h`, `d`; None: as long as it takes.

    Raises:
        InvalidRequestError: If it is neither, or no time at all.

    >>> seconds("1h30m"), seconds(90), seconds("1d")
    (5400.0, 90.0, 86400.0)
    """
    if isinstance(deadline, str):
        text = deadline.strip().lower()
        if not _PARTS.fullmatch(text):
            raise checks.wrong("deadline", 'seconds, or a time such as "24h", "90m" or "1h30m"', deadline)
        deadline = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    found = checks.number(deadline, "deadline", low=0, open_low=True)
    return None if found is None or math.isinf(found) else found


def split(sizes: Sequence[int], limits: Limits) -> list[range]:
    """Cut lines into batches that keep to both limits, in order, as few as that allows.

    Args:
        sizes: Bytes of each line.
        limits: Of one batch. A line that is larger than a whole one gets one of its own, which the provider refuses.

    >>> from prsm_lab.providers.batches import Limits
    >>> split([4, 4, 4, 9], Limits(requests=2, bytes=10))
    [range(0, 2), range(2, 3), range(3, 4)]
    """
    parts, start, held = [], 0, 0
    for n, size in enumerate(sizes):
        if n > start and (n - start == limits.requests or held + size > limits.bytes):
            parts.append(range(start, n))
            start, held = n, 0
        held += size
    if sizes:
        parts.append(range(start, len(sizes)))
    return parts


def wait(polls: int, left: float, pacing: Pacing) -> float:
    """Return seconds until a batch is asked after again: more each time, but never past the deadline.

    Args:
        polls: How often it was asked after.
        left: Seconds to the deadline; passed or infinite: it does not count.
        pacing: The intervals.

    >>> wait(0, float("inf"), Pacing()), wait(1, 12.0, Pacing()), wait(50, -1.0, Pacing())
    (10.0, 12.0, 300.0)
    """
    usual = min(pacing.longest, pacing.first * pacing.growth ** min(polls, 60))
    return min(usual, left) if left > 0 else usual


def after(
    state: Literal["going", "cancelling", "ended", "refused"], left: float
) -> Literal["wait", "cancel", "collect", "refuse"]:
    """Say what follows from a batch's state: only what has ended is known to be paid or not.

    >>> after("going", -1.0), after("cancelling", -1.0), after("ended", -1.0)
    ('cancel', 'wait', 'collect')
    """
    if state == "refused":
        return "refuse"
    if state == "ended":
        return "collect"
    return "cancel" if state == "going" and left <= 0 else "wait"
