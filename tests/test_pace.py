"""Pace: how many requests at once, how many a minute, and who waits for whom. Judged by the emulator's own log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import documents, emulator
from prsm_lab.emulator import Profile, Rule
from prsm_lab.emulator import requests as wire_requests
from prsm_lab.engine import many, portal, sliding
from prsm_lab.engine.gate import Gate
from prsm_lab.engine.gradient import START, Gradient
from prsm_lab.engine.pace import Pace
from prsm_lab.engine.quotas import Quotas
from prsm_lab.engine.seats import SEAT
from prsm_lab.errors import InvalidRequestError, RateLimitError
from prsm_lab.ledger import Ledger
from prsm_lab.settings import Secret
from prsm_lab.types import Options, Quota, Reply, Request, Routing, Target, Usage

pytestmark = pytest.mark.filterwarnings("ignore:No price is known")

A, B = "gpt-4.1-mini", "gpt-4.1-nano"
WINDOW, MARGIN = 0.6, 0.2
"""Short minutes; the margin is for the way to the emulator on a busy machine."""


class Full(Rule):
    """A provider that lets so many in at once, or so many into a fixed window, and refuses the rest."""

    def __init__(self, emu, *, at_once: int | None = None, per: tuple[int, float] | None = None) -> None:
        super().__init__("429")
        self._emu, self._at_once, self._per = emu, at_once, per
        self.remaining, self.ends = 0, 0.0

    def matches(self, entry, mind) -> bool:
        if self._at_once is not None:
            return self._emu.log.open_requests > self._at_once
        most, window = self._per
        if entry.arrived >= self.ends:
            self.remaining, self.ends = most, entry.arrived + window
        if not self.remaining:
            return True
        self.remaining -= 1
        return False


class Curt(Full):
    """One that says nothing of its limits, but how long to wait when it refuses."""

    def matches(self, entry, mind) -> bool:
        refuses = super().matches(entry, mind)
        self.retry_after = f"{self.ends - entry.arrived + 0.01:.3f}"
        return refuses


def profile(ms: float) -> Profile:
    return Profile(ttft_ms=ms, tokens_per_s=1e9)


@pytest.fixture
def emu():
    with emulator.start(profiles={A: profile(30), B: profile(30)}, latency_scale=1.0) as running:
        yield running


@pytest.fixture
def client(emu, tmp_path):
    with lab.Client(providers=emu.providers(), ledger=tmp_path / "ledger.db") as made:
        made.engine._pace._window, made.engine._pace._margin = WINDOW, MARGIN
        yield made


def rows(count: int) -> list[str]:
    return [f"question {n}" for n in range(count)]


def ask(client, count: int, *, model: str = A, **options):
    return lab.batch(rows(count), "{text}", model=model, client=client, progress=False, **options)


def most_in_a_window(times, window: float) -> int:
    """The fullest sliding window."""
    return max(sum(1 for other in times if at <= other < at + window) for at in times)


def sent(ledger) -> list[float]:
    """When each request left, as the ledger says: a busy machine may bunch what arrives, as no provider's minute does."""
    with contextlib.closing(sqlite3.connect(ledger)) as file:
        return [at for (at,) in file.execute("SELECT started FROM attempt WHERE model = ?", (A,))]


def peak(entries) -> int:
    """The most that were open at once."""
    return max(
        sum(1 for other in entries if other.arrived <= entry.arrived < (other.done or 1e18)) for entry in entries
    )


# ------------------------------------------------------------------------------------------- the adaptive limit


def test_the_limit_starts_moderate_and_never_passes_the_ceiling():
    """16, or the ceiling where that is lower."""
    assert (Gradient(1024).now, Gradient(4).now) == (START, 4)
    limit = Gradient(40)
    for n in range(500):
        limit.answered(0.2, n * 0.01, busy=40)

    assert limit.now == 40


def test_while_nothing_goes_wrong_the_limit_grows_quickly():
    """Three round trips from 16 to 256: a big run is at its ceiling before it is warm."""
    limit, round_trips = Gradient(256), 0
    while limit.now < 256:
        for _ in range(limit.now):
            limit.answered(0.2, round_trips * 0.2, busy=limit.now)
        round_trips += 1

    assert round_trips == 3


def test_a_storm_of_refusals_halves_the_limit_once():
    """They are one piece of news: all were sent before it was known."""
    limit = Gradient(64, start=64)
    for n in range(30):
        limit.refused(sent=1.0, at=1.1 + n / 1000, busy=64)
    assert limit.now == 32
    limit.refused(sent=1.2, at=1.3, busy=32)

    assert limit.now == 16


def test_the_limit_never_falls_below_one():
    """Somebody must find out when it is over."""
    limit = Gradient(8)
    for n in range(20):
        limit.refused(sent=n, at=n, busy=1)

    assert limit.now == 1


def test_answers_that_take_much_longer_than_usual_end_the_growth():
    """A queue at the provider: more requests would only be longer in it."""
    limit = Gradient(1024)
    for _ in range(64):
        limit.answered(0.2, 0.0, busy=limit.now)
    before = limit.now
    for _ in range(200):
        limit.answered(2.0, 1.0, busy=limit.now)

    assert before > 100
    assert limit.now < before + 64


def test_a_limit_that_is_not_used_does_not_grow():
    """One request at a time proves nothing of hundreds."""
    limit = Gradient(1024)
    for n in range(1000):
        limit.answered(0.2, n, busy=1)

    assert limit.now == START


@pytest.mark.parametrize("capacity", [1, 2, 7, 20, 90])
def test_refusals_are_rare_once_a_providers_capacity_is_found(capacity):
    """A provider that takes so many at once and refuses the rest, in rounds: under 1 % of requests are refused, and
    four fifths of the capacity are used."""
    limit, refused, sent = Gradient(1024), 0, 0
    for n in range(2000):
        at, busy = n * 0.01, limit.now
        over = max(0, busy - capacity)
        for _ in range(busy - over):
            limit.answered(0.01, at, busy=busy)
        for _ in range(over):
            limit.refused(sent=at, at=at + 0.009, busy=busy)
        if n >= 300:
            refused, sent = refused + over, sent + busy

    assert refused <= 0.01 * sent
    assert sent >= 0.8 * capacity * 1700


def test_a_provider_that_refuses_above_its_capacity_is_rarely_asked_too_much(emu):
    """Over real sockets: after settling, less than 1 % of the requests come back as 429 (1.1 % were seen under five-fold
    load, where answers, and so places, come late: hence 2), and every row is answered.

    While it settles a row may be refused several times.
    """
    emu.add(Full(emu, at_once=20))

    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=6) as patient:
        results = ask(patient, 1300, max_concurrency=64)

    settled = emu.log.arrivals()[300:]
    assert results["error"].dropna().tolist() == []
    assert sum(entry.status == 429 for entry in settled) < 0.02 * len(settled)


# ---------------------------------------------------------------------------------------------------- pauses


def test_nothing_arrives_inside_an_announced_pause(emu, client):
    """One question is told to wait; all of its route do."""
    emu.add(Rule("429", retry_after="0.5", after=20, times=1))

    results = ask(client, 60, max_concurrency=4)

    log = emu.log.arrivals()
    refused = next(entry for entry in log if entry.status == 429)
    gap = [entry for entry in log if refused.done + 0.05 < entry.arrived < refused.done + 0.5]
    assert (results["response"].notna().all(), len(gap)) == (True, 0)


def test_a_limit_that_is_exhausted_is_waited_for_instead_of_run_into(emu, client, monkeypatch):
    """The headers say what remains and until when: not one request is refused."""
    door = Full(emu, per=(25, 0.4))
    emu.add(door)

    def headers(wire):
        left = max(0.0, door.ends - time.monotonic())
        return {
            "x-ratelimit-remaining-requests": str(door.remaining),
            "x-ratelimit-reset-requests": f"{left * 1000 + 5:.0f}ms",
        }

    monkeypatch.setattr(wire_requests, "ids", headers)
    results = ask(client, 100, max_concurrency=8)

    assert results["response"].notna().all()
    assert [entry.status for entry in emu.log.arrivals()] == [200] * 100


def test_a_limit_that_is_never_told_is_learnt_from_its_refusals(emu, client):
    """After two windows that ended in refusals, the next ones end before; a few are met late on a busy machine."""
    emu.add(Curt(emu, per=(40, 0.5)))

    results = ask(client, 360, max_concurrency=8)

    settled = emu.log.arrivals()[120:]
    assert results["response"].notna().all()
    assert sum(entry.status == 429 for entry in settled) <= 0.05 * len(settled)


async def test_a_pause_is_told_to_other_processes(tmp_path):
    """Another engine with the same key and ledger rests too; one with another key does not."""
    path = tmp_path / "ledger.db"
    first, second = Ledger.open(path), Ledger.open(path)
    here = Pace({"openai": 8}, book=first.pace_book, account=lambda _: "key")
    same = Pace({"openai": 8}, book=second.pace_book, account=lambda _: "key")
    other = Pace({"openai": 8}, book=second.pace_book, account=lambda _: "other key")
    target = Target(provider="openai", model="m", name="m")
    question = Request(model="m", messages=())

    here.rest(target, 30.0)

    assert same.try_enter(question, target) is None
    assert other.try_enter(question, target) is not None
    for part in (here, same, other, first, second):
        part.close()


async def test_a_slot_that_was_handed_to_somebody_who_left_goes_to_the_next():
    """Cancelled in the very moment of being served: nothing leaks."""
    pace = Pace({"p": 1})
    target, question = Target(provider="p", model="m", name="m"), Request(model="m", messages=())
    leave = pace.try_enter(question, target)
    waiting = [asyncio.create_task(pace.enter(question, target)) for _ in range(2)]
    await asyncio.sleep(0)

    with leave:
        pass
    waiting[0].cancel()

    assert (await waiting[1]).busy == 1
    assert pace.try_enter(question, target) is None


async def test_a_pause_that_begins_while_a_question_waits_for_its_seat_is_kept():
    """It had its slot already, and gives it back."""
    pace = Pace({"p": 8})
    target, question = Target(provider="p", model="m", name="m"), Request(model="m", messages=())

    class Chair:
        held, given = False, 0

        def give(self, *, queued: bool) -> None:
            self.held = False

        async def take(self) -> None:
            if not self.given:
                pace.rest(target, 0.1)
            self.held, self.given = True, self.given + 1

    token = SEAT.set(Chair())
    began = time.monotonic()
    leave = await pace.enter(question, target)
    SEAT.reset(token)

    assert time.monotonic() - began >= 0.1
    assert leave.busy == 1


async def test_silence_is_consent():
    """Streams that are held open end nothing; a route that refuses none of them takes more."""
    pace = Pace({"p": 64})
    target, question = Target(provider="p", model="m", name="m"), Request(model="m", messages=())
    async with asyncio.timeout(5):
        taken = [await pace.enter(question, target) for _ in range(START + 1)]

    assert len(taken) == START + 1


async def test_what_was_said_of_the_limits_counts_from_the_request_that_was_told():
    """Three remained after the first request; two more are in flight already, so one may still go."""
    pace = Pace({"p": 64})
    target, question = Target(provider="p", model="m", name="m"), Request(model="m", messages=())
    first, *_ = [pace.try_enter(question, target) for _ in range(3)]
    quota = Quota(kind="requests", remaining=3, reset=60.0)

    with first:
        first.answered(Reply(limits=(quota,)), live=False)

    assert pace.try_enter(question, target) is not None
    assert pace.try_enter(question, target) is None


def learnt(per_window: int = 40) -> tuple[Quotas, float]:
    """Quotas after two windows of 60 s that let so many through and ended in a refusal; and the time."""
    left, now = Quotas(), 0.0
    for _ in range(2):
        for _ in range(per_window):
            left.take(now)
        left.refused(left.take(now), 59.0, now + 1.0)
        now += 60.0
    return left, now


def test_two_refusals_alike_are_a_limit():
    """The forty-first question waits for the next window."""
    left, now = learnt(40)
    for _ in range(40):
        assert left.until(now) is None
        left.take(now)

    assert left.until(now + 1.0) == now + 60.0
    assert left.until(now + 60.0) is None


def test_one_refusal_is_no_limit():
    """Any provider hiccups; a route that was slowed down for good by one would never know."""
    left = Quotas()
    for _ in range(40):
        left.take(0.0)
    left.refused(41, 5.0, 1.0)
    for _ in range(1000):
        left.take(6.0)

    assert left.until(7.0) is None


def test_the_earliest_refused_request_met_the_limit():
    """Refusals arrive in any order; what was sent before the earliest was let through."""
    left, now = learnt(40)
    for _ in range(48):
        left.take(now)
    for number in (45, 41, 48):
        left.refused(82 + number, 59.0, now + 1.0)
    now += 60.0
    for _ in range(40):
        left.take(now)

    assert left.until(now) == now + 60.0


def test_a_limit_that_has_risen_is_found():
    """It is probed every few windows, and tries that succeed double."""
    left, now = learnt(40)
    most = 0
    for _ in range(60):
        most = 0
        while left.until(now) is None:
            left.take(now)
            most += 1
            if most == 1000:
                break
        now += 60.0

    assert most == 1000


# --------------------------------------------------------------------------------------- limits set by hand


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 40)), max_size=60), st.integers(1, 5), st.integers(40, 100))
def test_no_sliding_window_ever_holds_more_than_the_limits(asked, rpm, tpm):
    """Whatever comes when: requests and tokens of every window, wherever it begins, are within the limits."""
    log, now, sent = sliding.Log(1.0), 0.0, []
    for pause, tokens in asked:
        now += pause / 10
        while wait := log.wait(now, tokens=tokens, rpm=rpm, tpm=tpm):
            now = now + wait
        log.add(now, tokens)
        sent.append((now, tokens))

    for begin, _ in sent:
        inside = [tokens for at, tokens in sent if begin <= at < begin + 0.999999]
        assert (len(inside) <= rpm, sum(inside) <= tpm) == (True, True)


def test_rpm_is_a_ceiling_in_every_sliding_window(emu, client):
    """A fixed window or a bucket would let 30 through in some; the time of waiting is no latency."""
    results = ask(client, 40, rpm=15, max_concurrency=16)

    assert (len(emu.log.arrivals()), results["response"].notna().all()) == (40, True)
    assert most_in_a_window(sent(client.engine.ledger.path), WINDOW) <= 15
    assert results["latency_ms"].max() < 1000 * WINDOW


def test_a_ceiling_holds_for_every_retry(emu, client):
    """What the provider counts are requests, not questions."""
    emu.add(Rule("500", times=4, after=3))

    ask(client, 20, rpm=10)

    assert len(emu.log.arrivals()) == 24
    assert most_in_a_window(sent(client.engine.ledger.path), WINDOW) <= 10


def test_who_asks_without_a_limit_keeps_to_the_one_that_holds(emu, client):
    """The key has one limit, whoever asks with it, until its window has passed."""
    ask(client, 6, rpm=6)
    ask(client, 12, system="another run")

    first, later = emu.log.arrivals()[:6], emu.log.arrivals()[6:]
    assert min(entry.arrived for entry in later) - max(entry.arrived for entry in first) > WINDOW


def test_another_pace_is_the_same_run(emu, client):
    """How fast was asked changes nothing about what was asked."""
    first = ask(client, 3, rpm=100)
    again = ask(client, 3, rpm=50, tpm=1_000_000)

    assert first.attrs["prsm"]["run"] == again.attrs["prsm"]["run"]
    assert len(emu.log.arrivals()) == 3


def test_a_waiting_rows_deadline_begins_when_it_may_knock(emu, client):
    """Rows that wait for their turn longer than their time limit are answered all the same."""
    results = ask(client, 9, rpm=3, timeout=1.0)

    assert results["error_code"].isna().all()
    assert emu.log.arrivals()[-1].arrived - emu.log.arrivals()[0].arrived > 1.0


def test_tpm_is_a_ceiling_of_reserved_tokens(emu, client):
    """A prompt's bound and max_tokens are reserved; what the answers used makes room for more."""
    results = ask(client, 24, tpm=400, max_tokens=50, max_concurrency=16)

    left = [record.attempts[0].started for record in portal.call(client.engine.receipts(list(results["inference_id"])))]
    used = results[["prompt_tokens", "completion_tokens"]].sum(axis=1).tolist()
    for first in left:
        inside = [tokens for at, tokens in zip(left, used, strict=True) if first <= at < first + WINDOW]
        assert sum(inside) <= 400
    assert results["response"].notna().all()


def test_usage_gives_back_what_was_reserved_too_much(emu, client):
    """Packed by what was used: 40 questions whose reservations would take ten windows end in far fewer."""
    began = time.monotonic()
    ask(client, 40, tpm=2000, max_tokens=400, max_concurrency=4)

    assert time.monotonic() - began < 6 * (WINDOW + MARGIN)


async def test_who_waits_for_tokens_goes_on_as_soon_as_they_are_given_back():
    """Not when a window has passed, and not at the next look."""
    gate = Gate("r", lambda: None)
    target = Target(provider="p", model="m", name="m")
    options = Options(max_tokens=60)
    question = Request(
        model="m", messages=({"role": "user", "content": "hi"},), options=options, routing=Routing(tpm=120)
    )
    first = gate.admit(question, target)
    wait = gate.admit(question, target)
    waiting = asyncio.create_task(gate.wait(wait))
    await asyncio.sleep(0)

    gate.correct(first, Reply(usage=Usage(prompt_tokens=2, completion_tokens=3)))
    for _ in range(3):
        await asyncio.sleep(0)

    assert waiting.done()
    assert not isinstance(gate.admit(question, target), float)


async def test_a_cold_start_counts_from_its_answer():
    """While connections are made and libraries loaded, nobody knows when a request arrived: later than it was sent."""
    gate = Gate("r", lambda: None, window=60.0, margin=0.0)
    target = Target(provider="p", model="m", name="m")
    question = Request(model="m", messages=(), routing=Routing(rpm=1))
    ticket = gate.admit(question, target)
    ticket.hit[0] -= 3.0  # it was sent three seconds ago

    gate.correct(ticket, Reply())

    assert gate.admit(question, target) == pytest.approx(60.0, abs=0.5)


def test_a_question_larger_than_tpm_is_refused_with_the_remedy(emu, client):
    """It would wait for ever."""
    results = ask(client, 1, tpm=100, max_tokens=500)

    assert results["error_code"].item() == "invalid_request"
    assert "raise tpm" in results["error"].item()
    assert emu.log.arrivals() == []


@pytest.mark.parametrize("option", ["rpm", "tpm"])
def test_a_share_servers_guest_cannot_set_its_limits(option):
    """One person's limit would be everybody's; it is refused by name instead of being ignored."""
    question = Request(model=A, messages=(), routing=Routing(**{option: 5}))

    with pytest.raises(InvalidRequestError, match=option) as caught:
        documents.asked(question)

    assert caught.value.details["parameter"] == option


@pytest.mark.parametrize("option", ["rpm", "tpm", "max_concurrency"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "60", True])
def test_a_limit_that_is_no_number_is_refused(client, option, value):
    """Before anything is asked, by name."""
    with pytest.raises(InvalidRequestError, match=option):
        ask(client, 1, **{option: value})


PROCESS = """
import json, sys
import prsm_lab as lab
url, path, name = sys.argv[1:]
with lab.Client(providers={"openai": {"base_url": url + "/v1", "api_key": "emulated"}}, ledger=path) as client:
    client.engine._pace._window, client.engine._pace._margin = 0.6, 0.6
    lab.infer("warm up", model="gpt-4o", client=client, progress=False)  # imports take longer than the whole race
    print("ready", flush=True)
    sys.stdin.readline()
    found = lab.batch([f"{name} {n}" for n in range(40)], "{text}", model="gpt-4.1-mini", client=client, progress=False, rpm=12)
    print(json.dumps(int(found["response"].notna().sum())))
"""


def test_two_processes_with_one_key_share_one_ceiling(emu, tmp_path):
    """Through the ledger file: together they are below the limit in every window, and both are served."""
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    command = [sys.executable, "-W", "ignore", "-c", PROCESS, emu.url, str(path)]

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*command, name], **pipes) for name in ("one", "two")]
    ready = [process.stdout.readline() for process in both]
    for process, name in zip(both, ("one", "two"), strict=True):
        process.stdin.write("go\n")
        process.stdin.flush()
        emu.log.wait_for(lambda log, name=name: log.arrivals(name), 30)
    said = [json.loads(process.communicate(timeout=50)[0]) for process in both]

    assert (ready, said) == (["ready\n"] * 2, [40, 40])
    arrivals = [entry for entry in emu.log.arrivals() if entry.prompt != "warm up"]
    assert most_in_a_window(sent(path), WINDOW) <= 12
    overlap = [entry.prompt[:3] for entry in arrivals]
    assert overlap != sorted(overlap)  # they did run at once


@pytest.fixture(params=["file", "postgresql"])
def books(request, tmp_path):
    """Two processes' view of one ledger, in a file and in a database."""
    where = tmp_path / "l.db" if request.param == "file" else Secret(request.getfixturevalue("database"))
    ledgers = [Ledger.open(where), Ledger.open(where)]
    opened = [ledger.pace_book() for ledger in ledgers]
    yield opened
    for part in (*opened, *ledgers):
        part.close()


def test_what_one_process_sent_counts_for_the_other(books):
    """Requests and tokens; another route does not count; corrections do, and what is older than the window does not."""
    one, two = books
    limits = {"rpm": 3, "tpm": 100, "window": 60.0}

    assert one.admit("r", "a", 100.0, 60, **limits) is None
    assert two.admit("r", "b", 101.0, 60, **limits) == [(100.0, 60)]
    assert two.admit("other", "b", 101.0, 60, **limits) is None
    one.correct("r", "a", 100.0, tokens=40, arrived=100.0)
    assert two.admit("r", "b", 102.0, 60, **limits) is None
    assert one.admit("r", "c", 103.0, 1, **limits) == [(100.0, 40), (102.0, 60)]
    assert one.admit("r", "c", 160.5, 40, **limits) is None


def test_the_longest_pause_counts(books):
    """A shorter one that is told later does not end it."""
    one, two = books
    one.rest("r", 500.0)
    two.rest("r", 400.0)

    assert (one.resting("r"), two.resting("r"), one.resting("other")) == (500.0, 500.0, 0.0)


def test_what_is_long_past_is_forgotten(books):
    """Rows of routes that nobody asks any more."""
    one, two = books
    one.admit("r", "a", 100.0, 1, rpm=1, tpm=None, window=60.0)
    one.rest("r", 100.0)

    one.tidy(100_000.0)

    assert two.resting("r") == 0.0
    assert two.admit("r", "b", 101.0, 1, rpm=1, tpm=None, window=60.0) is None


def test_the_key_is_not_in_the_ledger(emu, tmp_path):
    """A digest of it is, which is no way back."""
    path = tmp_path / "ledger.db"
    providers = {"openai": {"base_url": f"{emu.url}/v1", "api_key": "sk-canary-1234567890"}}
    with lab.Client(providers=providers, ledger=path) as client:
        ask(client, 2, rpm=100)
        routes = [row[0] for row in client.engine.ledger.connection.execute("SELECT route FROM pace_hit")]

    assert len(routes) == 2
    assert b"canary" not in b"".join(file.read_bytes() for file in tmp_path.glob("ledger.db*"))


# ------------------------------------------------------------------------------------------------- the crew


def test_a_model_that_rests_takes_no_worker_from_one_that_does_not(emu, client):
    """One model is told to wait for a second and a half: all rows of the other are answered meanwhile, with the whole
    crew."""
    emu.add(Rule("429", model=A, retry_after="1.5", times=4))
    emu.add(Rule("slow", model=B, seconds=0.05))  # so that eight are open at once, however busy the machine

    results = lab.compare(rows(60), "{text}", models=[A, B], client=client, progress=False, max_concurrency=8)

    log = emu.log.arrivals()
    healthy = [entry for entry in log if entry.model == B]
    first = min(entry.arrived for entry in log if entry.status == 429)
    assert results["response"].notna().all()
    assert max(entry.done for entry in healthy) < first + 1.5
    assert peak(healthy) == 8


def test_max_concurrency_is_the_most_that_is_open(emu, client):
    """Not one more, not one fewer."""
    ask(client, 60, max_concurrency=5)

    assert emu.log.max_open == 5


class Slow:
    """An engine whose answers come when the test says so."""

    def __init__(self) -> None:
        self.open, self.peak, self.waiting = 0, 0, []

    async def create(self, request):
        self.open += 1
        self.peak = max(self.peak, self.open)
        mine = asyncio.get_running_loop().create_future()
        self.waiting.append(mine)
        try:
            await mine
        finally:
            self.open -= 1
        return request

    async def turn(self) -> None:
        """Answer all that are open, and let the crew go on."""
        for future in self.waiting:
            if not future.done():
                future.set_result(None)
        self.waiting.clear()
        for _ in range(5):
            await asyncio.sleep(0)


def questions(count: int, model: str = "m") -> list[Request]:
    return [Request(model=model, messages=(), sample=n) for n in range(count)]


async def test_a_crew_grows_and_shrinks_while_it_works():
    """More workers start at once; fewer end after their present question."""
    engine, crew, told = Slow(), many.Crew(2), []
    work = asyncio.create_task(crew.run(engine, questions(40), deliver=lambda n, _: told.append(n)))
    await engine.turn()
    sizes = [engine.open]

    for size in (6, 1):
        crew.size = size
        await engine.turn()
        sizes.append(engine.open)
    while not work.done():
        await engine.turn()

    assert sizes == [2, 6, 1]
    assert sorted(told) == list(range(40))


async def test_a_paused_crew_ends_what_it_began_and_begins_nothing():
    """And goes on where it was."""
    engine, crew, told = Slow(), many.Crew(3), []
    work = asyncio.create_task(crew.run(engine, questions(10), deliver=lambda n, _: told.append(n)))
    await engine.turn()

    crew.pause()
    await engine.turn()
    ended, open_then = len(told), engine.open
    crew.resume()
    while not work.done():
        await engine.turn()

    assert (open_then, crew.paused, len(told)) == (0, False, 10)
    assert ended < 10


async def test_a_crew_that_is_cancelled_leaves_nothing_behind():
    """Paused or not."""
    engine, crew = Slow(), many.Crew(3)
    work = asyncio.create_task(crew.run(engine, questions(10), deliver=lambda *_: None))
    await engine.turn()
    crew.pause()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert engine.open == 0


async def test_a_fault_of_the_questions_themselves_ends_the_run():
    """An iterator that fails is the caller's bug, and is not lost."""

    def broken():
        yield from questions(5)
        raise ValueError("no more")

    class Quick:
        async def create(self, request):
            return request

    with pytest.raises(ValueError, match="no more"):
        await many.run(Quick(), broken(), concurrency=2, deliver=lambda *_: None)


def test_a_crews_size_may_be_set_from_another_thread(emu, client):
    """As a button does: the crew works on the engine's loop."""
    crew = many.Crew(1)
    asked = [lab.ask.conversation(client.question(A), text) for text in rows(40)]
    done = {}
    job = portal.begin(crew.run(client.engine, asked, deliver=done.__setitem__))
    emu.log.wait_for(lambda log: len(log) >= 2)

    crew.size = 6
    emu.log.wait_for(lambda log: log.max_open == 6)

    assert job.wait(20)
    assert len(done) == 40


def test_a_crew_of_nobody_is_refused():
    """`pause` is the word for that."""
    with pytest.raises(ValueError, match="pause"):
        many.Crew(3).size = 0


async def test_lanes_that_wait_are_put_aside_and_come_first_afterwards():
    """While the throttled model's question waits, the other's are asked; nothing is lost or asked twice, and what is put
    aside has not begun: it is a reference, not a task."""
    pace = Pace({"p": 64})
    slow = Target(provider="p", model="slow", name="slow")
    pace.rest(slow, 0.15)
    order, begun = [], []

    class Engine:
        async def create(self, request):
            begun.append(request.model)
            leave = await pace.enter(request, Target(provider="p", model=request.model, name=request.model))
            with leave:
                order.append((request.model, request.sample))
                waiting.append(begun.count("slow"))
                await asyncio.sleep(0)
            return request

    waiting = []
    mixed = [question for pair in zip(questions(20, "slow"), questions(20, "fast"), strict=True) for question in pair]
    await many.run(Engine(), mixed, concurrency=4, deliver=lambda *_: None)

    assert [model for model, _ in order[:20]] == ["fast"] * 20
    assert max(waiting[:20]) <= 4
    assert sorted(order) == sorted((question.model, question.sample) for question in mixed)


def test_refusals_of_one_request_say_nothing_of_others():
    """A request too large for any minute is no reason to slow down."""
    pace = Pace({"p": 8})
    target, question = Target(provider="p", model="m", name="m"), Request(model="m", messages=())
    for verdict in ("next", None):
        with pytest.raises(RateLimitError), pace.try_enter(question, target):
            raise RateLimitError("no", verdict=verdict)
        if verdict:
            assert pace.limit(target) == 8

    assert pace.limit(target) == 1


async def test_hand_set_limits_hold_without_a_ledger_file():
    """In memory there is nobody to share with; the engine keeps its own log."""
    pace = Pace({"p": 8}, window=0.3, margin=0.0)
    target = Target(provider="p", model="m", name="m")
    question = Request(model="m", messages=({"role": "user", "content": "hi"},), routing=Routing(rpm=2))
    times = []
    for _ in range(5):
        with await pace.enter(question, target) as leave:
            times.append(time.monotonic())
            leave.answered(Reply(usage=Usage(prompt_tokens=3, completion_tokens=4)), live=False)

    assert [round(late - early, 1) >= 0.3 for early, late in zip(times, times[2:], strict=False)] == [True] * 3
