"""Rate limits in Redis, against a real server; and workers that share PostgreSQL and Redis, all together."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from calls import ASK, Caller
from databases import free_port
from limits import RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.catalog import prices
from prsm_lab.emulator import Rule
from prsm_lab.errors import InternalError, InvalidRequestError
from prsm_lab.ledger import Ledger
from prsm_lab.ledger.windows import LedgerWindows
from prsm_lab.settings import Secret
from prsm_lab.types import Usage


@pytest.fixture
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def share(emu, tmp_path, redis_url):
    with (
        lab.Client(ledger=tmp_path / "ledger.db", providers=emu.providers()) as client,
        lab.serve(client, limits=redis_url) as serving,
    ):
        yield serving


@pytest.fixture(params=["ledger", "redis"])
async def windows(request):
    """Each storage in turn."""
    if request.param == "ledger":
        ledger = Ledger.open(None)
        yield LedgerWindows(ledger.accounts())
        ledger.close()
        return
    from prsm_lab.ledger.redis_windows import RedisWindows

    made = RedisWindows(Secret(request.getfixturevalue("redis_url")))
    yield made
    await made.aclose()


def told(error: BaseException) -> str:
    """Everything that a verbose traceback prints of an error, the test's own frame left out."""
    error.__traceback__ = error.__traceback__.tb_next
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()) + repr(error)


# ------------------------------------------------------------------------------- the windows, wherever they are

MINUTE = RateLimitItemPerMinute(1000)
KEY = MINUTE.key_for("tokens", "ana")


async def left(windows) -> int:
    """Tokens that this minute still has."""
    return (await SlidingWindowCounterRateLimiter(windows).get_window_stats(MINUTE, "tokens", "ana")).remaining


async def count(windows, amount: int) -> bool:
    return await SlidingWindowCounterRateLimiter(windows).hit(MINUTE, "tokens", "ana", cost=amount)


async def test_what_was_not_used_can_be_used_again(windows):
    """900 reserved, 880 given back: 980 are left, and no more."""
    assert await count(windows, 900)
    assert not await count(windows, 200)
    await windows.correct(KEY, 60, -880, time.time())

    assert await left(windows) == 980
    assert not await count(windows, 981)
    assert await count(windows, 980)


async def test_giving_back_more_than_there_is_leaves_a_full_minute_not_a_fuller_one(windows):
    """A count below zero would let in more than the limit."""
    await count(windows, 100)
    await windows.correct(KEY, 60, -500, time.time())

    assert await left(windows) == 1000
    assert not await count(windows, 1001)


async def test_what_was_used_beside_is_counted_even_above_the_limit(windows):
    """An answer with no limit may be longer than what is left: then the next question waits."""
    await count(windows, 900)
    await windows.correct(KEY, 60, 5000, time.time())

    assert await left(windows) == 0
    assert not await count(windows, 1)


@pytest.fixture
def passes(request, monkeypatch):
    """`passes(windows, seconds)`: time goes on; Redis counts it by itself, so its counters grow older at once."""
    now = time.time() // 60 * 60 + 1  # the ledger's windows begin with the minute
    monkeypatch.setattr(time, "time", lambda: now)

    def pass_(windows, seconds: float) -> None:
        nonlocal now
        now += seconds
        if isinstance(windows, LedgerWindows):
            return
        import redis

        with redis.Redis.from_url(request.getfixturevalue("redis_server").url) as line:
            for key in line.keys("*"):
                line.pexpire(key, line.pttl(key) - int(seconds * 1000))

    return pass_


async def test_what_was_counted_in_the_last_window_is_corrected_there(windows, passes):
    """Taking it from the present one would let others in beyond the limit."""
    since = time.time()
    await count(windows, 1000)
    passes(windows, 65)
    await count(windows, 50)
    await windows.correct(KEY, 60, -900, since)
    before, _, present, _ = await windows.get_sliding_window(KEY, 60)

    assert (before, present) == (100, 50)


async def test_the_window_may_have_moved_on_with_nobody_asking(windows, passes):
    """What was counted is still where it was."""
    since = time.time()
    await count(windows, 1000)
    passes(windows, 65)
    await windows.correct(KEY, 60, -900, since)
    before, _, present, _ = await windows.get_sliding_window(KEY, 60)

    assert (before, present) == (100, 0)


async def test_nobody_is_counted_for_another(windows):
    """A correction where nothing was counted makes no room."""
    await windows.correct(KEY, 60, -500, time.time())

    assert await left(windows) == 1000


async def test_a_hundred_at_once_are_twenty(windows):
    """Requests, one by one."""
    entered = await asyncio.gather(*(windows.acquire_entry("requests", 20, 60) for _ in range(100)))
    _, count = await windows.get_moving_window("requests", 20, 60)

    assert (sum(entered), count) == (20, 20)


# ---------------------------------------------------------------------------------------------- a share server


def test_limits_are_counted_in_redis(share, redis_url):
    """And not in the ledger: 20 a minute are 20, with the headers."""
    import redis

    ana = Caller(share.url, share.new_key("ana", tier="Enterprise", limits={"requests_per_minute": 20}))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ana.post("/v1/inference", ASK), range(60)))
    refused = next(answer for answer in answers if answer.status == 429)

    assert sum(answer.status == 200 for answer in answers) == 20
    assert refused.error["details"] == {"kind": "requests", "limit": 20}
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert ana.get("/v1/models").headers["x-ratelimit-remaining"] == "0"
    with redis.Redis.from_url(redis_url) as line:
        assert [key for key in line.keys("*") if b"ana" in key]


def test_reserved_tokens_are_given_back(share):
    """900 of 1,000 are reserved, a few used: the next question fits."""
    ana = Caller(share.url, share.new_key("ana", tier="Enterprise", limits={"tokens_per_minute": 1000}))

    assert [ana.post("/v1/inference", {**ASK, "max_tokens": 900}).status for _ in range(3)] == [200, 200, 200]


def test_while_redis_is_away_nothing_is_asked_and_then_all_goes_on(share, redis_server, emu):
    """Limits that cannot be counted are not dropped; the remedy is in the answer, the password is not."""
    ana = Caller(share.url, share.new_key("ana", tier="Pro"))
    assert ana.post("/v1/inference", ASK).status == 200
    redis_server.stop()
    try:
        refused = ana.post("/v1/inference", ASK)
    finally:
        redis_server.start()

    assert (refused.status, refused.error["code"], refused.error["details"]) == (500, "internal", {"kind": "limits"})
    assert "redis-cli ping" in refused.error["message"]
    assert "canary" not in str(refused.raw)
    assert ana.post("/v1/inference", ASK).status == 200
    assert len(emu.log) == 2


def test_an_answer_arrives_also_where_redis_went_away_meanwhile(share, redis_server, emu):
    """It is paid for."""
    ana = Caller(share.url, share.new_key("ana", tier="Pro"))
    emu.add(Rule("slow", seconds=0.8))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ana.post, "/v1/inference", ASK)
        emu.log.wait_for(lambda log: len(log.entries) == 1)
        redis_server.stop()
        try:
            answer = asked.result()
        finally:
            redis_server.start()

    assert (answer.status, answer.json["model"]) == (200, "gpt-4")


# ----------------------------------------------------------------------------------------------- the password


@pytest.mark.parametrize(
    "address",
    ["redis://:canary/x@127.0.0.1:1/0", "redis://:canary@x@127.0.0.1:x/0", "redis://:12/canary@h", "http://:canary@h",
     "redis://:canary#x@h", "redis://", "canary"],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_not_repeated(address, tmp_path):
    """And no port is left open."""
    port = free_port()
    with lab.Client(ledger=tmp_path / "ledger.db", mock_mode=True) as client:
        with pytest.raises(InvalidRequestError, match="limits must be redis://") as refused:
            lab.serve(client, port=port, limits=address)
        lab.serve(client, port=port).stop()
    assert "canary" not in told(refused.value)


def test_a_server_without_its_redis_does_not_start(tmp_path, redis_server):
    """Nobody there, or the wrong password: said at once, with the remedy, without the password."""
    wrong = f"redis://:another-canary@127.0.0.1:{redis_server.port}/0"
    with lab.Client(ledger=tmp_path / "ledger.db", mock_mode=True) as client:
        for address, words in (("redis://:canary@127.0.0.1:1/0", "connecting"), (wrong, "password")):
            with pytest.raises(InternalError, match=words) as refused:
                lab.serve(client, limits=address)
            assert "redis-cli ping" in str(refused.value)
            assert "canary" not in told(refused.value)


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    """Before it tries anything."""
    monkeypatch.setattr("prsm_lab.server.find_spec", lambda name: None)
    with (
        lab.Client(ledger=tmp_path / "ledger.db", mock_mode=True) as client,
        pytest.raises(InvalidRequestError, match=r"pip install \"prsm-lab\[server\]\""),
    ):
        lab.serve(client, limits="redis://127.0.0.1")


# ----------------------------------------------------------------------- several processes, PostgreSQL and Redis


@pytest.fixture
def command(emu, database):
    """Run `prsm-lab` with the emulator as all providers and a ledger in PostgreSQL."""
    environ = {**os.environ, **emu.environ()}
    started = []

    def run(*arguments: str, wait: bool = True) -> str | subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "prsm_lab", *arguments, "--ledger", database],
            env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        started.append(process)
        return process.communicate(timeout=60)[0].strip() if wait else process

    yield run
    for process in started:
        process.terminate()
        process.communicate()


def answering(caller: Caller) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if caller.get("/healthz").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


def at_once(caller: Caller, n: int, body: dict) -> list:
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda _: caller.post("/v1/inference", body), range(n)))


@pytest.mark.timeout(120)
def test_workers_share_postgresql_and_redis(command, redis_url, emu):
    """Two processes: keys, answers, idempotency, limits and credits are the same whichever is asked."""
    import redis

    asked = {**ASK, "max_tokens": 100}
    worst = prices.cost(Usage(prompt_tokens=1, completion_tokens=100), prices.line("gpt-4"))
    rich, poor = command("keys", "new", "ana", "--tier", "Basic"), command("keys", "new", "bob", "--tier", "Pro", "--credits", str(worst * 5))  # fmt: skip
    process = command("serve", "--port", "0", "--workers", "2", "--limits", redis_url, wait=False)
    url = re.search(r"https?://[\d.]+:\d+", process.stdout.readline())[0]
    ana, bob = Caller(url, rich), Caller(url, poor)
    answering(ana)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    lines = [Path(f"/proc/{worker}/cmdline").read_text() for worker in workers]

    first = ana.post("/v1/inference", asked, idempotency_key="k").json["id"]
    again = [ana.post("/v1/inference", asked, idempotency_key="k").json["id"] for _ in range(6)]
    assert set(again) == {first}
    assert all(ana.get(f"/v1/inference/{first}").status == 200 for _ in range(6))

    emu.add(Rule("slow", seconds=0.5))
    spent = [answer.status for answer in at_once(bob, 20, asked)]
    assert set(spent) == {200, 402}
    assert 1 <= spent.count(200) <= 5
    assert bob.get("/v1/keys/me").json["credits"] >= 0
    emu.clear()

    with ThreadPoolExecutor(4) as pool:  # of five at once
        statuses = list(pool.map(lambda _: ana.post("/v1/inference", ASK).status, range(110)))
    assert (statuses.count(200), set(statuses)) == (99, {200, 429})  # a hundred a minute, one was the first
    with redis.Redis.from_url(redis_url) as line:
        assert [key for key in line.keys("*") if b"requests/ana" in key]
    assert len(workers) == 2
    assert "canary" not in "".join(lines)
