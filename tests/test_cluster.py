"""A run over workers: a real Dask cluster of three processes, and joblib's own. Judged by the emulator's log."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import cloudpickle
import joblib
import msgspec
import pandas as pd
import psutil
import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.client.worker import work
from prsm_lab.emulator import Rule
from prsm_lab.engine import certificates, fleet, link, outpost, portal
from prsm_lab.engine.fleet import Fleet
from prsm_lab.frames import distribute
from prsm_lab.types import Reply, Request, Target

MODEL, KEY = "gpt-4.1-mini", "sk-canary-5f0c2e"
WORKERS, IN_FLIGHT, GRACE = 3, 12, 0.2
pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed")]


@pytest.fixture(scope="module")
def emu():
    pace = emulator.Profile(ttft_ms=40, tokens_per_s=2000)
    with emulator.start(profiles={MODEL: pace}, latency_scale=1.0) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(emu):
    """Three worker processes, which have a key of their own in their environment."""
    with pytest.MonkeyPatch.context() as environ:
        for name, value in {**emu.environ(), "OPENAI_API_KEY": KEY}.items():
            environ.setenv(name, value)
        import distributed

        with distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as made:
            yield made


@pytest.fixture
def dask(cluster):
    """The cluster, with all its workers there."""
    import distributed

    with distributed.Client(cluster) as made:
        made.wait_for_workers(WORKERS, timeout=60)
        yield made


@pytest.fixture
def client(emu, tmp_path):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=tmp_path / "ledger.db") as made:
        yield made


@pytest.fixture
def environ(emu, monkeypatch):
    for name, value in emu.environ().items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)


def ask(client, rows: int, **options):
    options = {"engine": "dask", "max_concurrency": IN_FLIGHT, "progress": False, "max_tokens": 40, **options}
    return lab.batch([f"row {n} of the batch" for n in range(rows)], "{text}", model=MODEL, client=client, **options)


@pytest.fixture
def fleets(monkeypatch):
    """The drivers' sides of the runs, as they come."""
    made, init = [], Fleet.__init__

    def kept(self, version):
        init(self, version)
        made.append(self)

    monkeypatch.setattr(Fleet, "__init__", kept)
    return made


def until_joined(fleets, workers: int) -> None:
    """Wait until so many workers take part in the run."""
    deadline = time.monotonic() + 60
    while not fleets or fleets[-1].joined < workers:
        assert time.monotonic() < deadline, "the workers did not join"
        threading.Event().wait(0.01)


def asked_again(arrivals, kill: float, kills: int = 1) -> int:
    """Check that only what was in flight at a kill was asked again, and return how often."""
    last = {entry.prompt: entry.arrived for entry in arrivals}
    lost = [entry for entry in arrivals if entry.arrived < last[entry.prompt]]
    assert all(entry.done is None or entry.done > kill - GRACE for entry in lost), "what was delivered is paid twice"
    assert len(lost) <= kills * IN_FLIGHT, "more were asked again than were in flight"
    return len(lost)


# ------------------------------------------------------------------------------------------ on a Dask cluster


def test_the_rows_are_spread_over_the_workers_and_come_back_as_without_them(dask, client, emu):
    """Same frame, same order; the workers ask with the key of their own environment."""
    spread = ask(client, 60)
    senders = {entry.headers["authorization"] for entry in emu.log.arrivals()}
    here = ask(client, 60, engine="local", fresh=True)

    told = spread.attrs["prsm"]["spread"]
    assert (told["engine"], told["lost"], 1 <= told["workers"] <= WORKERS) == ("dask", 0, True)
    assert senders == {f"Bearer {KEY}"}
    same = ["text", "model", "provider", "response", "finish_reason", "prompt_tokens", "completion_tokens", "cost"]
    pd.testing.assert_frame_equal(spread[same], here[same])
    assert (spread["latency_ms"] > 15).all()  # the provider's time, measured where it was asked
    assert "spread" not in here.attrs["prsm"]


def test_a_killed_worker_loses_nothing_and_only_its_questions_are_asked_again(dask, client, emu, fleets):
    """One of three, by SIGKILL, in the middle; the others go on and its place is taken."""
    emu.add(Rule("slow", seconds=0.1))
    victim = next(iter(dask.run(os.getpid).values()))
    job = ask(client, 400, background=True)
    until_joined(fleets, WORKERS)
    seen = len(emu.log.answered())
    emu.log.wait_for(lambda log: len(log.answered()) >= seen + 30, 60)
    os.kill(victim, signal.SIGKILL)
    kill = time.monotonic()
    found = job.result()

    assert found["response"].notna().all()
    assert found.attrs["prsm"]["spread"]["lost"] >= 1
    assert asked_again(emu.log.arrivals(), kill) >= 1
    lost = lab.receipts(found, client=client).query("error_code == 'provider_unavailable'")
    assert lost["error"].str.contains("was lost").all()
    assert lost["maybe_billed"].all()
    assert len(lost) == (found["attempts"] - 1).sum() >= 1


SCHEDULER = """
import distributed, threading
if __name__ == "__main__":
    made = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
    print(made.scheduler_address, flush=True)
    threading.Event().wait()
"""


def test_a_killed_scheduler_ends_the_run_and_the_same_call_asks_the_rest(environ, client, emu, tmp_path):
    """The workers stop asking; what they answered is kept, and only what was in flight is asked twice."""
    import dask
    import distributed

    (tmp_path / "scheduler.py").write_text(SCHEDULER)
    scheduler = subprocess.Popen(
        [sys.executable, str(tmp_path / "scheduler.py")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    emu.add(Rule("slow", seconds=0.1))
    try:
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
            distributed.Client(scheduler.stdout.readline().strip()) as there,
        ):
            there.wait_for_workers(2, timeout=60)
            job = ask(client, 200, background=True)
            emu.log.wait_for(lambda log: len(log.answered()) >= 40, 60)
            scheduler.kill()
            kill = time.monotonic()
            with pytest.raises(errors.ProviderError, match=r"workers are gone.*the same call asks the rest"):
                job.result()
        emu.log.wait_for(lambda log: log.open_requests == 0)
    finally:
        os.killpg(scheduler.pid, signal.SIGKILL)
        scheduler.communicate()
    assert len(emu.log.arrivals()) < 200
    found = ask(client, 200, engine="local")

    assert found["response"].notna().all()
    asked_again(emu.log.arrivals(), kill)


def test_a_killed_driver_resumes_without_paying_twice(dask, environ, emu, cluster, tmp_path):
    """Its workers stop asking at once; the same call elsewhere asks the rest."""
    script = (
        "import sys, distributed, prsm_lab as lab\n"
        "with distributed.Client(sys.argv[2]), lab.Client(ledger=sys.argv[1]) as client:\n"
        "    lab.batch([f'row {n} of the batch' for n in range(200)], '{text}', model='gpt-4.1-mini', client=client,\n"
        "              engine='dask', max_concurrency=12, progress=False, max_tokens=40)\n"
    )
    emu.clear()
    path = tmp_path / "driver.db"
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script, str(path), cluster.scheduler_address])
    emu.log.wait_for(lambda log: len(log.answered()) >= 60, 60)
    child.kill()
    kill = time.monotonic()
    child.wait()
    emu.log.wait_for(lambda log: log.open_requests == 0)
    before = len(emu.log.arrivals())
    with lab.Client(ledger=path) as again:
        found = ask(again, 200)

    assert found["response"].notna().all()
    assert before < 200
    asked_again(emu.log.arrivals(), kill)


def test_a_cap_holds_over_all_workers(dask, client, emu):
    """The money is leased question by question, from one purse."""
    one = ask(client, 5, run="price")["cost"].mean()
    emu.clear()
    cap = 40 * one
    found = ask(client, 120, max_cost=cap)

    assert 0.8 * cap < found["cost"].sum() <= cap
    assert len(emu.log.arrivals()) == found["response"].notna().sum()
    assert set(found["error_code"].dropna()) == {"budget_exceeded"}


def test_limits_hold_over_all_workers(dask, client, emu):
    """Not so many for each of three, but for all together: at once, and in a minute."""
    client.engine._pace._window, client.engine._pace._margin = 0.6, 0.3
    found = ask(client, 40, rpm=12, max_concurrency=5)
    left = sorted(
        record.attempts[0].started for record in portal.call(client.engine.receipts(list(found["inference_id"])))
    )

    assert found["response"].notna().all()
    assert max(sum(1 for other in left if at <= other < at + 0.6) for at in left) <= 12
    assert emu.log.max_open <= 5


def test_no_key_travels_in_tasks(dask, client, cluster, monkeypatch):
    """Not in what joblib sends, and not in what the scheduler holds of it while it runs."""
    sent, held = [], []
    launch = distribute._launch

    def spy(engine, invitation, outfit, workers):
        sent.append(cloudpickle.dumps((work, invitation, outfit.own, outfit.mocked)))
        launch(engine, invitation, outfit, workers)

    monkeypatch.setattr(distribute, "_launch", spy)
    job = ask(client, 60, background=True)
    while not job.wait(0):
        held.append(repr([vars_of(state) for state in list(cluster.scheduler.tasks.values())]))
    own = client.outfit

    keys = [KEY, *(given["api_key"] for given in emulated_keys())]
    assert sent
    assert any("work" in text for text in held)
    assert not any(key.encode() in raw for key in keys for raw in sent)
    assert not any(key in text for key in keys for text in [*held, repr(own)])


def vars_of(state) -> list[object]:
    """All that a scheduler knows of a task."""
    return [getattr(state, name, None) for name in type(state).__slots__ if not name.startswith("_")]


def emulated_keys():
    with emulator.start() as other:
        return [dict(given) for given in other.providers().values()]


def test_a_dask_frame_goes_in_and_comes_out_partition_by_partition(dask, client, emu):
    """Same partitions, same index; each is asked before the next is read."""
    dd = pytest.importorskip("dask.dataframe")
    given = pd.DataFrame({"text": [f"row {n}" for n in range(30)]}, index=pd.RangeIndex(100, 130, name="id"))
    found = lab.batch(
        dd.from_pandas(given, npartitions=3), "{text}", model=MODEL, client=client, engine="dask", progress=False,
        run="parts",
    )  # fmt: skip
    prompts = [entry.prompt for entry in emu.log.arrivals()]

    assert (type(found).__module__.split(".")[0], found.npartitions, found.divisions) == (
        "dask",
        3,
        (100, 110, 120, 129),
    )
    whole = found.compute()
    pd.testing.assert_index_equal(whole.index, pd.Index(range(100, 130), name="id"))
    assert whole["response"].notna().all()
    assert [set(prompts[n : n + 10]) for n in (0, 10, 20)] == [
        {f"row {n}" for n in range(start, start + 10)} for start in (0, 10, 20)
    ]
    assert [run.name for run in lab.runs(client=client).itertuples()] == ["parts-00002", "parts-00001", "parts-00000"]


@pytest.mark.parametrize("option", [{"max_cost": 1.0}, {"background": True}, {"returns": "arrow"}])
def test_what_means_something_else_by_partitions_is_refused(client, option):
    """Before anything is asked."""
    dd = pytest.importorskip("dask.dataframe")
    with pytest.raises(errors.InvalidRequestError, match=next(iter(option))):
        lab.batch(dd.from_pandas(pd.DataFrame({"text": ["a"]})), "{text}", model=MODEL, client=client, **option)


# --------------------------------------------------------------------------------- joblib's own worker processes


def test_what_parallel_config_says_is_followed(environ, client):
    """Without a word in the call."""
    with joblib.parallel_config(backend="loky", n_jobs=2):
        found = ask(client, 20, engine=None)

    told = found.attrs["prsm"]["spread"]
    assert (told["engine"], told["lost"], 1 <= told["workers"] <= 2) == ("joblib", 0, True)
    assert found["response"].notna().all()


def test_an_engine_that_ends_with_its_worker_is_started_again(environ, client, emu, fleets):
    """loky gives all its tasks up when one process dies, and so does Ray: the run goes on with new ones."""
    with joblib.parallel_config(backend="loky", n_jobs=2):
        job = ask(client, 200, engine=None, background=True)
        until_joined(fleets, 1)
        emu.log.wait_for(lambda log: len(log.answered()) >= 40, 60)
        victim = next(child for child in psutil.Process().children() if "popen_loky_posix" in " ".join(child.cmdline()))
        victim.kill()
        kill = time.monotonic()
        found = job.result()

    assert found["response"].notna().all()
    asked_again(emu.log.arrivals(), kill, kills=2)  # joblib kills the other one too


def test_functions_of_ones_own_run_on_the_workers(environ, tmp_path):
    """In other processes than this one, as the caller's code."""
    with (
        lab.Client(providers={"mine": lambda prompt: f"{prompt} {os.getpid()}"}, ledger=tmp_path / "l.db") as client,
        joblib.parallel_config(backend="loky", n_jobs=2),
        pytest.warns(UserWarning, match="No price is known"),
    ):
        found = lab.batch(["a", "b", "c", "d"], "{text}", model="mine/it", client=client, progress=False)

    told = found["response"].str.split(" ", expand=True)
    assert told[0].tolist() == ["a", "b", "c", "d"]
    assert str(os.getpid()) not in set(told[1])


def test_what_cannot_travel_is_named(environ, tmp_path):
    """A lock in a function's closure, say."""
    lock = threading.Lock()
    with (
        lab.Client(providers={"mine": lambda prompt: f"{prompt} {lock}"}, ledger=tmp_path / "l.db") as client,
        joblib.parallel_config(backend="loky", n_jobs=2),
        pytest.raises(errors.InvalidRequestError, match="cannot travel"),
    ):
        lab.batch(["a"], "{text}", model="mine/it", client=client, progress=False)


def test_workers_without_a_key_are_found_out_before_anything_is_sent(environ, client, emu, monkeypatch):
    """The driver has one, but keys do not travel."""
    environ.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(fleet, "GATHER_SECONDS", 0.5)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        found = ask(client, 3, engine=None)

    assert set(found["error_code"]) == {"authentication"}
    assert "OPENAI_API_KEY" in found["error"].iloc[0]
    assert "workers' environment" in found["error"].iloc[0]
    assert emu.log.arrivals() == []


def test_ray_spreads_and_survives_a_killed_worker(environ, client, emu):
    """Its actors die with their process, and joblib's call with them: the run starts new ones."""
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", runtime_env={"env_vars": emu.environ()})
        try:
            job = ask(client, 200, engine="ray", background=True)
            emu.log.wait_for(lambda log: len(log.answered()) >= 40, 90)
            victim = next(p for p in psutil.Process().children(recursive=True) if "PoolActor" in " ".join(p.cmdline()))
            victim.kill()
            kill = time.monotonic()
            found = job.result()
        finally:
            ray.shutdown()

    assert found["response"].notna().all()
    assert found.attrs["prsm"]["spread"]["lost"] >= 1
    asked_again(emu.log.arrivals(), kill, kills=2)


def test_interrupting_stops_the_workers_questions(environ, client, emu):
    """Their connections close: nobody pays for what nobody waits for."""
    emu.add(Rule("hang"))
    with joblib.parallel_config(backend="loky", n_jobs=2):
        job = ask(client, 20, engine=None, background=True)
        emu.log.wait_for(lambda log: log.open_requests >= 10, 60)
        job.cancel()
        emu.log.wait_for(lambda log: log.open_requests == 0, 10)

    assert all(entry.peer_closed for entry in emu.log.arrivals())


# --------------------------------------------------------------------------------------------- the two ends alone


@contextlib.asynccontextmanager
async def opened(host="127.0.0.1", version="1", needs=()):
    async with Fleet.opened(version, host, places={}, needs=list(needs)) as pair:
        yield pair


class Window:
    """A provider that answers what it is asked, when it may."""

    name, origin = "it", "here"

    def __init__(self) -> None:
        self.may, self.asked = asyncio.Event(), collections.Counter()
        self.may.set()

    async def ready(self) -> None: ...

    async def send(self, request, target, *, live):
        text = request.messages[0]["content"]
        self.asked[text] += 1
        await self.may.wait()
        yield Reply(text=text, finish_reason="stop")

    async def aclose(self) -> None: ...


class Hanging(Window):
    """One that never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.stopped = asyncio.Event(), asyncio.Event()

    async def send(self, request, target, *, live):
        self.begun.set()
        try:
            await asyncio.Event().wait()
            yield
        finally:
            self.stopped.set()


TARGET = Target(provider="it", model="m", name="m", origin="here")


async def say(window, text: str) -> Reply:
    request = Request(model="m", messages=({"role": "user", "content": text},))
    async for item in window.send(request, TARGET, live=False):
        return item
    raise AssertionError("nothing was said")


async def test_a_task_that_the_engine_runs_twice_asks_nothing_twice():
    """It is one worker more: what is asked is decided by the driver."""
    here = Window()
    async with opened() as (driver, invitation), asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(outpost.serve(invitation, {"it": here}, "1"))
        texts = [f"{n}" for n in range(40)]
        said = await asyncio.gather(*(say(driver.window("it", "here"), text) for text in texts))
        await driver.dismiss()

    assert [reply.text for reply in said] == texts
    assert all(reply.took_ms is not None for reply in said)
    assert set(here.asked.values()) == {1}


async def test_what_nobody_waits_for_any_more_is_stopped_at_the_worker():
    """A time limit passed, say: the provider's connection closes, the worker goes on."""
    here = Hanging()
    async with opened() as (driver, invitation):
        serving = asyncio.create_task(outpost.serve(invitation, {"it": here}, "1"))
        asking = asyncio.create_task(say(driver.window("it", "here"), "a"))
        async with asyncio.timeout(10):
            await here.begun.wait()
            asking.cancel()
            await here.stopped.wait()

        assert not serving.done()
        await driver.dismiss()
        await serving


async def test_a_worker_whose_driver_is_gone_stops_asking():
    """Nobody would hear the answer: the provider's connection closes, and the task ends."""
    here = Hanging()
    async with opened() as (driver, invitation):
        serving = asyncio.create_task(outpost.serve(invitation, {"it": here}, "1"))
        asking = asyncio.create_task(say(driver.window("it", "here"), "a"))
        async with asyncio.timeout(10):
            await here.begun.wait()
            for worker in driver._workers:
                worker.line.abort()
            await serving
        await asyncio.gather(asking, return_exceptions=True)

    assert here.stopped.is_set()


def test_the_latency_is_the_providers_as_the_worker_measured_it(tmp_path):
    """The way there and back is no latency of a model's."""

    class Measured(Window):
        async def send(self, request, target, *, live):
            yield Reply(text="a", finish_reason="stop", took_ms=123_456.0)

    with lab.Client(providers={"mine": Measured()}, ledger=tmp_path / "l.db") as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = lab.infer("a", model="mine/it", client=client, progress=False)

    assert found["latency_ms"].item() == 123_456.0


def test_a_question_that_its_workers_die_of_is_asked_four_times_and_no_more(tmp_path):
    """Each time anew, whatever max_retries is: a lost worker says nothing of the provider."""

    class Deadly(Window):
        async def send(self, request, target, *, live):
            self.asked["it"] += 1
            raise errors.ProviderError("lost", details={"kind": fleet.LOST})
            yield

    window = Deadly()
    with lab.Client(providers={"mine": window}, ledger=tmp_path / "l.db", max_retries=0) as client:
        found = lab.infer("a", model="mine/it", client=client, progress=False)

    assert (window.asked["it"], found["attempts"].item(), found["error_code"].item()) == (4, 4, "provider_unavailable")


async def test_a_worker_that_stands_still_is_given_up(monkeypatch):
    """Stopped, or behind a broken network: its questions are free again; what it says later is not heard."""
    monkeypatch.setattr(fleet, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(fleet, "PATIENCE_SECONDS", 0.2)
    async with opened() as (driver, invitation):
        reader, writer = await asyncio.open_connection(invitation.host, invitation.port)
        line = link.Link(reader, writer)
        line.post(link.Hello(invitation.token, "1", "still"))
        with pytest.raises(errors.ProviderError, match="still was lost") as lost:
            await say(driver.window("it", "here"), "a")
        line.post(link.Answered(1, Reply(text="late", finish_reason="stop"), 1.0))

        assert lost.value.details == {"kind": "worker_lost"}
        assert (driver.lost, driver.answered) == (1, 0)
        writer.close()


async def test_who_has_no_token_or_another_version_gets_no_question():
    """Nor does who says something else first, or too much."""
    async with opened(version="2") as (driver, invitation):
        for first in (
            link.encoded(link.Hello("guess", "2", "stranger")),
            link.encoded(link.Beat()),
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            b"\xff\xff\xff\xff\x00",
            b"\x00\x00\x00\x02\x00\xc1\xc1",
        ):
            reader, writer = await asyncio.open_connection(invitation.host, invitation.port)
            writer.write(first)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        with pytest.raises(errors.InvalidRequestError, match="runs prsm_lab 1, the driver 2"):
            await outpost.serve(invitation, {}, "1")

        assert driver.joined == 0
        assert not driver.manned.is_set()


async def test_who_comes_when_the_run_is_over_is_sent_home():
    """A process that took long to start, or was started again for one that died."""
    async with opened() as (driver, invitation):
        await driver.dismiss()
        answered = await outpost.serve(invitation, {}, "1")

    assert (answered, driver.joined) == (0, 0)
    assert await outpost.serve(invitation, {}, "1") == 0  # nobody listens any more


async def test_beyond_this_machine_both_ends_speak_tls_and_the_driver_is_proved():
    """The certificate in the invitation is the driver's; another one is not believed."""
    pytest.importorskip("cryptography")
    shown, private = certificates.certificate("127.0.0.1")
    here, driver = Window(), Fleet("1")
    server = await asyncio.start_server(driver.visit, "127.0.0.1", 0, ssl=certificates.driver_context(shown, private))
    port = server.sockets[0].getsockname()[1]
    invitation = fleet.Invitation("127.0.0.1", port, driver._token, needs=["it"], certificate=shown)
    serving = asyncio.create_task(outpost.serve(invitation, {"it": here}, "1"))
    said = await say(driver.window("it", "here"), "hello")
    other = msgspec.structs.replace(invitation, certificate=certificates.certificate("127.0.0.1")[0])
    with pytest.raises(errors.InvalidRequestError, match="cannot reach its driver"):
        await outpost.serve(other, {"it": here}, "1")
    await driver.dismiss()
    server.close()

    assert said.text == "hello"
    assert (await serving, driver.joined) == (1, 1)


@pytest.mark.parametrize(
    "fault",
    [
        errors.RateLimitError("slow", retry_after=1.5, provider="it"),
        errors.AuthenticationError("no", closes_route=True, details={"kind": "bad_key"}),
        errors.ProviderError("cut", partial=Reply(text="so far"), max_retries=1, details={"kind": "truncated"}),
        errors.TimeoutError("late", verdict="next"),
        errors.InvalidRequestError("lone \ud800 surrogate", request_id="req_1"),
    ],
)
def test_a_fault_is_the_same_on_the_other_side(fault):
    """Class, verdict, hint, what had come: the driver judges it as its own."""
    again = link.fault_of(link.decoded(*link.split(link.encoded(link.failed(3, fault)))))

    assert type(again) is type(fault)
    names = (
        "message",
        "details",
        "request_id",
        "provider",
        "verdict",
        "max_retries",
        "closes_route",
        "partial",
        "retry_after",
    )
    assert {name: getattr(again, name) for name in names} == {name: getattr(fault, name) for name in names}


def test_a_copied_fault_has_fields_of_its_own_where_dask_is_imported():
    """Dask's tblib copies exceptions its own way; rewording the copy would reword the original."""
    import distributed  # noqa: F401

    fault = errors.ProviderError("as it was", retry_after=1.0)
    again = copy.copy(fault)
    again.message = "reworded"

    assert (fault.message, again.retry_after, str(again)) == ("as it was", 1.0, "reworded")


def test_nothing_is_read_as_a_pickle():
    """What comes over the wire is msgpack or JSON, whoever sends it."""
    evil = pickle.dumps(os.getcwd)
    with pytest.raises(ValueError, match=r".+"):
        link.decoded(0, evil)


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ("dsak", "Did you mean 'dask'"),
        ("ray", r"prsm-lab\[ray\]"),
        (3, "no name"),
    ],
)
def test_an_engine_that_is_not_there_is_named_with_its_remedy(client, emu, engine, says):
    """Before anything is asked."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        ask(client, 2, engine=engine)

    assert emu.log.arrivals() == []


def test_dask_without_a_client_is_told_how_to_start_one(client):
    """joblib's own words, with ours."""
    with pytest.raises(errors.InvalidRequestError, match=r"dask.distributed.Client"):
        ask(client, 2, engine="dask")


def test_a_run_without_workers_ends_instead_of_waiting_for_ever(environ, client, monkeypatch):
    """They may be busy with other tasks."""
    monkeypatch.setattr(distribute, "JOIN_SECONDS", 0.3)
    monkeypatch.setattr(distribute, "_launch", lambda *_: threading.Event().wait(2))
    with (
        joblib.parallel_config(backend="loky", n_jobs=2),
        pytest.raises(errors.ProviderError, match=r"No worker has joined.*PRSM_DRIVER_HOST"),
    ):
        ask(client, 2, engine=None)


def test_a_share_server_is_not_spread(environ, emu):
    """It asks itself."""
    with (
        lab.Client("prsm_key", base_url="http://127.0.0.1:9") as remote,
        joblib.parallel_config(backend="loky", n_jobs=2),
        pytest.raises(errors.PRSMError),
    ):
        ask(remote, 2, engine=None)
