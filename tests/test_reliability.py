"""Faults of the machine and of the configuration (K and C rows of the reliability table) that no other file has."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors, settings
from prsm_lab.emulator import Profile

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
