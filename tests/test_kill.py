"""`kill -9` in the middle of a batch, and the same call again: nothing is lost, nothing delivered is paid twice.

Judged from the emulator's log alone, never from our own words.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from prsm_lab import emulator

ROWS = 200
IN_FLIGHT = 8
GRACE = 0.2
"""Seconds before a kill in which an answer may have left the provider without being in the ledger yet: a commit that
waits for a busy disk is in them."""
SCRIPT = """
import sys
import prsm_lab as lab

def run():
    client = lab.Client(ledger=sys.argv[1])
    found = lab.batch([f"row {n} of the batch" for n in range(int(sys.argv[2]))], "{text}", model="gpt-4.1-mini",
                      client=client, progress=False, max_concurrency=IN_FLIGHT)
    totals = found.attrs["prsm"]["totals"]
    print(found["response"].notna().sum(), totals["asked"], totals["reused"], flush=True)
    client.close()
""".replace("IN_FLIGHT", str(IN_FLIGHT))
ONCE = SCRIPT + "run()"
AGAIN = (
    SCRIPT
    + """
import os, pandas, openai, aiohttp, genai_prices, prsm_lab.frames, prsm_lab.client, prsm_lab.providers.openai
for _ in sys.stdin:  # a process that is ready: thirty interpreters would spend their time on imports
    if (pid := os.fork()) == 0:
        run()
        os._exit(0)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""
)


@pytest.fixture
def emu(monkeypatch):
    pace = emulator.Profile(ttft_ms=30, tokens_per_s=2000)
    with emulator.start(profiles={"gpt-4.1-mini": pace}, latency_scale=1.0) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


def start(ledger, script: str = ONCE, rows: int = ROWS) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", script, str(ledger), str(rows)], text=True, **pipes)


def paid_twice(arrivals, kills: list[float]) -> int:
    """Check that only what was not delivered at a kill was asked again, and return how often."""
    last = {entry.prompt: entry.arrived for entry in arrivals}
    lost = [entry for entry in arrivals if entry.arrived < last[entry.prompt]]
    for entry in lost:  # asked again later: then its answer had not come, or came in the kill's last moment
        its_kill = min((kill for kill in kills if kill >= entry.arrived), default=0.0)
        assert entry.done is None or entry.done > its_kill - GRACE, "an answer that was delivered is paid twice"
    assert len(lost) <= IN_FLIGHT * len(kills), "more were asked again than were in flight at the kills"
    return len(lost)


def test_after_kill_9_the_same_call_asks_only_what_was_not_delivered(emu, tmp_path):
    """Killed at a drawn point, interpreter and all, then left to finish; the next test kills more often."""
    ledger, kills = tmp_path / "ledger.db", []
    for reached in sorted(random.Random(29).sample(range(1, ROWS - 3 * IN_FLIGHT), 1)):
        process = start(ledger)
        emu.log.wait_for(lambda log, n=reached: sum(e.done is not None for e in log.entries) >= n, 30)
        kills.append(time.monotonic())
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
        emu.log.wait_for(lambda log: log.open_requests == 0, 10)
    said, complained = start(ledger).communicate(timeout=40)

    answered, asked, reused = map(int, said.split())
    assert (answered, asked + reused, complained) == (ROWS, ROWS, "")
    arrivals = emu.log.arrivals()
    assert {entry.prompt for entry in arrivals} == {f"row {n} of the batch" for n in range(ROWS)}
    lost = paid_twice(arrivals, kills)
    assert reused >= sum(e.done is not None and e.done < kills[-1] - GRACE for e in arrivals) - lost


def test_thirty_kills_at_any_moment_lose_nothing_and_pay_for_nothing_twice(emu, tmp_path):
    """Some fall before the first request, into a commit, or into the look-up of what is known."""
    rows, draw = 700, random.Random(7)
    process = start(tmp_path / "ledger.db", AGAIN, rows)
    kills: list[float] = []
    while len(kills) < 30:
        before = len(emu.log.entries)
        process.stdin.write("\n")
        process.stdin.flush()
        pid = int(process.stdout.readline())
        wanted = draw.choice([0, 1, 3, 9, 20, 30])  # requests that this life may send; 0: it dies while it starts
        if wanted:
            emu.log.wait_for(lambda log, n=before + wanted: len(log.entries) >= n, 20)
        kills.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)
        assert process.stdout.readline() == "gone\n"
        emu.log.wait_for(lambda log: log.open_requests == 0, 10)
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()
    answered, asked, reused = map(int, process.stdout.readline().split())
    process.communicate(timeout=20)

    assert (answered, asked + reused) == (rows, rows)
    arrivals = emu.log.arrivals()
    assert {entry.prompt for entry in arrivals} == {f"row {n} of the batch" for n in range(rows)}
    lost = paid_twice(arrivals, kills)
    print(
        f"\n{len(kills)} kills, {len(arrivals)} requests for {rows} rows: {lost} were in flight at a kill, {reused} reused at the end"
    )


def test_two_kernels_run_the_same_batch_on_one_ledger(emu, tmp_path):
    """Neither hears that the file is locked, and both get every row."""
    processes = [start(tmp_path / "ledger.db") for _ in range(2)]
    ended = [(*process.communicate(timeout=40), process.returncode) for process in processes]

    assert [(said.split()[0], complained, status) for said, complained, status in ended] == [(str(ROWS), "", 0)] * 2
