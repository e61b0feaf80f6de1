"""The sliding windows in Redis: the rate-limit library's own storage, with what a share server asks of it beside.

For servers on several machines, or where a ledger should not be written for every request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import redis
from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from prsm_lab.errors import InternalError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from prsm_lab.settings import Secret

T = TypeVar("T")

MOST_CONNECTIONS: Final = 32
ANSWER_SECONDS: Final = 2.0
"""The longest wait for Redis to connect, to answer, or for a connection that is free."""

_CORRECT: Final = """
-- Milliseconds, as in the library's scripts: what is left of the present window's TTL, of two windows, tells when it
-- began. Where nobody asked since it ended, it is still called the present one.
local expiry, amount, age = tonumber(ARGV[1]) * 1000, tonumber(ARGV[2]), tonumber(ARGV[3])
local ttl = redis.call('pttl', KEYS[2])
local key = KEYS[2]
if ttl > 0 and age > expiry * 2 - ttl then
    key = KEYS[1]
end
local count = tonumber(redis.call('get', key))
if count then
    redis.call('incrby', key, math.max(amount, -count))
elseif amount > 0 and key == KEYS[2] then
    redis.call('set', key, amount, 'PX', expiry * 2)
end
"""


class RedisWindows(RedisStorage):
    """The windows' storage; each step is one script, so parallel requests and processes cannot overrun a limit.

    Args:
        address: `redis://[user:password@]host[:port][/database]`, or `rediss://` with TLS.

    Raises:
        InvalidRequestError: If it is no such address; it is not shown.
    """

    STORAGE_SCHEME: Any = None

    def __init__(self, address: Secret) -> None:
        pool = _pool(address)
        if pool is None:
            raise InvalidRequestError(
                "limits must be redis://[user:password@]host[:port][/database] or rediss://…, with special characters "
                "of the password percent-encoded.",
                details={"parameter": "limits"},
            )
        self._address = address
        self._pool = pool
        super().__init__("async+redis://", implementation="redispy", connection_pool=pool)  # type: ignore[arg-type]
        self._correct = self._line.register_script(_CORRECT)

    @property
    def _line(self) -> Any:
        return self.bridge.get_connection()  # type: ignore[attr-defined]

    async def ready(self) -> None:
        """Return if Redis answers.

        Raises:
            InternalError: With the remedy, if it does not.
        """
        await self._safely(self._line.ping())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Enter so many hits if the window holds them."""
        return await self._safely(super().acquire_entry(key, limit, expiry, amount))

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the window's oldest hit came, and how many there are."""
        return await self._safely(super().get_moving_window(key, limit, expiry))

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add so much if the weighted count allows it."""
        return await self._safely(super().acquire_sliding_window_entry(key, limit, expiry, amount))

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return count and remaining seconds of the last window and of this one."""
        return await self._safely(super().get_sliding_window(key, expiry))

    async def correct(self, key: str, expiry: int, amount: int, since: float) -> None:
        """Add what was used beside what was counted, or take away what was not (see `LedgerWindows.correct`).

        The library's own script would let a window fall below zero, and so let more in afterwards than the limit.
        """
        keys = [
            self.bridge.prefixed_key(name) for name in (self._previous_window_key(key), self._current_window_key(key))
        ]
        await self._safely(self._correct(keys=keys, args=[expiry, amount, int((time.time() - since) * 1000)]))

    async def _safely(self, answer: Awaitable[T]) -> T:
        """Await an answer; a fault becomes ours, without the driver's frames, which hold the password."""
        try:
            return await answer
        except (redis.RedisError, OSError) as fault:
            words = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
        raise InternalError(
            f"The rate limits in {_shown(self._address)} cannot be used ({words}); nothing was sent. See whether Redis "
            "answers (`redis-cli ping`), then ask again.",
            details={"kind": "limits"},
        )


def _pool(address: Secret) -> BlockingConnectionPool | None:
    """Connections to an address; None: it cannot be read."""
    try:
        parts = urlsplit(address.reveal())
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or "@" in parts.path or parts.fragment:
            return None
        return BlockingConnectionPool.from_url(
            address.reveal(), max_connections=MOST_CONNECTIONS, timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 1), health_check_interval=30,
        )  # fmt: skip
    except ValueError:  # a port that is no number may be a piece of the password
        return None


def _shown(address: Secret) -> str:
    parts = urlsplit(address.reveal())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
