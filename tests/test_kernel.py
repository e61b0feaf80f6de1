"""In a live kernel: sync calls in cells, interrupts that stop paying, work that goes on behind a busy cell.

The provider's side is the judge: when did the emulator see the connection close?
"""

from __future__ import annotations

import os
import queue
import time

import pytest

from prsm_lab import emulator

jupyter_client = pytest.importorskip("jupyter_client")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


class Kernel:
    """A kernel with a client made in its first cell; `options` go to its process."""

    def __init__(self, emu, **options) -> None:
        self.manager = jupyter_client.KernelManager(kernel_name="python3")
        self.manager.start_kernel(env={**os.environ, **emu.environ(), "PRSM_LEDGER": ":memory:"}, **options)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.run(
            "import prsm_lab as lab, time; client = lab.use(lab.Client()); later = lab.AsyncClient(); lab.infer('warm', model='gpt-4.1-mini', progress=False)"
        )

    def send(self, code: str) -> str:
        return self.client.execute(code)

    def finish(self, sent: str, seconds: float = 30) -> tuple[str, str]:
        """Wait for a cell; return what it printed and the name of its error, if any."""
        printed, error = [], ""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
            elif kind == "error":
                error = content["ename"]
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(printed), error
        raise TimeoutError(f"cell did not end: {''.join(printed)}")

    def run(self, code: str) -> str:
        printed, error = self.finish(self.send(code))
        assert not error, (error, printed)
        return printed


@pytest.fixture(scope="module")
def kernel(emu):
    running = Kernel(emu)
    yield running
    running.client.stop_channels()
    running.manager.shutdown_kernel(now=True)


def test_a_sync_call_works_in_a_cell(kernel):
    """The kernel's own loop is running there; `asyncio.run` would fail."""
    assert "simulated/gpt-4.1-mini" in kernel.run("print(client.inference.create('gpt-4.1-mini', 'hi').served_model)")


def test_an_async_client_works_with_a_top_level_await(kernel):
    """On the kernel's loop, against the engine's."""
    code = "a = lab.AsyncClient(ledger=':memory:'); r = await a.inference.create('gpt-4.1-mini', 'hi'); print(r.finish_reason); await a.aclose()"

    assert kernel.run(code).strip() == "stop"


CELLS = {
    "create": "client.inference.create('gpt-4.1-mini', 'stuck')",
    "stream": "for piece in client.inference.stream('gpt-4.1-mini', 'stuck'): pass",
    "await": "answer = await later.inference.create('gpt-4.1-mini', 'stuck')",
    "await stream": "async for piece in await later.inference.stream('gpt-4.1-mini', 'stuck'): pass",
    "client batch": "client.inference.batch([{'model': 'gpt-4.1-mini', 'messages': f'stuck {n}'} for n in range(12)])",
    "batch": "lab.batch([f'stuck {n}' for n in range(12)], '{text}', model='gpt-4.1-mini', max_concurrency=12)",
}


@pytest.mark.parametrize("what", CELLS)
def test_interrupting_a_cell_stops_the_provider_at_once(kernel, emu, what):
    """Every connection is closed within 0.25 s, and the kernel answers again."""
    emu.clear()
    emu.add(emulator.Rule("stall" if "stream" in what else "hang", contains="stuck", pieces=5))
    expected = 12 if "batch" in what else 1
    sent = kernel.send(CELLS[what])
    emu.log.wait_for(lambda log: log.open_requests == expected, 20)
    interrupted = time.monotonic()
    kernel.manager.interrupt_kernel()
    emu.log.wait_for(lambda log: log.open_requests == 0, 5)

    closed = [entry.peer_closed for entry in emu.log.arrivals("stuck")]
    assert len(closed) == expected
    assert max(closed) - interrupted < 0.25
    assert kernel.finish(sent, 5)[1] in ("KeyboardInterrupt", "CancelledError")
    emu.clear()
    began = time.monotonic()
    assert kernel.run("print(client.inference.create('gpt-4.1-mini', 'hi').finish_reason)").strip() == "stop"
    assert time.monotonic() - began < 1


def test_an_interrupted_batch_keeps_what_was_answered_and_goes_on(kernel, emu):
    """The same cell again asks only the rest."""
    emu.clear()
    emu.add(emulator.Rule("hang", contains="slow"))
    cell = "rows = [f'quick {n}' for n in range(5)] + ['slow']; found = lab.batch(rows, '{text}', model='gpt-4.1-mini', progress=False)"
    sent = kernel.send(cell)
    # all five delivered, and for longer than any reading and writing of them takes
    emu.log.wait_for(
        lambda log: sorted(time.monotonic() - e.done > 0.5 for e in log.entries if e.done) == [True] * 5, 20
    )
    kernel.manager.interrupt_kernel()
    kernel.finish(sent)
    emu.clear()

    kernel.run(cell)
    assert [entry.prompt for entry in emu.log.arrivals()] == ["slow"]


def test_work_goes_on_while_a_cell_blocks(kernel, emu):
    """The engine has its own loop: a cell that sleeps, or computes, does not starve it."""
    emu.clear()
    code = """
from prsm_lab import ask
from prsm_lab.engine import many, portal
questions = [ask.conversation(client.question('gpt-4.1-mini'), f'behind {n}') for n in range(20)]
outcomes = {}
job = portal.begin(many.run(client.engine, questions, concurrency=2, deliver=outcomes.__setitem__))
time.sleep(0.3)
end = time.monotonic() + 0.3
while time.monotonic() < end: pass
print(len(outcomes), job.wait(0), time.monotonic())
"""
    answered, ended, left = kernel.run(code).split()

    assert (answered, ended) == ("20", "True")
    assert max(entry.done for entry in emu.log.arrivals("behind")) < float(left)
