"""Faults of the machine and of the configuration (K and C rows of the reliability table) that no other file has."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors, settings
from prsm_lab.emulator import Profile, Rule
from prsm_lab.ledger import Ledger, owners
from prsm_lab.ledger.turns import TurnBook
from prsm_lab.settings import Secret

MODEL = "gpt-4.1-mini"
pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def emu():
    with emulator.start(profiles={MODEL: Profile(ttft_ms=5, tokens_per_s=1e6)}, latency_scale=1.0) as running:
        yield running


def child(emu, ledger, code: str) -> str:
    """Run code in a process of its own, with a client of the emulator; what it printed."""
    emu.clear()
    script = (
        "import resource, signal, sys, warnings\nimport prsm_lab as lab\n"
        "def batch(rows, **options):\n"
        "    return lab.batch(rows, '{text}', model='gpt-4.1-mini', client=client, progress=False, **options)\n"
        "client = lab.Client(providers={'openai': {'base_url': sys.argv[1], 'api_key': 'k'}}, ledger=sys.argv[2])\n"
        "batch(['warm up'])\n" + textwrap.dedent(code)
    )
    command = [sys.executable, "-c", script, f"{emu.url}/v1", str(ledger)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=80)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_full_disk_stops_the_sending_and_keeps_what_was_acknowledged(emu, tmp_path):
    """What cannot be written down is not bought; with room again, the same call asks only what is missing."""
    said = child(
        emu, tmp_path / "ledger.db", """
        rows = [f"row {n} " + "x" * 400 for n in range(400)]
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        before = (resource.getrlimit(resource.RLIMIT_FSIZE))
        batch(rows[:1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
        try:
            batch(rows)
        except lab.errors.InternalError as full:
            print("could not be written" in full.message, full.details["kind"])
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        found = batch(rows)
        print(found["response"].notna().sum())
        """,
    )  # fmt: skip

    assert said.split() == ["True", "ledger", "400"]
    asked = [entry.prompt for entry in emu.log.arrivals()]
    assert len(asked) - len(set(asked)) <= 2 * 16  # no more than were in flight when it was full


SAME = """
import sys, prsm_lab as lab
client = lab.Client(ledger=sys.argv[2], providers={"openai": {"base_url": sys.argv[1], "api_key": "k"}})
client.models.list()
print("ready", flush=True)
sys.stdin.readline()
found = lab.batch([f"row {n}" for n in range(120)], "{text}", model="gpt-4.1-mini", client=client, progress=False)
totals = found.attrs["prsm"]["totals"]
print(found["response"].notna().sum(), totals["asked"], totals["reused"])
"""


def start_same(emu, ledger) -> subprocess.Popen[str]:
    """A process that is ready to ask the run."""
    command = [sys.executable, "-W", "ignore", "-c", SAME, f"{emu.url}/v1", str(ledger)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def go(process) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_kernels_that_run_the_same_cell_at_once_pay_once(emu, tmp_path):
    """Both have every answer; the provider saw each question once."""
    emu.clear()
    both = [start_same(emu, tmp_path / "ledger.db") for _ in range(2)]
    for process in both:
        go(process)
    said = [list(map(int, process.communicate(timeout=60)[0].split())) for process in both]

    assert [whole for whole, _, _ in said] == [120, 120]
    assert sorted(asked for _, asked, _ in said) == [0, 120]
    assert len(emu.log.arrivals()) == 120


def test_whoever_waits_for_a_process_that_dies_goes_on_in_its_place(emu, tmp_path):
    """Its answers are taken, and what it had not asked is asked."""
    emu.clear()
    emu.add(Rule("slow", seconds=0.1))
    first, second = (start_same(emu, tmp_path / "ledger.db") for _ in range(2))
    go(first)
    emu.log.wait_for(lambda log: len(log.answered()) >= 32, 60)
    go(second)
    first.kill()
    first.wait()
    whole, asked, reused = map(int, second.communicate(timeout=60)[0].split())

    assert (whole, asked + reused) == (120, 120)
    assert reused >= 32 - 16
    assert len(emu.log.arrivals()) <= 120 + 16


def test_the_same_call_twice_in_one_process_pays_once(emu, tmp_path):
    """A job in the background, and the cell run again."""
    emu.clear()
    emu.add(Rule("slow", seconds=0.05))
    rows = [f"row {n}" for n in range(60)]
    with lab.Client(providers=emu.providers(), ledger=tmp_path / "l.db") as client:
        job = lab.batch(rows, "{text}", model=MODEL, client=client, progress=False, background=True)
        emu.log.wait_for(lambda log: len(log.answered()) >= 8)
        again = lab.batch(rows, "{text}", model=MODEL, client=client, progress=False)
        first = job.result()

    assert len(emu.log.arrivals()) == 60
    assert again["response"].tolist() == first["response"].tolist()
    assert again.attrs["prsm"]["totals"]["asked"] == 0


def test_a_turn_is_free_when_it_was_given_back(books):
    """One call at a time, in a file and in a database alike."""
    one, other = books

    assert (one.take("run_a", "1"), one.take("run_a", "1"), other.take("run_b", "2")) == (None, None, None)
    assert other.take("run_a", "2") == owners.this_process()
    other.leave("run_a", "2")  # not its own to give
    assert other.take("run_a", "2") is not None
    one.leave("run_a", "1")
    assert other.take("run_a", "2") is None


@pytest.fixture(params=["file", "postgresql"])
def books(request, tmp_path):
    """Two processes' view of one ledger's turns."""
    where = tmp_path / "l.db" if request.param == "file" else Secret(request.getfixturevalue("database"))
    ledgers = [Ledger.open(where), Ledger.open(where)]
    yield [TurnBook(ledger) for ledger in ledgers]
    for ledger in ledgers:
        ledger.close()


def test_a_low_limit_of_open_files_lowers_the_concurrency_with_a_word(emu, tmp_path):
    """Instead of rows that fail because a socket could not be opened."""
    said = child(
        emu, tmp_path / "ledger.db", """
        client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
        client = lab.Client(providers={"openai": {"base_url": sys.argv[1], "api_key": "k"}}, ledger=sys.argv[2])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = batch([f"row {n}" for n in range(400)], max_concurrency=300)
        print(found["response"].notna().sum(), any("64 questions are in flight at most, not 300" in str(w.message) for w in told))
        """,
    )  # fmt: skip

    assert said.split() == ["400", "True"]
    assert emu.log.max_open <= 64


@pytest.mark.parametrize(
    ("url", "insecure", "sent"),
    [
        ("http://203.0.113.7:9/v1", False, False),
        ("http://203.0.113.7:9/v1", True, True),
        ("http://localhost:9/v1", False, True),
    ],
)
def test_a_key_does_not_travel_in_the_open_unless_somebody_says_so(url, insecure, sent):
    """Plain HTTP beyond this machine: nothing is sent, and the remedy is named."""
    provider = {"base_url": url, "api_key": "sk-canary", "insecure": insecure}
    with lab.Client(providers={"mine": provider}, ledger=":memory:", max_retries=0) as client:
        found = lab.infer("hi", model="mine/it", client=client, progress=False, timeout=0.3)

    assert (found["error_code"].item() != "authentication") is sent
    assert ("'insecure': True" in found["error"].item()) is not sent
    assert "canary" not in found["error"].item()


@pytest.mark.parametrize(("provider", "key"), [("openai", "sk-ant-api03-x"), ("anthropic", "hf_x"), ("openai", "hf_x")])
def test_a_key_of_another_provider_is_noticed_before_it_is_sent(provider, key):
    """Every provider would see it."""
    with pytest.warns(UserWarning, match=rf"The key of {provider} begins with") as told:
        settings.access(provider, api_key=key, environ={})

    assert key not in str(told[0].message)


def test_a_key_at_ones_own_server_may_begin_as_it_likes():
    """A gateway takes whatever it gave out."""
    assert settings.access("openai", api_key="sk-ant-x", base_url="https://gateway.example.org/v1", environ={}).key


def test_a_ledger_that_cannot_write_is_one_error_and_the_end_of_the_run(emu, tmp_path):
    """Not one for each row, and not a group of them; those that were in flight are the last that are sent."""
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=tmp_path / "l.db") as client:
        lab.batch(["warm up"], "{text}", model=MODEL, client=client, progress=False)

        def broken(*_, **__):
            raise errors.InternalError("The ledger is gone.", details={"kind": "ledger"})

        client.engine._ledger.finish = broken
        with pytest.raises(errors.InternalError, match="The ledger is gone"):
            lab.batch([f"row {n}" for n in range(50)], "{text}", model=MODEL, client=client, progress=False)

    assert len(emu.log.arrivals("row")) <= 16
