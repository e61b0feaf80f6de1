"""`kill -9` in the middle of a batch, and the same call again: nothing is lost, nothing delivered is paid twice.

Judged from the emulator's log alone, never from our own words.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from prsm_lab import emulator

ROWS = 150
SCRIPT = """
import sys
import prsm_lab as lab
client = lab.Client(ledger=sys.argv[1])
found = lab.batch([f"row {n} of the batch" for n in range(ROWS)], "{text}", model="gpt-4.1-mini", client=client,
                  progress=False, max_concurrency=8)
print(found["response"].notna().sum(), found.attrs["prsm"]["totals"]["asked"], found.attrs["prsm"]["totals"]["reused"])
client.close()
""".replace("ROWS", str(ROWS))


@pytest.fixture
def emu(monkeypatch):
    pace = emulator.Profile(ttft_ms=30, tokens_per_s=2000)
    with emulator.start(profiles={"gpt-4.1-mini": pace}, latency_scale=1.0) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


def start(ledger) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(ledger)], stdout=subprocess.PIPE, text=True)


def test_after_kill_9_the_same_call_asks_only_what_was_not_delivered(emu, tmp_path):
    """Killed three times at different points, then left to finish."""
    ledger, killed = tmp_path / "ledger.db", []
    for reached in (11, 47, 96):
        process = start(ledger)
        emu.log.wait_for(lambda log, n=reached: sum(e.done is not None for e in log.entries) >= n, 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
        emu.log.wait_for(lambda log: log.open_requests == 0, 10)
        killed.append(max(entry.arrived for entry in emu.log))
    process = start(ledger)
    said, _ = process.communicate(timeout=40)

    answered, asked, reused = map(int, said.split())
    assert (answered, asked + reused) == (ROWS, ROWS)
    first_done: dict[str, float] = {}
    duplicates = 0
    for entry in sorted(emu.log, key=lambda e: e.arrived):
        if entry.prompt in first_done:
            duplicates += 1
            # what is asked again was not delivered: its answer came in the last moment before a kill
            assert any(
                end - first_done[entry.prompt] < 0.25 for end in killed if end >= first_done[entry.prompt] - 0.25
            )
        if entry.done is not None:
            first_done.setdefault(entry.prompt, entry.done)
    assert duplicates <= 8 * len(killed), "more were asked again than were in flight at the kills"
    assert len(first_done) == ROWS


def test_two_kernels_run_the_same_batch_on_one_ledger(emu, tmp_path):
    """Neither hears that the file is locked, and both get every row."""
    processes = [start(tmp_path / "ledger.db") for _ in range(2)]
    said = [process.communicate(timeout=40)[0] for process in processes]

    assert [line.split()[0] for line in said] == [str(ROWS)] * 2
