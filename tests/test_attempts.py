"""Attempts: what follows a fault. Providers are scripted here; the same over real sockets is in test_faults_e2e."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab import errors
from prsm_lab.engine.attempts import Answer, Attempts, backoff, decide
from prsm_lab.engine.budget import Budgets
from prsm_lab.engine.health import RETRY_FLOOR, Health
from prsm_lab.engine.pace import Pace
from prsm_lab.engine.windows import Windows
from prsm_lab.ledger import Ledger
from prsm_lab.types import Delta, Reply, Request, Routing, Target

DOWN = errors.ProviderError("down")
REPLY = Reply(text="ok", finish_reason="stop")


class Scripted:
    """A provider that does what its script says, one entry a call; the last entry repeats."""

    origin = "here"

    def __init__(self, name: str, *script: object) -> None:
        self.name = name
        self.script = list(script)
        self.calls: list[float] = []
        self.closed = 0

    async def ready(self) -> None: ...

    async def send(self, request, target, *, live):
        self.calls.append(time.monotonic())
        act = self.script[min(len(self.calls), len(self.script)) - 1]
        try:
            for piece in act if isinstance(act, list) else [act]:
                if isinstance(piece, Exception):
                    raise piece
                if piece == "hang":
                    await asyncio.Event().wait()
                yield piece
        finally:
            self.closed += 1

    async def aclose(self) -> None: ...


class Bench:
    """Attempts over scripted providers; targets in the order they are given."""

    def __init__(self, *providers: Scripted, retries: int = 2) -> None:
        self.health = Health()
        self.pace = Pace({p.name: 256 for p in providers})
        self.targets = tuple(Target(provider=p.name, model="m", name=f"{p.name}-m") for p in providers)
        windows, budgets = Windows({p.name: p for p in providers}), Budgets(Ledger.open(None))
        self.attempts = Attempts(windows, self.pace, self.health, budgets, max_retries=retries)

    async def ask(self, *, live: bool = False, run: str | None = None, timeout: float | None = 5.0, **routing):
        request = Request(
            model="m",
            messages=({"role": "user", "content": "hi"},),
            run=run,
            timeout=timeout,
            routing=Routing(**routing),
        )
        return [item async for item in self.attempts.answer(request, self.targets, live=live)]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Back-off draws are 0, so that only hints are waited for."""
    monkeypatch.setattr("prsm_lab.engine.attempts.random.random", lambda: 0.0)


async def test_a_passing_fault_is_retried_at_the_same_target():
    """Two faults, then the answer; all three attempts are written down."""
    provider = Scripted("a", DOWN, DOWN, REPLY)
    (answer,) = await Bench(provider).ask()

    assert answer.reply == REPLY
    assert [attempt.error_code for attempt in answer.attempts] == ["provider_unavailable", "provider_unavailable", None]


async def test_when_retries_end_the_next_target_is_asked():
    """Fallback comes after the retries, and the answer names who gave it."""
    first, second = Scripted("a", DOWN), Scripted("b", REPLY)
    (answer,) = await Bench(first, second).ask()

    assert (len(first.calls), answer.target.provider) == (3, "b")


@pytest.mark.parametrize(
    "refusal",
    [errors.AuthenticationError("no"), errors.InsufficientCreditsError("empty"), errors.NotFoundError("gone")],
)
async def test_a_refusal_is_never_retried_but_goes_to_the_next_target(refusal):
    """A wrong key does not get better by asking again."""
    first, second = Scripted("a", refusal), Scripted("b", REPLY)
    (answer,) = await Bench(first, second).ask()

    assert (len(first.calls), answer.target.provider) == (1, "b")


async def test_a_wrong_request_stops_at_once():
    """It would be wrong everywhere, and would be paid for everywhere."""
    first, second = Scripted("a", errors.InvalidRequestError("bad")), Scripted("b", REPLY)
    with pytest.raises(errors.InvalidRequestError) as caught:
        await Bench(first, second).ask()

    assert (len(first.calls), len(second.calls), len(caught.value.attempts)) == (1, 0, 1)


async def test_a_prompt_too_long_here_may_fit_the_next_target():
    """The one wrong request that another model can take."""
    first = Scripted("a", errors.InvalidRequestError("long", details={"kind": "context_length"}))
    (answer,) = await Bench(first, Scripted("b", REPLY)).ask()

    assert answer.target.provider == "b"


async def test_the_error_of_the_last_target_carries_all_attempts():
    """So that one can see what was tried."""
    with pytest.raises(errors.ProviderError) as caught:
        await Bench(Scripted("a", DOWN), Scripted("b", DOWN), retries=1).ask()

    assert [attempt.provider for attempt in caught.value.attempts] == ["a", "a", "b", "b"]


async def test_a_hint_is_waited_for():
    """`retry-after` is a floor."""
    throttled = errors.RateLimitError("slow down", retry_after=0.2)
    provider = Scripted("a", throttled, REPLY)
    bench = Bench(provider)
    began = time.monotonic()
    await bench.ask()

    assert provider.calls[1] - began >= 0.2


async def test_a_second_request_waits_for_the_pause_that_a_first_one_was_told():
    """The pause belongs to the route, not to the request."""
    provider = Scripted("a", REPLY)
    bench = Bench(provider)
    bench.pace.rest(bench.targets[0], 0.15)
    began = time.monotonic()
    await bench.ask()

    assert provider.calls[0] - began >= 0.15


async def test_a_hint_beyond_the_deadline_goes_to_the_next_target_at_once():
    """Five minutes of pause are not slept when a minute is left."""
    throttled = errors.RateLimitError("slow down", retry_after=300)
    (answer,) = await Bench(Scripted("a", throttled), Scripted("b", REPLY)).ask(timeout=60)

    assert answer.target.provider == "b"
    with pytest.raises(errors.RateLimitError):
        await Bench(Scripted("a", throttled)).ask(timeout=60)


async def test_a_hanging_provider_is_left_at_the_deadline_and_closed():
    """The caller's own total deadline holds whatever the socket's is."""
    provider = Scripted("a", "hang")
    began = time.monotonic()
    with pytest.raises(errors.TimeoutError, match="time limit"):
        await Bench(provider).ask(timeout=0.1)

    assert time.monotonic() - began < 0.35
    assert provider.closed == 1


async def test_a_strategys_time_limit_ends_only_its_own_target():
    """The seed's `{"provider": "openai", "timeout": 5000}`."""
    first, second = Scripted("a", "hang"), Scripted("b", REPLY)
    bench = Bench(first, second)
    bench.targets = (Target(provider="a", model="m", name="m", timeout=0.05), bench.targets[1])
    (answer,) = await bench.ask(timeout=5)

    assert answer.target.provider == "b"


async def test_after_the_first_piece_a_broken_stream_is_neither_retried_nor_switched():
    """The caller has seen text: another model's text must not go on behind it."""
    first, second = Scripted("a", [Delta(text="Hel"), DOWN]), Scripted("b", REPLY)
    bench, seen = Bench(first, second), []
    request = Request(model="m", messages=(), timeout=5)
    with pytest.raises(errors.ProviderError):
        async for item in bench.attempts.answer(request, bench.targets, live=True):
            seen.append(item)

    assert (seen, len(first.calls), len(second.calls)) == ([Delta(text="Hel")], 1, 0)


async def test_a_restart_is_announced_in_the_stream_when_the_caller_asked_for_it():
    """`mid_stream="restart"` voids the text so far, visibly."""
    first, second = (
        Scripted("a", [Delta(text="Hel"), errors.NotFoundError("gone")]),
        Scripted("b", [Delta(text="Yo"), REPLY]),
    )
    items = await Bench(first, second).ask(live=True, mid_stream="restart")

    assert [item.restart for item in items[:-1]] == [None, "b-m", None]
    assert isinstance(items[-1], Answer)


async def test_before_the_first_piece_a_stream_may_be_retried():
    """Nothing was shown, so nothing is doubled."""
    items = await Bench(Scripted("a", [DOWN], [Delta(text="Yo"), REPLY])).ask(live=True)

    assert [type(item) for item in items] == [Delta, Answer]


async def test_a_bug_in_a_provider_is_ours_and_goes_nowhere_else():
    """It is neither retried nor sent to the next target."""
    first, second = Scripted("a", ValueError("bug")), Scripted("b", REPLY)
    with pytest.raises(errors.InternalError, match="bug"):
        await Bench(first, second).ask()

    assert (len(first.calls), len(second.calls)) == (1, 0)


async def test_a_dead_provider_is_not_stormed():
    """With every answer a fault: at most 1.2 attempts a row and ten (invariant I-6)."""
    provider = Scripted("a", DOWN)
    bench = Bench(provider)
    for _ in range(100):
        with pytest.raises(errors.ProviderError):
            await bench.ask()

    assert len(provider.calls) <= 1.2 * 100 + RETRY_FLOOR


async def test_a_run_stops_asking_a_provider_that_refused_the_key():
    """A single question still tries, so that a mended account works at once."""
    refusal = errors.AuthenticationError("bad key", closes_route=True)
    provider = Scripted("a", refusal)
    bench = Bench(provider)
    for _ in range(3):
        with pytest.raises(errors.AuthenticationError):
            await bench.ask(run="run_1")
    assert len(provider.calls) == 1

    with pytest.raises(errors.AuthenticationError):
        await bench.ask()
    assert len(provider.calls) == 2


async def test_cancelling_closes_the_providers_stream():
    """Whoever leaves stops paying."""
    provider = Scripted("a", [Delta(text="Hel"), "hang"])
    bench = Bench(provider)
    task = asyncio.create_task(bench.ask(live=True))
    while not provider.calls:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert provider.closed == 1


@given(st.integers(0, 50), st.floats(1, 10), st.none() | st.floats(0, 1e5), st.floats(0, 1))
def test_a_wait_is_never_below_the_hint_nor_above_it_by_more_than_the_cap(retries, multiplier, hint, draw):
    """Full jitter on top of the hint as a floor."""
    wait = backoff(retries, multiplier, hint, draw)

    assert (hint or 0) <= wait <= (hint or 0) + 30


@given(
    st.sampled_from([DOWN, errors.RateLimitError("x", retry_after=1), errors.NotFoundError("x"), errors.InvalidRequestError("x")]),
    st.integers(0, 20), st.integers(0, 5), st.floats(0, 100), st.floats(-1, 100), st.booleans(),
)  # fmt: skip
def test_a_decision_never_waits_past_the_deadline_and_never_goes_beyond_the_last_target(
    error, retries, most, wait, left, last
):
    """Whatever the fault."""
    step = decide(error, retries=retries, most=most, wait=wait, left=left, last=last)

    assert not (step.do == "retry" and step.wait >= left)
    assert not (step.do == "next" and last)
