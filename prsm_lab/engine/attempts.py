"""Knock at the targets in turn: retry, back off, fall back, and stop in time.

`decide` is pure and says what follows a fault; `answer` is the loop around it. This is the only place in the
house that retries: the SDKs are told not to.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import random
import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from prsm_lab.engine import metering, seats, structured
from prsm_lab.engine.balance import Balance
from prsm_lab.engine.budget import may_be_billed
from prsm_lab.engine.fleet import LOST
from prsm_lab.engine.windows import broken
from prsm_lab.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    ProviderError,
    PRSMError,
    RateLimitError,
    TimeoutError,
)
from prsm_lab.types import Attempt, Delta, Reply, Request, Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from prsm_lab.engine.budget import Budgets, Hold
    from prsm_lab.engine.health import Health
    from prsm_lab.engine.pace import Pace, Pass
    from prsm_lab.engine.windows import Windows
    from prsm_lab.types import Usage

BASE_SECONDS = 0.5
CAP_SECONDS = 30.0
MOST_LOST = 3
"""Times that a question is asked again whose worker was lost: it may be what its workers die of."""
MOST_HINTED = 8
"""Waits at one target that the provider itself asked for (429 with retry-after)."""


class Answer(NamedTuple):
    """A reply with how it was got."""

    reply: Reply
    target: Target
    attempts: tuple[Attempt, ...]
    latency_ms: float
    ttft_ms: float | None
    queued_ms: float
    parts: tuple[Usage, ...] = ()
    """Usage of each request, where more than one was paid for; empty: the reply's."""
    fault: PRSMError | None = None
    """Why this answer, which was paid for, is none."""
    beside: tuple[tuple[Target, Usage], ...] = ()
    """What other answers used that were asked for this one: a router's first model. `reply.usage` holds all."""


class Step(NamedTuple):
    """What follows a fault: wait and retry here, ask by another key or endpoint, go to the next target, or stop."""

    do: Literal["retry", "other", "next", "stop"]
    wait: float = 0.0


def backoff(retries: int, multiplier: float, hint: float | None, draw: float) -> float:
    """Return seconds to wait: full jitter (AWS), at least the provider's own hint.

    Args:
        retries: Retries already made at this target.
        multiplier: Growth per retry (the seed's `backoff_multiplier`).
        hint: `retry-after` in seconds, a floor.
        draw: A random number in 0 to 1.

    >>> backoff(0, 2.0, None, 0.5)
    0.25
    >>> backoff(0, 2.0, 3.0, 0.5)
    3.25
    """
    jittered: float = draw * min(CAP_SECONDS, BASE_SECONDS * multiplier ** min(retries, 10))
    return jittered if hint is None else hint + jittered


def decide(error: PRSMError, *, retries: int, most: int, wait: float, left: float, last: bool) -> Step:
    """Say what follows a fault, before anything was shown to the caller.

    Args:
        error: The fault.
        retries: Retries already made at this target.
        most: Retries that the policy allows here.
        wait: Seconds that a retry would wait.
        left: Seconds until the request's deadline.
        last: There is no further target.

    A wait that would pass the deadline is no retry: the next target is asked, or the error ends it.
    """
    allowed = most if error.max_retries is None else min(most, error.max_retries)
    if isinstance(error, RateLimitError) and error.retry_after is not None:
        allowed = MOST_HINTED if most else 0
    if error.verdict == "retry" and retries < allowed and wait < left:
        return Step("retry", wait)
    if error.verdict == "stop":
        larger = error.details.get("kind") == "context_length"
        return Step("next") if larger and not last else Step("stop")
    return Step("stop") if last else Step("next")


class Attempts:
    """The loop around `decide`, with what it needs: windows, pace, health, budgets.

    Args:
        windows: What is asked through.
        max_retries: Retries at one target where the request names no number.
    """

    def __init__(self, windows: Windows, pace: Pace, health: Health, budgets: Budgets, *, max_retries: int) -> None:
        self._windows = windows
        self._pace = pace
        self._health = health
        self._budgets = budgets
        self._max_retries = max_retries
        self.balance = Balance(windows, health)

    async def answer(
        self, request: Request, targets: tuple[Target, ...], *, live: bool
    ) -> AsyncGenerator[Delta | Answer, None]:
        """Yield deltas when live, then exactly one `Answer`; raise the last target's error with all attempts.

        After the first delta reached the caller there is no retry and no switch, unless the request says
        `mid_stream="restart"`: then a delta with `restart` set announces that the text so far is void.
        """
        asked = time.monotonic()
        allowed = float("inf") if request.timeout is None else request.timeout
        # A row of a run may queue behind thousands of others: its time runs from when it may knock for the first time.
        deadline = asked + allowed if request.run is None else float("inf")
        trail: list[Attempt] = []
        position = retries = 0
        tried: set[int] = set()
        while True:
            target = self.balance.chosen(targets[position], tried)
            knock = _Knock(self._windows, request, target, live=live)
            try:
                self._admit(request, target)
                await self._windows.ready(target)
                if retries == 0:
                    self._health.asked(target)
                # Money first: a limit per minute counts from the moment at which the route lets a question through.
                with await self._held(request, target, deadline) as held:
                    leave = await self._enter(request, target, deadline)
                    deadline = min(deadline, time.monotonic() + allowed)
                    with leave:
                        if held is not None:
                            held.sent = True
                        async with contextlib.aclosing(knock.listen(deadline)) as heard:
                            async for item in heard:
                                if isinstance(item, Delta):
                                    leave.heard(live=live)
                                    yield item
                                    continue
                                leave.answered(item, live=live)
                                if held is not None:
                                    held.bill(item.usage)
                                self.balance.answered(target)
                                yield knock.answer(item, trail, asked)
                                return
            except PRSMError as error:
                error.provider = error.provider or target.provider
                if not error.details.get("not_sent"):
                    trail.append(knock.record(error))
                step = self._after(error, knock, target, retries, deadline, tried, last=position + 1 == len(targets))
                if step.do == "stop":
                    error.attempts = tuple(trail)
                    raise
                if step.do == "retry":
                    retries, tried = retries + 1, set()
                elif step.do == "next":
                    position, retries, tried = position + 1, 0, set()
                if knock.spoke:
                    yield Delta(restart=targets[position].name)
            finally:
                self.balance.left(target)
            if step.wait:
                await seats.nap(step.wait)

    def _admit(self, request: Request, target: Target) -> None:
        """In a run, do not ask a provider again that has just refused the key or the account."""
        refusal = self._health.closed(target) if request.run is not None else None
        if refusal is not None:
            raise type(refusal)(
                f"Not sent: {target.provider} refused an earlier request of this client ({refusal.message})",
                details={**refusal.details, "not_sent": True},
                provider=target.provider,
                verdict="next",
            )

    async def _enter(self, request: Request, target: Target, deadline: float) -> Pass:
        """Take a slot, but do not wait for one past the deadline."""
        leave = self._pace.try_enter(request, target)
        if leave is not None:
            return leave
        try:
            async with asyncio.timeout_at(_loop_time(deadline)):
                return await self._pace.enter(request, target)
        except builtins.TimeoutError:
            raise TimeoutError(
                f"{target.provider} {target.model}: the deadline passed while waiting for a free slot; "
                "raise timeout= or lower max_concurrency=.",
                provider=target.provider,
                verdict="next",
                details={"kind": "deadline", "not_sent": True},
            ) from None

    async def _held(self, request: Request, target: Target, deadline: float) -> Hold | contextlib.nullcontext[None]:
        """Hold the knock's worst case where a budget is set, but do not wait for room past the deadline."""
        if not self._budgets.shares(request.run):
            return _FREE
        try:
            async with asyncio.timeout_at(_loop_time(deadline)):
                return await self._budgets.hold(request, target)
        except builtins.TimeoutError:
            raise TimeoutError(
                "The deadline passed while answers in flight held what is left of the budget; raise timeout= "
                "or the budget.",
                provider=target.provider,
                verdict="next",
                details={"kind": "deadline", "not_sent": True},
            ) from None

    def _after(
        self, error: PRSMError, knock: _Knock, target: Target, retries: int, deadline: float,
        tried: set[int], *, last: bool,
    ) -> Step:  # fmt: skip
        keys_own = isinstance(error, AuthenticationError | InsufficientCreditsError)
        if error.details.get("not_sent") and not keys_own:  # says nothing of who would have been asked
            return Step("stop") if last else Step("next")
        self.balance.failed(target, error)
        other = error.verdict != "stop" and time.monotonic() < deadline and self.balance.others(target, tried)
        if error.details.get("not_sent"):
            return Step("other") if other else Step("stop") if last else Step("next")
        if error.details.get("kind") == LOST:  # it says nothing of the provider: another worker asks
            return Step("retry") if retries < MOST_LOST else Step("stop")
        self._health.failed(target, error)
        hint = error.retry_after
        if isinstance(error, RateLimitError) and hint is not None:
            self._pace.rest(target, hint)
        if knock.spoke and knock.request.routing.mid_stream == "stop":
            return Step("stop")
        if other:  # nothing is gained by waiting for the one that failed
            return Step("other")
        routing = knock.request.routing
        most = self._max_retries if routing.retry_attempts is None else routing.retry_attempts
        wait = backoff(retries, routing.backoff_multiplier, hint, random.random())
        step = decide(error, retries=retries, most=most, wait=wait, left=deadline - time.monotonic(), last=last)
        throttled = isinstance(error, RateLimitError)  # the pace has slowed down: a retry waits there, and adds no load
        if (
            step.do == "retry"
            and not throttled
            and (self._health.is_open(target) or not self._health.take_retry(target))
        ):
            return Step("stop") if last else Step("next")
        return step


class _Knock:
    """One attempt at one target, with its clock."""

    def __init__(self, windows: Windows, request: Request, target: Target, *, live: bool) -> None:
        self.request = request
        self._windows = windows
        self._target = target
        self._live = live
        self._started = time.time()
        self.began = time.monotonic()
        self.latency_ms = 0.0
        self.ttft_ms: float | None = None
        self.spoke = False

    async def listen(self, deadline: float) -> AsyncGenerator[Delta | Reply, None]:
        """Yield what the provider says, item by item, each within the deadline.

        The time limit is entered and left around every single step, never held across a `yield`.
        """
        self._started, self.began = time.time(), time.monotonic()
        if self._target.timeout is not None:
            deadline = min(deadline, self.began + self._target.timeout)
        until = _loop_time(deadline)
        with self._windows.held(self._target) as window, metering.charging(self._target) as charged:
            stream = structured.send(window, self.request, self._target, live=self._live)
            try:
                while True:
                    item = await self._next(stream, until)
                    if isinstance(item, Reply):
                        here = (time.monotonic() - self.began) * 1000
                        self.latency_ms = here if item.took_ms is None else item.took_ms
                        yield charged(item)
                        return
                    if self.ttft_ms is None and (item.text or item.reasoning or item.arguments or item.call_name):
                        self.ttft_ms = (time.monotonic() - self.began) * 1000
                    self.spoke = True
                    yield item
            finally:
                await stream.aclose()

    async def _next(self, stream: AsyncGenerator[Delta | Reply, None], until: float | None) -> Delta | Reply:
        try:
            async with asyncio.timeout_at(until):
                return await anext(stream)
        except PRSMError:
            raise
        except builtins.TimeoutError:
            raise TimeoutError(
                f"{self._target.provider} {self._target.model} did not finish within its time limit; raise timeout= "
                "(seconds) or the strategy's timeout (milliseconds).",
                provider=self._target.provider,
                details={"kind": "deadline"},
                verdict="next",
                max_retries=0,
            ) from None
        except StopAsyncIteration:
            raise ProviderError(
                f"Provider {self._target.provider!r} ended without a reply.",
                provider=self._target.provider,
                details={"kind": "truncated"},
            ) from None
        except Exception as bug:  # noqa: BLE001 -- the edge to code of third parties: a bug there must not take a whole run down
            raise broken(self._target, bug) from None

    def answer(self, reply: Reply, trail: list[Attempt], asked: float) -> Answer:
        """Put an answer together; what came before the knock was waiting."""
        queued, attempts = max(0.0, (self.began - asked) * 1000), (*trail, self.record(None))
        return Answer(reply, self._target, attempts, self.latency_ms, self.ttft_ms, queued)

    def record(self, error: PRSMError | None) -> Attempt:
        """Write the attempt down."""
        attempt = Attempt(
            provider=self._target.provider, model=self._target.model, started=self._started, member=self._target.member
        )  # fmt: skip
        if error is None:
            return msgspec.structs.replace(attempt, latency_ms=self.latency_ms, ttft_ms=self.ttft_ms)
        return msgspec.structs.replace(
            attempt,
            latency_ms=(time.monotonic() - self.began) * 1000,
            error_code=error.code,
            error=error.message,
            retry_after=error.retry_after,
            maybe_billed=may_be_billed(error),
        )


_FREE: Final = contextlib.nullcontext(None)


def _loop_time(deadline: float) -> float | None:
    """A `time.monotonic` deadline on the running loop's clock; None for no deadline."""
    if deadline == float("inf"):
        return None
    return asyncio.get_running_loop().time() + (deadline - time.monotonic())
