"""Limits and credits hold, however many ask at once; what is reserved is settled to the cent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from calls import ASK, HELLO, Caller
from hypothesis import given, settings
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.catalog import prices
from prsm_lab.emulator import Rule
from prsm_lab.ledger import Ledger, accounts, owners
from prsm_lab.ledger.windows import LedgerWindows
from prsm_lab.server import keys
from prsm_lab.types import Usage


@pytest.fixture
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu, tmp_path):
    with lab.Client(ledger=tmp_path / "ledger.db", providers=emu.providers()) as made:
        yield made


@pytest.fixture
def share(client):
    with lab.serve(client) as serving:
        yield serving


def at_once(caller: Caller, n: int, body: dict) -> list:
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda _: caller.post("/v1/inference", body), range(n)))


# ------------------------------------------------------------------------------------------------- a minute


def test_two_hundred_at_once_are_twenty(share, emu):
    """Free: 20 a minute, exactly, whoever is faster."""
    ana = Caller(share.url, share.new_key("ana", tier="Enterprise", limits={"requests_per_minute": 20}))
    answers = at_once(ana, 200, ASK)

    assert sorted({answer.status for answer in answers}) == [200, 429]
    assert sum(answer.status == 200 for answer in answers) == len(emu.log) == 20
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.error["code"] == "rate_limit"
    assert refused.error["details"] == {"kind": "requests", "limit": 20}
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-retry-after"] == refused.headers["retry-after"]


def test_every_answer_says_where_one_stands(share):
    """As the seed's headers; also where nothing was asked."""
    ana = Caller(share.url, share.new_key("ana", tier="Basic"))
    ana.post("/v1/inference", ASK)
    answer = ana.get("/v1/models")

    assert answer.headers["x-ratelimit-limit"] == "100"
    assert answer.headers["x-ratelimit-remaining"] == "99"
    assert answer.headers["x-ratelimit-retry-after"] == "0"
    assert time.time() < int(answer.headers["x-ratelimit-reset"]) <= time.time() + 61


def test_a_persons_keys_share_their_limits(share):
    """A second key is not a second allowance."""
    first, second = (
        Caller(share.url, share.new_key("ana", tier="Enterprise", limits={"requests_per_minute": 3})) for _ in range(2)
    )
    statuses = [caller.post("/v1/inference", ASK).status for caller in (first, second, first, second)]

    assert statuses == [200, 200, 200, 429]
    assert Caller(share.url, share.new_key("bob")).post("/v1/inference", ASK).status == 200


def test_the_window_slides(share, monkeypatch):
    """What is a minute old no longer counts."""
    ana = Caller(share.url, share.new_key("ana", tier="Enterprise", limits={"requests_per_minute": 2}))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    statuses = [ana.post("/v1/inference", ASK).status for _ in range(3)]
    monkeypatch.setattr(time, "time", lambda: now + 61)

    assert statuses == [200, 200, 429]
    assert ana.post("/v1/inference", ASK).status == 200


def test_tokens_are_reserved_and_corrected(share):
    """The limit counts what was used, not what might have been."""
    ana = Caller(share.url, share.new_key("ana", tier="Enterprise", limits={"tokens_per_minute": 1000}))
    asked = {**ASK, "max_tokens": 900}
    statuses = [ana.post("/v1/inference", asked).status for _ in range(2)]
    never = ana.post("/v1/inference", {**ASK, "max_tokens": 1001})

    assert statuses == [200, 200]  # 900 were reserved, a few used, the rest given back
    assert (never.status, never.error["details"]["kind"]) == (429, "tokens")
    assert "never fit" in never.error["message"]
    assert "retry-after" not in never.headers


def test_tokens_of_questions_in_flight_count_in_full(share, emu):
    """Parallel requests cannot each use the whole allowance."""
    ana = Caller(share.url, share.new_key("ana", tier="Enterprise", limits={"tokens_per_minute": 1000}))
    emu.add(Rule("slow", seconds=0.5))

    assert sorted(answer.status for answer in at_once(ana, 3, {**ASK, "max_tokens": 600})) == [200, 429, 429]


def test_a_full_house_says_so_and_frees_its_seats(share, emu):
    """Free: 2 at once; streams count for as long as they are open."""
    ana = Caller(share.url, share.new_key("ana"))
    emu.add(Rule("slow", seconds=0.4))
    statuses = [answer.status for answer in at_once(ana, 4, ASK)]
    emu.clear()

    assert sorted(statuses) == [200, 200, 429, 429]
    assert ana.post("/v1/inference/stream", ASK).status == 200
    assert ana.post("/v1/inference", ASK).status == 200


# ------------------------------------------------------------------------------------------------- credits


def left_on(share, key: str) -> float:
    return Caller(share.url, key).get("/v1/keys/me").json["credits"]


def test_credits_are_charged_what_the_answer_cost(share):
    """To the cent, and by the ledger's own figure."""
    key = share.new_key("ana", tier="Pro", credits=1.0)
    answer = Caller(share.url, key).post("/v1/inference", ASK).json

    assert left_on(share, key) == pytest.approx(1.0 - answer["cost"]["amount"], abs=1e-12)


def test_parallel_requests_cannot_overspend(share, emu):
    """Each reserves its worst case first: gpt-4 at 30 and 60 USD a million tokens, 100 tokens of answer."""
    worst = prices.cost(Usage(prompt_tokens=1, completion_tokens=100), prices.line("gpt-4"))
    key = share.new_key("ana", tier="Enterprise", credits=worst * 5)
    emu.add(Rule("slow", seconds=0.3))
    answers = at_once(Caller(share.url, key), 40, {**ASK, "max_tokens": 100})
    refused = next(answer for answer in answers if answer.status == 402)

    assert 1 <= sum(answer.status == 200 for answer in answers) <= 5
    assert {answer.status for answer in answers} == {200, 402}
    assert refused.error["code"] == "insufficient_credits"
    assert 0 <= refused.error["details"]["left"] < refused.error["details"]["worst_case"]
    assert left_on(share, key) >= 0


def test_a_failure_costs_nothing(share, emu):
    """What was reserved is free again."""
    key = share.new_key("ana", tier="Pro", credits=0.01)
    emu.add(Rule("400"))
    for _ in range(3):
        assert Caller(share.url, key).post("/v1/inference", ASK).status == 400

    assert left_on(share, key) == 0.01


def test_a_stream_left_in_the_middle_is_charged_for_what_came(share, emu):
    """Leaving early must not be a way to read for nothing."""
    key = share.new_key("ana", tier="Pro", credits=1.0)
    ana = Caller(share.url, key)
    emu.add(Rule("stall", pieces=6))
    with ana.socket() as line:
        line.sendall(ana.head("POST", "/v1/inference/stream", json.dumps(ASK).encode()))
        received = b""
        while received.count(b"inference.delta") < 3:
            received += line.recv(65536)
    emu.log.wait_for(lambda log: log.entries[0].peer_closed is not None)
    until = time.monotonic() + 5
    while (left := left_on(share, key)) == 1.0 and time.monotonic() < until:
        pass

    whole = prices.worst_case(200, 20, prices.line("gpt-4"))
    assert 1.0 - whole <= left < 1.0


def test_a_cached_answer_costs_nothing(share, emu):
    """Neither credits nor tokens."""
    key = share.new_key("ana", tier="Pro", credits=1.0)
    ana = Caller(share.url, key)
    ana.post("/v1/inference", {**ASK, "cache_config": True})
    before = left_on(share, key)
    ana.post("/v1/inference", {**ASK, "cache_config": True})

    assert (left_on(share, key), len(emu.log)) == (before, 1)


def test_a_metered_answer_is_bounded_where_the_request_is_not(share, emu):
    """Else nothing could be reserved."""
    ana = Caller(share.url, share.new_key("ana", tier="Pro", credits=1.0))
    ana.post("/v1/inference", {"model": "gpt-4", "messages": HELLO})

    assert emu.log.entries[0].body["max_completion_tokens"] == 4096


def test_a_model_of_unknown_price_is_refused_on_a_metered_key(share, emu):
    """With the remedy, before anything is sent."""
    ana = Caller(share.url, share.new_key("ana", tier="Pro", credits=1.0))
    answer = ana.post("/v1/inference", {**ASK, "model": "mixtral"})

    assert (answer.status, answer.error["code"]) == (402, "budget_exceeded")
    assert "lab.prices.set" in answer.error["message"]
    assert len(emu.log) == 0


def test_credits_can_be_topped_up_and_survive_a_rotation(share):
    """The successor has what was left."""
    key = share.new_key("ana", credits=0.0)
    assert Caller(share.url, key).post("/v1/inference", ASK).status == 402
    share.top_up(key, 2.0)
    assert Caller(share.url, key).post("/v1/inference", ASK).status == 200
    left = left_on(share, key)

    assert left_on(share, share.rotate(key)) == left


def test_a_batch_reserves_each_request_as_it_comes(share):
    """What no credits are left for fails alone."""
    key = share.new_key("ana", tier="Enterprise", credits=0.004)
    results = Caller(share.url, key).post("/v1/inference/batch", {"requests": [ASK] * 30, "parallel": False}).json["results"]  # fmt: skip
    spent = sum(one["inference"]["cost"]["amount"] for one in results if one["status"] == "completed")

    assert {one["error"]["code"] for one in results if one["status"] == "failed"} == {"insufficient_credits"}
    assert left_on(share, key) == pytest.approx(0.004 - spent)


# -------------------------------------------------------------------------------------------- several servers


def test_two_servers_on_one_ledger_share_limits_credits_and_keys(share, emu, tmp_path):
    """Two processes' worth: two clients on one file."""
    key = share.new_key("ana", tier="Enterprise", limits={"requests_per_minute": 20})
    with (
        lab.Client(ledger=tmp_path / "ledger.db", providers=emu.providers()) as other,
        lab.serve(other) as second,
        ThreadPoolExecutor(16) as pool,
    ):
        callers = [Caller(url, key) for url in (share.url, second.url)]
        statuses = list(pool.map(lambda n: callers[n % 2].post("/v1/inference", ASK).status, range(60)))

    assert statuses.count(200) == len(emu.log) == 20
    assert set(statuses) == {200, 429}


def test_a_dead_servers_seats_are_free_again(tmp_path):
    """What it had in flight nobody will settle."""
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    code = (
        "import sys; from pathlib import Path; from prsm_lab.ledger import Ledger; from prsm_lab.server import keys\n"
        "a = Ledger.open(Path(sys.argv[1])).accounts(); k = keys.make(a, 'ana'); key = keys.holder(a, k.encode())\n"
        "print(a.take('inf_1', key, 0.0).seated, a.take('inf_2', key, 0.0).seated, a.take('inf_3', key, 0.0).seated, k)\n"
        "sys.stdout.flush(); import os; os.kill(os.getpid(), 9)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False).stdout.split()  # fmt: skip
    here = Ledger.open(path).accounts()
    key = keys.holder(here, said[3].encode())

    assert said[:3] == ["True", "True", "False"]
    assert here.take("inf_4", key, 0.0).seated
    here.close()


def test_a_ledger_that_is_locked_for_a_while_only_delays(share, tmp_path):
    """Another program holds the file for a second: the request waits, none is lost."""
    import sqlite3

    ana = Caller(share.url, share.new_key("ana", tier="Pro"))
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    threading.Timer(1.0, lambda: holder.execute("ROLLBACK")).start()
    answer = ana.post("/v1/inference", ASK)
    holder.close()

    assert answer.status == 200


# ------------------------------------------------------------------------------------------------ properties


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 200), st.integers(1, 5)), max_size=40), st.integers(1, 12))
def test_no_minute_ever_holds_more_than_its_limit(steps, limit):
    """Whatever comes when: count every window of 60 s of what was let in."""
    import asyncio

    ledger = Ledger.open(None)
    windows, let_in = LedgerWindows(ledger.accounts()), []
    moment = 1_000_000.0
    real, time.time = time.time, lambda: moment
    try:
        for when, amount in sorted(steps):
            moment = 1_000_000.0 + when
            if asyncio.run(windows.acquire_entry("k", limit, 60, amount)):
                let_in += [moment] * amount
    finally:
        time.time = real
    ledger.close()

    assert all(sum(start <= other < start + 60 for other in let_in) <= limit for start in let_in)


def test_a_key_is_found_by_the_whole_of_it():
    """Not by its beginning (a cache keyed by 20 characters once let strangers in)."""
    ledger = Ledger.open(None)
    book = ledger.accounts()
    key = keys.make(book, "ana")
    other = key[:-1] + ("A" if key[-1] != "A" else "B")

    assert keys.holder(book, key.encode()) is not None
    assert keys.holder(book, other.encode()) is None
    assert keys.holder(book, key[:40].encode()) is None
    ledger.close()


@pytest.mark.parametrize("span", ["soon", "7", "-1d", "", "1y", 0, -5])
def test_a_span_that_is_none_is_refused(span):
    """With examples."""
    with pytest.raises(errors.InvalidRequestError, match="12h"):
        keys.seconds(span)


def test_this_process_is_alive_and_another_boot_is_not():
    """So that a reused process id is not taken for the owner; another machine's has ten minutes."""
    assert owners.alive(owners.this_process(), 0.0)
    assert not owners.alive(f"another-boot:{os.getpid()}", time.time() - 610)
    assert owners.alive(f"another-boot:{os.getpid()}", time.time() - 590)
    assert accounts.IDEMPOTENCY_SECONDS == 24 * 3600
