"""How fast places answer, as was measured; and which of them to try again because that is long ago.

A place that was slow once would never be asked again, so the fastest of yesterday is not that of today. So one question
in twenty goes first to the place whose measurements are the oldest, if they are older than ten minutes. Which question
that is, its own id says: the same ids explore alike.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab.ledger.usage import Speed, paces

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prsm_lab.ledger import Ledger
    from prsm_lab.types import Attempt

Place = tuple[str, str]
"""Provider and model id."""
RECENT_SECONDS: Final = 7 * 24 * 3600.0
"""How far back measured latencies count."""
STALE_SECONDS: Final = 600.0
SHARE: Final = 0.05
"""Of the questions, those that explore."""
READ_SECONDS: Final = 60.0
"""How often the ledger is read, where other processes write too; one's own answers are known at once."""
MOST: Final = 200
"""Answers of a place that count: the latest."""


class Facts(NamedTuple):
    """What is known of places at a moment."""

    figures: dict[Place, float | None]
    """95th percentile in ms."""
    explore: Place | None
    """The place that this question tries first."""


def draw(id: str) -> float:
    """Return a number from 0 to below 1 that an id stands for.

    >>> 0 <= draw("inf_1") < 1, draw("inf_1") == draw("inf_1")
    (True, True)
    """
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest()) / 2**64


def stalest(places: Iterable[Place], speeds: Mapping[Place, Speed], now: float, drawn: float) -> Place | None:
    """Return the place to be tried again: the one whose last answer is the oldest; None for most questions.

    Args:
        places: Those that may answer.
        speeds: What is known of them.
        now: Unix time.
        drawn: 0 to 1; below `SHARE` this question explores.

    >>> stalest([("openai", "gpt-4")], {}, 0.0, 0.01)
    ('openai', 'gpt-4')
    >>> stalest([("openai", "gpt-4")], {}, 0.0, 0.5)
    """
    if drawn >= SHARE:
        return None
    seen = {place: speeds[place].last if place in speeds else float("-inf") for place in places}
    oldest = min(seen, key=lambda place: seen[place], default=None)
    return oldest if oldest is not None and seen[oldest] < now - STALE_SECONDS else None


class Speeds:
    """What an engine knows of how fast its places answer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[Place, Speed] = {}
        self._read = float("-inf")

    def heard(self, attempts: Sequence[Attempt]) -> None:
        """Take note of attempts that have just ended."""
        if self._read == float("-inf"):
            return  # nobody has asked yet; the ledger will tell
        for one in attempts:
            place = (one.provider, one.model)
            self._known[place] = self._known.get(place, Speed(0.0, (), ())).then(one, MOST)

    def facts(self, places: Iterable[Place], free: Iterable[Place], id: str, *, live: bool) -> Facts:
        """Return what is known for a question.

        Args:
            places: Those that may answer.
            free: Those of them that may be tried first.
            id: The question's.
            live: Does the time to the first piece count?
        """
        if time.monotonic() - self._read > READ_SECONDS:
            self._known = paces(self._ledger.connection, time.time() - RECENT_SECONDS, MOST)
            self._read = time.monotonic()
        figures = {place: self._known[place].figure(live=live) if place in self._known else None for place in places}
        return Facts(figures, stalest(free, self._known, time.time(), draw(id)))
