"""Who may ask now: requests and tokens a minute, requests at once, credits. What is reserved here is settled here.

The windows are those of the rate-limit library `limits`: over the ledger, or over Redis.
"""

from __future__ import annotations

import contextlib
import math
import time
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec
from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from prsm_lab.engine.plan import prompt_tokens
from prsm_lab.errors import BudgetExceededError, InsufficientCreditsError, InternalError, RateLimitError

if TYPE_CHECKING:
    from prsm_lab.ledger.accounts import Accounts
    from prsm_lab.ledger.redis_windows import RedisWindows
    from prsm_lab.ledger.windows import LedgerWindows
    from prsm_lab.protocols import Engine
    from prsm_lab.types import Inference, Key, Request

MINUTE: Final = 60.0
SOON: Final = 1.0
"""Seconds after which a full house is worth another try."""


class Standing(NamedTuple):
    """Where a person stands with the requests of this minute."""

    limit: int | None
    remaining: int | None
    reset: float
    """Unix time at which one more is free."""


@cache
def _per_minute(amount: int) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(amount)


class Admission:
    """Lets requests in, one seat each."""

    def __init__(self, accounts: Accounts, windows: LedgerWindows | RedisWindows, engine: Engine) -> None:
        self._accounts = accounts
        self._engine = engine
        self._windows = windows
        self._requests = MovingWindowRateLimiter(windows)
        self._tokens = SlidingWindowCounterRateLimiter(windows)

    async def ready(self) -> None:
        """Return if requests can be counted.

        Raises:
            InternalError: With the remedy, if Redis does not answer.
        """
        await self._windows.ready()

    async def aclose(self) -> None:
        """Close the windows' connections."""
        await self._windows.aclose()

    async def standing(self, key: Key) -> Standing:
        """Return what the rate-limit headers say."""
        limit = key.limits.requests_per_minute
        if limit is None:
            return Standing(None, None, time.time())
        stats = await self._requests.get_window_stats(_per_minute(limit), "requests", key.person)
        return Standing(limit, max(0, stats.remaining), stats.reset_time)

    async def enter(self, key: Key, request: Request) -> Seat:
        """Give a request its seat.

        Raises:
            RateLimitError: Too many requests or tokens this minute, or too many at once.
            InsufficientCreditsError: The worst case of this request is more than what is left.
        """
        worst = await self._reserve(key, request)
        await self._count_request(key)
        tokens = await self._count_tokens(key, request)
        assert request.id is not None
        taken = self._accounts.take(request.id, key, worst)
        if not taken.seated:
            await self.give_back(key, tokens, time.time())
            if taken.left is not None and worst > taken.left:
                raise _too_dear(worst, taken.left)
            raise RateLimitError(
                f"{taken.ongoing} requests of {key.person!r} are being answered, which is all that tier {key.tier} "
                "allows at once. Wait for one to end.",
                retry_after=SOON, details={"kind": "concurrent", "limit": key.limits.concurrent},
            )  # fmt: skip
        return Seat(self, key, request, worst, tokens)

    async def worst(self, key: Key, request: Request, max_tokens: int) -> float:
        """Return what a question costs at most on this key, with an answer of so many tokens."""
        if key.credits is None:
            return 0.0
        options = msgspec.structs.replace(request.options, max_tokens=max_tokens)
        return await self._engine.worst_case(msgspec.structs.replace(request, options=options)) or 0.0

    async def _reserve(self, key: Key, request: Request) -> float:
        if key.credits is None:
            return 0.0
        worst = await self._engine.worst_case(request)
        if worst is None:
            raise BudgetExceededError(
                f"The price of {request.model!r} is not known, so nothing can be reserved for it on a metered key. The "
                "server's owner can set it with lab.prices.set.",
                details={"parameter": "model"},
            )
        if worst > key.credits:
            raise _too_dear(worst, key.credits)
        return worst

    async def _count_request(self, key: Key) -> None:
        limit = key.limits.requests_per_minute
        if limit is None or await self._requests.hit(_per_minute(limit), "requests", key.person):
            return
        standing = await self.standing(key)
        raise RateLimitError(
            f"{limit} requests a minute are the limit of tier {key.tier}.",
            retry_after=max(0.1, standing.reset - time.time()), details={"kind": "requests", "limit": limit},
        )  # fmt: skip

    async def _count_tokens(self, key: Key, request: Request) -> int:
        """Count the prompt, estimated, and the answer at its limit; `settle` corrects it."""
        limit = key.limits.tokens_per_minute
        if limit is None:
            return 0
        tokens = prompt_tokens(request) + (request.options.max_tokens or 0)
        if tokens > limit:
            raise RateLimitError(
                f"This request may use {tokens:,} tokens, more than the {limit:,} a minute of tier {key.tier}: it will "
                "never fit. Lower max_tokens or shorten the prompt.",
                verdict="next", details={"kind": "tokens", "limit": limit},
            )  # fmt: skip
        if not await self._tokens.hit(_per_minute(limit), "tokens", key.person, cost=tokens):
            stats = await self._tokens.get_window_stats(_per_minute(limit), "tokens", key.person)
            raise RateLimitError(
                f"{limit:,} tokens a minute are the limit of tier {key.tier}; this request may use {tokens:,}.",
                retry_after=max(0.1, stats.reset_time - time.time()), details={"kind": "tokens", "limit": limit},
            )  # fmt: skip
        return tokens

    async def give_back(self, key: Key, tokens: int, since: float) -> None:
        """Correct the token count: positive gives back, negative adds; what is older than the window has left it.

        Where the windows cannot be reached the count stays as it is: a paid answer must not be lost over it.
        """
        limit = key.limits.tokens_per_minute
        if limit is not None and tokens and time.time() - since < MINUTE:
            item = _per_minute(limit)
            with contextlib.suppress(InternalError):
                await self._windows.correct(item.key_for("tokens", key.person), item.get_expiry(), -tokens, since)

    def free(self, seat: Seat) -> None:
        """Give the seat back and charge the key."""
        assert seat.request.id is not None
        self._accounts.free(seat.request.id, seat.key, seat.charge)


class Seat:
    """A request's place: `async with` gives it back whatever happens."""

    def __init__(self, admission: Admission, key: Key, request: Request, worst: float, tokens: int) -> None:
        self._admission = admission
        self.key = key
        self.request = request
        """The request as it may be asked: with a limit where the key is metered."""
        self.charge = 0.0
        self.settled = False
        """Was there a whole answer?"""
        self._worst = worst
        self._tokens = tokens
        self._used = 0
        self._since = time.time()

    def answered(self, inference: Inference) -> None:
        """Charge what an answer cost; one whose cost turned out unknown, at its worst."""
        self.settled = True
        self.charge = self._worst if inference.cost.amount is None else inference.cost.amount
        self._used = 0 if inference.cached else inference.usage.total_tokens or self._tokens

    async def cut(self, characters: int) -> None:
        """Charge an answer that was left in the middle at most: its prompt, and a token for every two characters."""
        said = max(1, math.ceil(characters / 2))
        self._used = min(self._tokens, prompt_tokens(self.request) + said)
        self.charge = min(self._worst, await self._admission.worst(self.key, self.request, said))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._admission.free(self)
        await self._admission.give_back(self.key, self._tokens - self._used, self._since)


def _too_dear(worst: float, left: float) -> InsufficientCreditsError:
    return InsufficientCreditsError(
        f"This request may cost ${worst:.4f} and ${max(0.0, left):.4f} of this key's credits are left unreserved. "
        "Lower max_tokens, choose a cheaper model, or ask the server's owner for credits.",
        details={"kind": "credits", "worst_case": worst, "left": max(0.0, left)},
    )
