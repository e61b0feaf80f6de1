"""`kill -9` in the middle of a batch, and the same call again: nothing is lost, nothing delivered is paid twice.

Judged from the emulator's log alone, never from our own words.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from prsm_lab import emulator

ROWS = 200
IN_FLIGHT = 8
GRACE = 0.05
"""Seconds before a kill in which an answer may have left the provider without being in the ledger yet."""
SCRIPT = """
import sys
import prsm_lab as lab
client = lab.Client(ledger=sys.argv[1])
found = lab.batch([f"row {n} of the batch" for n in range(ROWS)], "{text}", model="gpt-4.1-mini", client=client,
                  progress=False, max_concurrency=IN_FLIGHT)
print(found["response"].notna().sum(), found.attrs["prsm"]["totals"]["asked"], found.attrs["prsm"]["totals"]["reused"])
client.close()
""".replace("ROWS", str(ROWS)).replace("IN_FLIGHT", str(IN_FLIGHT))


@pytest.fixture
def emu(monkeypatch):
    pace = emulator.Profile(ttft_ms=30, tokens_per_s=2000)
    with emulator.start(profiles={"gpt-4.1-mini": pace}, latency_scale=1.0) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


def start(ledger) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(ledger)], text=True, **pipes)


def test_after_kill_9_the_same_call_asks_only_what_was_not_delivered(emu, tmp_path):
    """Killed three times at drawn points, then left to finish."""
    ledger, kills = tmp_path / "ledger.db", []
    for reached in sorted(random.Random(29).sample(range(1, ROWS - 3 * IN_FLIGHT), 3)):
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
    lost = [
        entry for entry in arrivals if any(e.prompt == entry.prompt and e.arrived > entry.arrived for e in arrivals)
    ]
    for entry in lost:  # asked again later: then its answer had not come, or came in the kill's last moment
        its_kill = min((kill for kill in kills if kill >= entry.arrived), default=0.0)
        assert entry.done is None or entry.done > its_kill - GRACE, "an answer that was delivered is paid twice"
    assert len(lost) <= IN_FLIGHT * len(kills), "more were asked again than were in flight at the kills"
    assert reused >= sum(e.done is not None and e.done < kills[-1] - GRACE for e in arrivals) - len(lost)


def test_two_kernels_run_the_same_batch_on_one_ledger(emu, tmp_path):
    """Neither hears that the file is locked, and both get every row."""
    processes = [start(tmp_path / "ledger.db") for _ in range(2)]
    ended = [(*process.communicate(timeout=40), process.returncode) for process in processes]

    assert [(said.split()[0], complained, status) for said, complained, status in ended] == [(str(ROWS), "", 0)] * 2
