"""Several keys and endpoints of one provider, asked as one: whose turn it is, who rests, who is tried again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.engine.attempts import Attempts
from prsm_lab.engine.balance import LONGEST_SECONDS, Member, Pool, pick, rest
from prsm_lab.engine.budget import Budgets
from prsm_lab.engine.health import Health
from prsm_lab.engine.pace import Pace
from prsm_lab.engine.windows import Windows
from prsm_lab.ledger import Ledger
from prsm_lab.types import Delta, Reply, Request, Routing, Target

DOWN, REPLY = errors.ProviderError("down"), Reply(text="ok", finish_reason="stop")
MEMBERS = st.lists(
    st.builds(
        Member, weight=st.floats(0.1, 10), busy=st.integers(0, 5), asked=st.integers(0, 50), failures=st.integers(0, 3),
        rests_until=st.floats(0, 20),
    ),
    min_size=1, max_size=6,
)  # fmt: skip

# -------------------------------------------------------------------------------------------------- pure: whose turn


@pytest.mark.parametrize(
    ("members", "turn"),
    [
        ([Member(busy=1), Member()], 1),
        ([Member(weight=4, busy=3), Member(weight=1, busy=1)], 0),
        ([Member(asked=3), Member(asked=2)], 1),
        ([Member(weight=2, asked=3), Member(asked=2)], 0),
        ([Member(failures=1, rests_until=11), Member(busy=9)], 1),
        ([Member(failures=1, rests_until=9), Member(busy=1)], 0),
        ([Member(failures=1, rests_until=9, busy=1), Member(busy=2)], 1),
        ([Member(failures=1, rests_until=15), Member(failures=2, rests_until=12)], 1),
    ],
    ids=[
        "least busy",
        "for its weight",
        "least asked",
        "for its weight too",
        "rests",
        "probed",
        "one probe",
        "all rest",
    ],
)
def test_whose_turn_it_is(members, turn):
    """At second 10."""
    assert pick(members, 10.0) == turn


@given(MEMBERS, st.sets(st.integers(0, 5)))
def test_somebody_is_always_asked_unless_all_were_tried(members, tried):
    """And never one that rests while another is awake."""
    found = pick(members, 10.0, tried)
    left = [n for n in range(len(members)) if n not in tried]

    assert (found in left) if left else found is None
    awake = [n for n in left if not members[n].failures]
    assert not awake or not (members[found].failures and members[found].rests_until > 10)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_sequential_questions_are_shared_out_by_weight(weights):
    """To within one question each, over whole rounds."""
    members = [Member(weight=weight) for weight in weights]
    for _ in range(3 * sum(weights)):
        members[pick(members, 0.0)].asked += 1

    assert all(abs(member.asked - 3 * member.weight) <= 1 for member in members)


@pytest.mark.parametrize(
    ("failures", "error", "seconds"),
    [
        (1, DOWN, 1.0), (3, DOWN, 4.0), (20, DOWN, LONGEST_SECONDS),
        (1, errors.RateLimitError("slow down", retry_after=7.0), 7.0), (2, errors.RateLimitError("slow down"), 2.0),
        (1, errors.AuthenticationError("no", closes_route=True), LONGEST_SECONDS),
    ],
)  # fmt: skip
def test_a_member_rests_the_longer_the_more_often_it_failed(failures, error, seconds):
    """The provider's own word wins."""
    assert rest(failures, error) == seconds


# -------------------------------------------------------------------------------------------- the loop around it


class Key:
    """One key's window that does what its script says; the last entry repeats."""

    origin = "here"

    def __init__(self, name: str, *script: object) -> None:
        self.name, self.account = "p", name
        self.script, self.calls, self.closed = list(script), 0, 0

    async def ready(self) -> None: ...

    async def send(self, request, target, *, live):
        self.calls += 1
        act = self.script[min(self.calls, len(self.script)) - 1]
        for piece in act if isinstance(act, list) else [act]:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            yield piece

    async def aclose(self) -> None:
        self.closed += 1


class Bench:
    """Attempts over one pool, with what is around it."""

    def __init__(self, *keys: Key, weights=None, retries: int = 2) -> None:
        pool = Pool("p", keys, weights or [1.0] * len(keys), "here")
        self.health, self.windows = Health(), Windows({"p": pool})
        self.pace = Pace({"p": 256}, account=self.windows.account)
        self.attempts = Attempts(self.windows, self.pace, self.health, Budgets(Ledger.open(None)), max_retries=retries)
        self.attempts.balance.now = self.now
        self.targets = (Target(provider="p", model="m", name="p/m", origin="here"),)

    def now(self) -> float: ...

    async def ask(self, *, live: bool = False, run: str | None = None, **routing):
        request = Request(
            model="p/m", messages=({"role": "user", "content": "hi"},), run=run, timeout=5.0, routing=Routing(**routing)
        )
        return [item async for item in self.attempts.answer(request, self.targets, live=live)]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time that stands still unless it is set, for rests only."""
    now = [100.0]
    monkeypatch.setattr(Bench, "now", lambda self: now[0])
    monkeypatch.setattr("prsm_lab.engine.attempts.random.random", lambda: 0.0)
    return now


@pytest.mark.parametrize(
    "fault",
    [DOWN, errors.AuthenticationError("no"), errors.InsufficientCreditsError("empty"), errors.RateLimitError("slow", retry_after=900.0)],
)  # fmt: skip
async def test_what_one_key_cannot_do_another_does_at_once(fault):
    """Without waiting, and without a retry; both attempts say which key it was."""
    first, second = Key("a", fault), Key("b", REPLY)
    (answer,) = await Bench(first, second, retries=0).ask()

    assert [(one.member, one.error_code) for one in answer.attempts] == [(0, fault.code), (1, None)]
    assert answer.target.member == 1


async def test_a_wrong_request_is_wrong_by_every_key():
    """And the key that said so does not rest."""
    first, second = Key("a", errors.InvalidRequestError("bad"), REPLY), Key("b", REPLY)
    bench = Bench(first, second)
    with pytest.raises(errors.InvalidRequestError):
        await bench.ask()
    await bench.ask()
    await bench.ask()

    assert (first.calls, second.calls) == (2, 1)


async def test_a_key_that_failed_rests_is_probed_and_comes_back(clock):
    """One question at a time until it answers."""
    first, second = Key("a", DOWN, DOWN, REPLY), Key("b", REPLY)
    bench = Bench(first, second)
    for _ in range(4):
        await bench.ask()
    assert first.calls == 1, "it rests"

    clock[0] += 1.1
    await bench.ask()
    assert first.calls == 2, "a probe, which fails: it rests for twice as long"
    clock[0] += 1.1
    await bench.ask()
    assert first.calls == 2
    clock[0] += 1.1
    for _ in range(4):
        await bench.ask()
    assert first.calls > 3, "it is back"
    first.script, second.script = [[hold := asyncio.Event(), REPLY]], [[hold, REPLY]]
    before, whole = first.calls, first.calls + second.calls
    asked = [asyncio.create_task(bench.ask()) for _ in range(6)]
    while first.calls + second.calls < whole + 6:
        await asyncio.sleep(0)
    assert first.calls == before + 3, "and no longer on probation"
    hold.set()
    await asyncio.gather(*asked)


async def test_only_one_question_probes_at_a_time(clock):
    """The others go where it is safe."""
    hold = asyncio.Event()
    first, second = Key("a", DOWN, [hold, REPLY]), Key("b", REPLY)
    bench = Bench(first, second)
    await bench.ask()
    clock[0] += 1.1
    probe = asyncio.create_task(bench.ask())
    while first.calls < 2:
        await asyncio.sleep(0)
    await bench.ask()
    await bench.ask()
    assert (first.calls, second.calls) == (2, 3)
    hold.set()
    await probe


async def test_the_least_busy_is_asked():
    """Two wait at the first of weight two for each at the second."""
    hold = asyncio.Event()
    first, second = Key("a", [hold, REPLY]), Key("b", [hold, REPLY])
    bench = Bench(first, second, weights=[2.0, 1.0])
    asked = [asyncio.create_task(bench.ask()) for _ in range(9)]
    while first.calls + second.calls < 9:
        await asyncio.sleep(0)
    assert (first.calls, second.calls) == (6, 3)
    hold.set()
    await asyncio.gather(*asked)


def test_a_refused_key_is_closed_for_runs_and_its_sister_is_not():
    """Each key has an account of its own."""
    health, targets = Health(), [Target(provider="p", model="m", name="p/m", member=n) for n in (0, 1)]
    health.failed(targets[0], errors.AuthenticationError("no", closes_route=True))

    assert [health.closed(target) is None for target in targets] == [False, True]
    health.forget("p")
    assert health.closed(targets[0]) is None


async def test_an_answer_makes_a_keys_breaker_whole():
    """Five failures in a row trip it."""
    bench = Bench(Key("a", *[DOWN] * 5, REPLY), retries=0)
    for _ in range(5):
        with pytest.raises(errors.ProviderError):
            await bench.ask()
    tripped = bench.attempts.balance.is_open(bench.targets[0])
    await bench.ask()

    assert (tripped, bench.attempts.balance.is_open(bench.targets[0])) == (True, False)


async def test_all_keys_down_is_the_targets_failure():
    """Each was asked, then the retries are paid for as ever."""
    first, second = Key("a", DOWN), Key("b", DOWN)
    with pytest.raises(errors.ProviderError) as caught:
        await Bench(first, second, retries=1).ask()

    assert [attempt.member for attempt in caught.value.attempts] == [0, 1, 0]


async def test_a_limit_of_one_key_does_not_hold_up_the_others():
    """What a 429 closes is that key's lane."""
    first, second = Key("a", errors.RateLimitError("slow", retry_after=900.0)), Key("b", REPLY)
    bench = Bench(first, second)
    for _ in range(3):
        await bench.ask(run="r")

    assert (first.calls, second.calls) == (1, 3)


async def test_what_was_shown_is_not_taken_back_by_another_key():
    """Not unless the caller says `restart`."""
    broken = [Delta(text="Once"), errors.ProviderError("cut")]
    with pytest.raises(errors.ProviderError):
        await Bench(Key("a", broken), Key("b", REPLY)).ask(live=True)
    heard = await Bench(Key("a", broken), Key("b", REPLY)).ask(live=True, mid_stream="restart")

    assert [item.restart for item in heard if isinstance(item, Delta)] == [None, "p/m"]


async def test_a_pool_closes_all_its_keys():
    """None is left open."""
    keys = Key("a", REPLY), Key("b", REPLY)
    await Bench(*keys).windows.aclose()

    assert [key.closed for key in keys] == [1, 1]


# --------------------------------------------------------------------------------------------- through real sockets


@pytest.fixture(scope="module")
def two():
    """Two endpoints."""
    with emulator.start() as one, emulator.start() as other:
        yield one, other


def spread(one, other, **more):
    return [
        {"base_url": f"{emu.url}/v1", "api_key": f"key-{n}", "origin": "both", **more}
        for n, emu in enumerate((one, other))
    ]


def test_two_endpoints_share_a_batch_and_one_takes_over_when_the_other_fails(two):
    """Weights count; what an endpoint cannot do the other does; the ledger says who was asked."""
    one, other = two
    places = spread(one, other)
    places[0]["weight"] = 3
    with lab.Client(providers={"openai": places}, ledger=":memory:") as client:
        lab.batch([f"row {n}" for n in range(40)], "{text}", model="gpt-4.1-mini", client=client, progress=False)
        shares = len(one.log.arrivals()), len(other.log.arrivals())
        one.add(emulator.Rule("503"))
        found = lab.batch(
            [f"line {n}" for n in range(8)], "{text}", model="gpt-4.1-mini", client=client, progress=False
        )
        knocks = lab.receipts(found, client=client)
        one.clear()
        keys = {entry.headers["authorization"] for entry in other.log.entries}

    assert shares[0] > shares[1] > 0  # how much more depends on who is faster
    assert found["error"].isna().all()
    assert (knocks["error_code"].notna().sum() > 0, keys) == (True, {"Bearer key-1"})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "is an empty list"),
        ([{"api_key": "k", "weight": 0}], r"providers\['openai'\]\[0\].weight"),
        (["key"], r"providers\['openai'\]\[0\]"),
    ],
)
def test_what_is_no_list_of_keys_says_why(given, says):
    """And shows no key."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        lab.Client(providers={"openai": given}, ledger=":memory:")


def test_the_keys_of_a_pool_are_shown_nowhere(two):
    """Neither by the client nor by what it is made of."""
    with lab.Client(providers={"openai": spread(*two)}, ledger=":memory:") as client:
        assert "key-" not in repr(client) + repr(client.reach.accesses) + repr(client.outfit)
        with pytest.raises(errors.InvalidRequestError, match="several keys"):
            from prsm_lab.engine import portal

            portal.call(client.reach.set("openai", base_url="https://example.org/v1"))
