"""Sliding windows in the ledger: a storage for the rate-limit library `limits`, shared by all workers.

Requests are counted one by one (its moving window, exact). Tokens come in thousands, so they are counted by window
and the last one is weighted (its sliding window counter, as Cloudflare does). `redis_windows` is the same over Redis.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from limits.aio.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage

from prsm_lab.errors import InternalError

if TYPE_CHECKING:
    from prsm_lab.ledger.accounts import Accounts

_LEAVE: Final = "DELETE FROM rate_hit WHERE key = ? AND at <= ?"
# The hits' index answers each of these alone in a fraction of what both in one statement cost: every answer asks them.
_HITS: Final = "SELECT count(*) FROM rate_hit WHERE key = ? AND at > ?"
_OLDEST: Final = "SELECT min(at) FROM rate_hit WHERE key = ? AND at > ?"
_COUNTS: Final = """
SELECT CAST(coalesce(sum(CASE WHEN "window" = ? THEN count END), 0) AS BIGINT) AS before,
       CAST(coalesce(sum(CASE WHEN "window" = ? THEN count END), 0) AS BIGINT) AS present,
       min("window") AS oldest
FROM rate_count WHERE key = ?
"""
_ALL: Final = "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM rate_count WHERE key = ?"
_FORGET: Final = 'DELETE FROM rate_count WHERE key = ? AND "window" < ?'
_ADD: Final = """
INSERT INTO rate_count (key, "window", count) VALUES (?, ?, ?)
ON CONFLICT (key, "window") DO UPDATE SET count = rate_count.count + excluded.count
"""
_TAKE: Final = """
UPDATE rate_count SET count = CASE WHEN count > ? THEN count - ? ELSE 0 END WHERE key = ? AND "window" = ?
"""


class LedgerWindows(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """The windows' storage; each step is one transaction, so parallel requests and processes cannot overrun a limit."""

    STORAGE_SCHEME: Any = None

    def __init__(self, accounts: Accounts) -> None:
        super().__init__()
        self._accounts = accounts

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the ledger may raise."""
        return InternalError

    async def ready(self) -> None:
        """The ledger is there as long as the accounts are."""

    async def aclose(self) -> None:
        """Nothing to do: the accounts' connection is closed with them."""

    # ------------------------------------------------------------------------------ moving window, one row a hit

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Enter so many hits if the window holds them."""
        now = time.time()
        with self._accounts.transaction(key) as file:
            if file.execute(_HITS, (key, now - expiry)).fetchone()[0] + amount > limit:
                return False
            file.execute(_LEAVE, (key, now - expiry))
            file.executemany("INSERT INTO rate_hit VALUES (?, ?)", [(key, now)] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 -- theirs
        """Return when the window's oldest hit came, and how many there are."""
        now = time.time()
        file, since = self._accounts.connection, (key, now - expiry)
        (oldest,), (count,) = (file.execute(asked, since).fetchone() for asked in (_OLDEST, _HITS))
        return (now if oldest is None else oldest), count

    # ------------------------------------------------------------------------------ counters, two rows a window

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add so much if the weighted count allows it."""
        now = time.time()
        window = int(now / expiry)
        with self._accounts.transaction(key) as file:
            before, present, oldest = file.execute(_COUNTS, (window - 1, window, key)).fetchone()
            weighted = before * (1 - now / expiry % 1) + present
            if math.floor(weighted) + amount > limit:
                return False
            if oldest is not None and oldest < window - 1:
                file.execute(_FORGET, (key, window - 1))
            file.execute(_ADD, (key, window, amount))
        return True

    async def correct(self, key: str, expiry: int, amount: int, since: float) -> None:
        """Add what was used beside what was counted, or take away what was not; never refused.

        Args:
            key: Whose counters.
            expiry: Seconds of a window.
            amount: To add; negative: to take away, down to zero.
            since: Unix time at which it was counted: its window is the one that is wrong.
        """
        with self._accounts.transaction(key) as file:
            if amount > 0:
                file.execute(_ADD, (key, int(since / expiry), amount))
            else:
                file.execute(_TAKE, (-amount, -amount, key, int(since / expiry)))

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return count and remaining seconds of the last window and of this one."""
        now = time.time()
        window = int(now / expiry)
        before, present, _ = self._accounts.connection.execute(_COUNTS, (window - 1, window, key)).fetchone()
        left = (1 - now / expiry % 1) * expiry
        return before, left if before else 0.0, present, left + expiry

    async def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002 -- theirs
        """Forget a key's counters."""
        await self.clear(key)

    # ------------------------------------------------------------------------------------- the library's own terms

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in a fixed window."""
        window = int(time.time() / expiry)
        with self._accounts.transaction(key) as file:
            file.execute(_ADD, (key, window, amount))
            return int(file.execute(_COUNTS, (window, window, key)).fetchone()[0])

    async def get(self, key: str) -> int:
        """Return all that is counted under a key."""
        return int(self._accounts.connection.execute(_ALL, (key,)).fetchone()[0])

    async def get_expiry(self, key: str) -> float:  # noqa: ARG002 -- theirs
        """Counters leave with their windows: now."""
        return time.time()

    async def check(self) -> bool:
        """The ledger is there as long as the accounts are."""
        return True

    async def reset(self) -> int | None:
        """Forget all counters."""
        with self._accounts.transaction() as file:
            hits: int = file.execute("DELETE FROM rate_hit").rowcount
            counts: int = file.execute("DELETE FROM rate_count").rowcount
        return hits + counts

    async def clear(self, key: str) -> None:
        """Forget a key."""
        with self._accounts.transaction(key) as file:
            file.execute("DELETE FROM rate_hit WHERE key = ?", (key,))
            file.execute("DELETE FROM rate_count WHERE key = ?", (key,))
