"""The ledger: what was answered, what is known, what is missing, what it cost; over real files and processes.

What holds of every ledger is tried on a file and on a PostgreSQL database (where there is a server to start).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prsm_lab.errors import InternalError, NotFoundError, ProviderError, RateLimitError
from prsm_lab.ledger import Ledger, fingerprint, upkeep
from prsm_lab.settings import Secret
from prsm_lab.types import (
    Attempt,
    CachePolicy,
    Cost,
    Inference,
    Options,
    Query,
    Reply,
    Request,
    Routing,
    Run,
    Strategy,
    Usage,
)

HERE = ("https://api.openai.com/v1",)


def ask(text: str = "hi", **fields: object) -> Request:
    return Request(model="gpt-4", messages=({"role": "user", "content": text},), **fields)  # type: ignore[arg-type]


def answered(id: str, text: str = "Hello", **fields: object) -> Inference:
    plain = {
        "requested_model": "gpt-4", "model": "gpt-4", "provider": "openai", "content": text, "finish_reason": "stop",
        "usage": Usage(prompt_tokens=10, completion_tokens=5), "cost": Cost(amount=0.001), "created": 100.0,
        "completed": 101.0, "latency_ms": 900.0,
        "attempts": (Attempt(provider="openai", model="gpt-4", started=100.0, latency_ms=900.0),),
    }  # fmt: skip
    return Inference(id=id, **{**plain, **fields})  # type: ignore[arg-type]


def put(
    ledger: Ledger,
    id: str,
    request: Request,
    inference: Inference | None = None,
    *,
    scope: str | None = None,
    created: float = 100.0,
) -> bytes:
    key = fingerprint(request, HERE)
    ledger.start(id, request, key, scope=scope, created=created)
    ledger.finish(inference or answered(id, created=created))
    return key


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """Where a ledger may be: each kind in turn."""
    if request.param == "sqlite":
        return tmp_path / "made" / "ledger.db"
    return Secret(request.getfixturevalue("database"))


@pytest.fixture
def ledger(address):
    opened = Ledger.open(address)
    yield opened
    opened.close()


@pytest.fixture
def file_ledger(tmp_path: Path):
    opened = Ledger.open(tmp_path / "made" / "ledger.db")
    yield opened
    opened.close()


def test_what_was_answered_can_be_read_back_whole(ledger):
    """By id, with every field."""
    inference = answered("inf_1", "Grüße 🌍 \x00 nul")
    put(ledger, "inf_1", ask(), inference)

    record = ledger.get("inf_1")
    assert (record.status, record.inference) == ("completed", inference)


def test_an_unknown_id_is_not_found(ledger):
    """And says so by the typed error."""
    with pytest.raises(NotFoundError, match="inf_x"):
        ledger.get("inf_x")


def test_what_is_known_is_found_by_its_question(ledger):
    """The latest good answer serves."""
    key = put(ledger, "inf_1", ask(), created=100)
    put(ledger, "inf_2", ask(), answered("inf_2", "later", created=200.0), created=200)

    assert ledger.find([key])[key].content == "later"
    assert ledger.find([key], since=201) == {}
    assert ledger.find([fingerprint(ask("other"), HERE)]) == {}


def test_a_cut_answer_is_kept_for_its_run_but_never_served_by_a_cache(ledger):
    """It was paid for; asking again would pay again for the same cut."""
    key = put(ledger, "inf_1", ask(), answered("inf_1", finish_reason="length"), scope="")

    assert ledger.find([key]) == {}
    assert ledger.find([key], scope="", whole=False)[key].id == "inf_1"


def test_a_run_finds_only_answers_of_its_own_scope(ledger):
    """A named run does not take what an unnamed one asked, nor the other way round."""
    key = put(ledger, "inf_1", ask(), scope="")

    assert ledger.find([key], scope="mine") == {}
    assert list(ledger.find([key], scope="")) == [key]


def test_a_failure_keeps_its_error_its_attempts_and_what_had_arrived(ledger):
    """Partial text was paid for."""
    error = RateLimitError("slow", retry_after=3, provider="openai")
    attempt = Attempt(
        provider="openai", model="gpt-4", started=1.0, error_code="rate_limit", error="slow", maybe_billed=True
    )
    ledger.start("inf_1", ask(), fingerprint(ask(), HERE), scope=None, created=1.0)
    ledger.fail("inf_1", error, completed=2.0, attempts=(attempt,), partial=Reply(text="Hel"))

    record = ledger.get("inf_1")
    assert (record.status, record.partial, record.error["code"]) == ("failed", "Hel", "rate_limit")
    row = ledger.connection.execute("SELECT * FROM attempt").fetchone()
    assert (row["error_code"], row["maybe_billed"]) == ("rate_limit", 1)


def test_what_a_run_lacks_is_seen_from_its_replay(ledger):
    """Each question in order: answered, failed, or never asked."""
    requests = [ask("a"), ask("b"), ask("c"), ask("a")]
    keys = [fingerprint(request, HERE) for request in requests]
    ledger.begin(Run(id="run_1", name="mine", spec={"k": 1}, data=b"x", created=5.0), keys, "mine")
    put(ledger, "inf_a", requests[0], scope="mine")
    ledger.start("inf_b", ask("b", run="run_1"), keys[1], scope="mine", created=1.0)
    ledger.fail("inf_b", ProviderError("down"), completed=2.0, attempts=(), partial=None)

    run, states = ledger.replay("mine")
    assert (run.id, run.spec, run.data) == ("run_1", {"k": 1}, b"x")
    assert [state and state.status for state in states] == ["completed", "failed", None, "completed"]
    (listed,) = ledger.runs()
    assert (listed.questions, listed.answered, listed.failed) == (4, 2, 1)


def test_usage_agrees_with_numpy(ledger):
    """Sums and percentiles over random figures, against an independent source."""
    random = np.random.default_rng(7)
    latencies, costs = random.lognormal(6, 1, 101), random.random(101)
    for n, (latency, cost) in enumerate(zip(latencies, costs, strict=True)):
        put(
            ledger,
            f"inf_{n}",
            ask(str(n)),
            answered(f"inf_{n}", latency_ms=float(latency), cost=Cost(amount=float(cost))),
        )
    put(ledger, "inf_unpriced", ask("u"), answered("inf_unpriced", latency_ms=None, cost=Cost()))
    put(ledger, "inf_cached", ask("c"), answered("inf_cached", cached=True, latency_ms=0.1, cost=Cost(amount=0.0)))
    ledger.start("inf_bad", ask("bad"), b"x" * 32, scope=None, created=100.0)
    ledger.fail("inf_bad", ProviderError("down"), completed=101.0, attempts=(), partial=None)

    report = ledger.usage(Query())
    assert (report.total_requests, report.unpriced_requests, report.cached_requests) == (104, 1, 1)
    assert report.success_rate == 103 / 104
    assert report.total_cost == pytest.approx(costs.sum(), rel=1e-12)
    assert report.avg_latency_ms == pytest.approx(latencies.mean(), rel=1e-12)
    for share, figure in ((50, report.p50_latency_ms), (95, report.p95_latency_ms), (99, report.p99_latency_ms)):
        assert figure == pytest.approx(np.percentile(latencies, share), rel=1e-12)
    assert ledger.usage(Query(since=101.0)).total_requests == 0
    (group,) = ledger.usage(Query(group_by=("model",), model="gpt-4")).groups
    assert (group["model"], group["total_requests"]) == ("gpt-4", 104)


def test_nothing_is_known_of_an_empty_ledger(ledger):
    """Unknown is None, not 0."""
    report = ledger.usage(Query())

    assert (report.total_requests, report.total_cost, report.avg_latency_ms, report.success_rate) == (
        0,
        None,
        None,
        None,
    )


async def test_written_returns_after_the_commit_and_shares_it(ledger, address):
    """Rows that come together are one transaction, and another connection sees them."""
    reader = Ledger.open(address)

    async def one(n: int) -> None:
        put(ledger, f"inf_{n}", ask(str(n)))
        await ledger.written()

    await asyncio.gather(*(one(n) for n in range(50)))

    answered = reader.connection.execute("SELECT count(*) FROM inference WHERE status = 'completed'").fetchone()
    reader.close()
    assert answered[0] == 50


async def test_a_failed_commit_reaches_everybody_who_waits_and_loses_no_row(file_ledger):
    """Disk full: nobody is told that it was written, and it is written once there is room."""
    ledger = file_ledger
    ledger.connection.execute("PRAGMA max_page_count = 1").fetchone()  # SQLite takes the file's present size
    put(ledger, "inf_1", ask(), answered("inf_1", "x" * 1_000_000))
    with pytest.raises(InternalError, match="full"):
        await ledger.written()
    ledger._connection.execute("PRAGMA max_page_count = 1000000").fetchone()

    assert ledger.get("inf_1").status == "completed"


CHILD = """
import asyncio, sys
sys.path.insert(0, {root!r})
from prsm_lab.settings import sealed_address
from tests_helper import put, ask, Ledger
async def main():
    ledger = Ledger.open(sealed_address(sys.argv[1]))
    for n in range(10_000):
        put(ledger, f"inf_{{sys.argv[2]}}_{{n}}", ask(f"{{sys.argv[2]}} {{n}}"))
        await ledger.written()
        print(n, flush=True)
        if n + 1 == int(sys.argv[3]): break
    ledger.close()
asyncio.run(main())
"""


@pytest.fixture
def child(tmp_path):
    """Start a process that writes answers and prints each number once `written` has returned."""
    (tmp_path / "tests_helper.py").write_text(
        f"import importlib.util\nspec = importlib.util.spec_from_file_location('t', {__file__!r})\n"
        "m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)\nput, ask, Ledger = m.put, m.ask, m.Ledger\n"
    )
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(root=str(tmp_path)))

    def start(address: Path | Secret, name: str, count: int) -> subprocess.Popen[str]:
        place = address.reveal() if isinstance(address, Secret) else str(address)
        return subprocess.Popen(
            [sys.executable, str(script), place, name, str(count)], stdout=subprocess.PIPE, text=True
        )

    return start


def test_after_kill_9_every_answer_that_was_written_is_there(child, address):
    """The promise of `written`: durable before anybody sees it."""
    process = child(address, "a", 10_000)
    seen = [int(process.stdout.readline()) for _ in range(40)]
    process.send_signal(signal.SIGKILL)
    seen += [int(line) for line in process.stdout.read().splitlines() if line.strip().isdigit()]
    process.wait()

    ledger = Ledger.open(address)
    kept = {row[0] for row in ledger.connection.execute("SELECT id FROM inference WHERE status = 'completed'")}
    assert {f"inf_a_{n}" for n in seen} <= kept
    assert upkeep.check(ledger) == []
    ledger.close()


def test_two_processes_write_one_ledger_at_once(child, address):
    """Two kernels: nobody is told that the file is locked."""
    processes = [child(address, name, 100) for name in "ab"]
    assert [process.wait(30) for process in processes if process.communicate()] == [0, 0]

    ledger = Ledger.open(address)
    assert ledger.usage(Query()).total_requests == 200
    ledger.close()


def test_a_question_left_running_by_a_dead_process_is_unknown(ledger):
    """It was sent, it may be billed; it is not shown as running for ever."""
    ledger.start("inf_1", ask(), b"x" * 32, scope=None, created=1.0)
    assert ledger.get("inf_1").status == "running"
    process = subprocess.Popen(["true"])
    process.wait()
    boot = ledger._owner.rpartition(":")[0]
    ledger.connection.execute("UPDATE inference SET owner = ?", (f"{boot}:{process.pid}",))

    assert ledger.get("inf_1").status == "unknown"


def test_a_question_of_another_machine_may_run_for_ten_minutes(ledger):
    """Nobody here can look whether its process lives: it is neither lost at once nor running for ever."""
    ledger.start("inf_new", ask(), b"x" * 32, scope=None, created=time.time() - 590)
    ledger.start("inf_old", ask(), b"x" * 32, scope=None, created=time.time() - 610)
    ledger.flush()
    ledger.connection.execute("UPDATE inference SET owner = ?", (f"another-machine:{os.getpid()}",))

    assert [ledger.get(one).status for one in ("inf_new", "inf_old")] == ["running", "unknown"]


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    """With the remedy in the message."""
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InternalError, match=r"newer prsm_lab .*99.*pip install -U"):
        Ledger.open(path)


def test_a_file_that_is_no_ledger_is_refused_and_not_overwritten(tmp_path):
    """Whatever it is, it is somebody's."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"my thesis " * 1000)
    with pytest.raises(InternalError, match="no ledger"):
        Ledger.open(path)

    assert path.read_bytes() == b"my thesis " * 1000


def test_a_folder_that_cannot_be_written_warns_and_works_in_memory(tmp_path):
    """A cache must never stand between a person and an answer."""
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="kept in memory only"):
        ledger = Ledger.open(tmp_path / "file" / "ledger.db")
    key = put(ledger, "inf_1", ask())

    assert (ledger.path, list(ledger.find([key]))) == (None, [key])


def test_the_file_is_its_owners_alone(file_ledger):
    """Prompts and answers are private."""
    path = file_ledger.path
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_an_answer_that_was_altered_is_not_served_and_is_reported(ledger):
    """SQLite's own check passes a changed letter."""
    key = put(ledger, "inf_1", ask())
    answer = ledger.connection.execute("SELECT answer FROM inference").fetchone()[0]
    ledger.connection.execute("UPDATE inference SET answer = ?", (answer.replace(b"Hello", b"Jello"),))
    assert ledger.find([key]) == {}
    assert upkeep.check(ledger) == ["answer of inf_1 was altered after it was written"]


def test_lone_surrogates_lose_no_row(ledger):
    """A poisoned prompt is escaped, not refused."""
    request = ask("bad \ud83d text")
    put(ledger, "inf_1", request)

    assert ledger.get("inf_1").status == "completed"
    assert "\\\\ud83d" in ledger.connection.execute("SELECT request FROM inference").fetchone()[0]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_the_child_writes_through_its_own_connection(ledger):
    """A shared connection lost the child's commit without a word."""
    put(ledger, "inf_parent", ask("parent"))
    ledger.flush()
    pid = os.fork()
    if pid == 0:
        put(ledger, "inf_child", ask("child"))
        ledger.flush()
        os._exit(0)
    os.waitpid(pid, 0)

    assert ledger.get("inf_child").status == "completed"


def test_pruning_takes_what_is_old_and_keeps_the_rest(ledger, tmp_path):
    """And export writes one line an inference."""
    put(ledger, "inf_old", ask("old"), created=1.0)
    put(ledger, "inf_new", ask("new"), created=time.time())
    assert upkeep.prune(ledger, before=1000.0) == 1

    out = tmp_path / "out.jsonl"
    assert upkeep.export(ledger, out) == 1
    assert msgspec.json.decode(out.read_bytes())["record"]["id"] == "inf_new"


def test_a_large_ledger_is_pruned_and_exported_in_pieces(ledger, tmp_path, monkeypatch):
    """Nobody else waits for all of it, and it need not fit into memory."""
    monkeypatch.setattr(upkeep, "AT_ONCE", 2)
    for n in range(505):
        put(ledger, f"inf_{n:03}", ask(str(n)), created=float(n))

    assert upkeep.prune(ledger, before=5.0) == 5
    assert upkeep.export(ledger, tmp_path / "out.jsonl") == 500
    assert upkeep.check(ledger) == []
    ids = [msgspec.json.decode(line)["record"]["id"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert ids == [f"inf_{n:03}" for n in range(5, 505)]


# -------------------------------------------------------------------------------------------------- fingerprints

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda x: st.lists(x, max_size=2) | st.dictionaries(st.text(max_size=3), x, max_size=3),
    max_leaves=6,
)
requests = st.builds(
    lambda model, text, temperature, sample, extra: Request(
        model=model, messages=({"role": "user", "content": text},), options=Options(temperature=temperature, extra=extra), sample=sample
    ),
    st.sampled_from(["a", "b"]), st.text(max_size=8), st.none() | st.floats(0, 2), st.integers(0, 3), st.none() | st.dictionaries(st.text(max_size=3), json_values, max_size=3),
)  # fmt: skip


@settings(deadline=None)
@given(requests, requests)
def test_questions_share_a_fingerprint_exactly_when_they_are_equal(one, other):
    """No two different questions meet, no equal ones miss each other."""
    same = msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(other, order="deterministic")

    assert (fingerprint(one, HERE) == fingerprint(other, HERE)) == same


def test_the_order_of_keys_does_not_matter():
    """`{"a": 1, "b": 2}` is the same schema as `{"b": 2, "a": 1}`."""
    one, other = (ask(options=Options(schema=schema)) for schema in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))

    assert fingerprint(one, HERE) == fingerprint(other, HERE)


@pytest.mark.parametrize(
    "fields",
    [{"sample": 1}, {"options": Options(seed=1)}, {"options": Options(stop=("x",))}, {"routing": Routing(provider="openai")},
     {"routing": Routing(fallback=(Strategy(provider="anthropic"),))}, {"routing": Routing(quality_threshold=0.5)}],
)  # fmt: skip
def test_whatever_shapes_the_answer_shapes_the_fingerprint(fields):
    """Options, sample, and who may answer."""
    assert fingerprint(ask(**fields), HERE) != fingerprint(ask(), HERE)


@pytest.mark.parametrize(
    "fields",
    [{"run": "r"}, {"scope": ""}, {"timeout": 3.0}, {"cache": CachePolicy()}, {"routing": Routing(retry_attempts=5)}],
)
def test_what_only_says_how_to_ask_does_not(fields):
    """A resumed run with a longer timeout finds its answers."""
    assert fingerprint(ask(**fields), HERE) == fingerprint(ask(), HERE)


def test_another_server_is_another_question():
    """A simulated answer must never pass for a real one."""
    assert fingerprint(ask(), HERE) != fingerprint(ask(), ("emulator:7",))


def test_the_normalized_strategy_folds_case_blanks_and_marks():
    """And the exact one does not."""
    folded = CachePolicy(key_strategy="normalized")
    assert fingerprint(ask("What is  IT?", cache=folded), HERE) == fingerprint(ask("what is it", cache=folded), HERE)
    assert fingerprint(ask("What is it?"), HERE) != fingerprint(ask("what is it"), HERE)


def test_many_processes_may_open_a_new_file_at_once(tmp_path):
    """None falls back to memory: what it pays for would be forgotten."""
    script = """
import sys
from pathlib import Path
from prsm_lab.ledger import Ledger
input()
print(Ledger.open(Path(sys.argv[1])).path)
"""
    for n in range(4):
        path = tmp_path / f"{n}.db"
        command = [sys.executable, "-W", "error", "-c", script, str(path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        said = [process.communicate(timeout=40) for process in processes]

        assert said == [(f"{path}\n", "")] * 4
