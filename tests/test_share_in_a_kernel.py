"""The share server where it lives: in a kernel whose cells are busy, in a script that ends, in a process that forks.

The provider's side is the judge of what an end or a fork costs: does it still write an answer that nobody waits for?
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from calls import ASK, Caller
from test_kernel import Kernel

from prsm_lab import emulator
from prsm_lab.emulator import Rule

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning"),
]

STUCK = {"model": "gpt-4", "messages": [{"role": "user", "content": "stuck"}]}
SERVE = """
share = lab.serve(client)
key = share.new_key('ana', tier='Enterprise')
print(share.url, key, flush=True)
"""


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(emu):
    emu.clear()
    emu.add(Rule("stall", contains="stuck", pieces=4))


@pytest.fixture(scope="module")
def kernel(emu):
    running = Kernel(emu)
    yield running
    running.client.stop_channels()
    running.manager.shutdown_kernel(now=True)


@pytest.fixture
def ana(kernel):
    return Caller(*kernel.run(SERVE).split())


@contextmanager
def stream(caller: Caller) -> Iterator[http.client.HTTPResponse]:
    """A stream that has begun, of a provider that then falls silent; leaving the block leaves the server."""
    line = http.client.HTTPConnection(caller.host, timeout=20)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {caller.key}"}
    line.request("POST", "/v1/inference/stream", json.dumps(STUCK), headers)
    response = line.getresponse()
    assert response.readline().startswith(b"data: ")
    try:
        yield response
    finally:
        response.close()
        line.close()


def refused(caller: Caller) -> bool:
    """Is nobody at the server's port any more?"""
    host, port = caller.host.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def appears(path: Path) -> None:
    """Wait for a file that a cell writes."""
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.005)


# ------------------------------------------------------------------------------------------------------ in a kernel


BUSY = """
import os
open({begun!r}, 'w').close()
while not os.path.exists({asked!r}): {what}
print('left')
"""


@pytest.mark.parametrize("what", ["pass", "time.sleep(0.01)"], ids=["computes", "waits"])
def test_a_busy_cell_keeps_nobody_waiting(kernel, ana, tmp_path, what):
    """The cell ends only when the answer and the first event of a stream have arrived."""
    begun, asked = tmp_path / "begun", tmp_path / "asked"
    sent = kernel.send(BUSY.format(begun=str(begun), asked=str(asked), what=what))
    appears(begun)
    answer = ana.post("/v1/inference", ASK)
    with stream(ana):
        pass
    asked.touch()

    assert answer.status == 200
    assert kernel.finish(sent) == ("left\n", "")


def test_a_cell_that_is_run_again_finds_its_server(kernel, ana):
    """The same address, and the keys of before."""
    again = Caller(*kernel.run(SERVE).split())

    assert again.url == ana.url
    assert [caller.get("/v1/keys/me").status for caller in (ana, again)] == [200, 200]


def test_an_interrupted_cell_leaves_the_server_at_work(kernel, ana, emu, tmp_path):
    """Ctrl-C is for the cell: streams of colleagues go on."""
    begun = tmp_path / "begun"
    with stream(ana):
        (entry,) = emu.log.arrivals("stuck")
        sent = kernel.send(BUSY.format(begun=str(begun), asked=str(tmp_path / "never"), what="pass"))
        appears(begun)
        kernel.manager.interrupt_kernel()
        assert kernel.finish(sent)[1] == "KeyboardInterrupt"

        assert ana.post("/v1/inference", ASK).status == 200
        assert entry.peer_closed is None
    emu.log.wait_for(lambda _: entry.peer_closed)


def test_a_port_that_is_taken_is_named(kernel, ana):
    """Another client's server does not silently go elsewhere; nor does the same client's."""
    port = ana.host.split(":")[1]
    code = f"""
for other in (lab.Client(), client):
    try: lab.serve(other, port={port} if other is not client else 1)
    except lab.errors.InvalidRequestError as error: print(error)
"""
    taken, elsewhere = kernel.run(code).splitlines()

    assert port in taken
    assert "in use" in taken
    assert ana.url in elsewhere


def test_a_kernels_end_is_the_servers_end(emu, tmp_path):
    """An open stream gets a last word, the provider is let go of, the port is free, and nothing is on stderr."""
    complaints = tmp_path / "stderr"
    with complaints.open("wb") as stderr:
        kernel = Kernel(emu, stderr=stderr)
        ana = Caller(*kernel.run(SERVE).split())
        with stream(ana) as response:
            (entry,) = emu.log.arrivals("stuck")
            kernel.client.shutdown()
            last = response.read().decode()
        kernel.client.stop_channels()
        kernel.manager.provisioner.process.wait(20)
        kernel.manager.shutdown_kernel(now=True)

    assert "event: error" in last
    assert "stopping" in last
    emu.log.wait_for(lambda _: entry.peer_closed)
    assert refused(ana)
    said = [line for line in complaints.read_text().splitlines() if not line.startswith("[IPKernelApp]")]
    assert said == []


# ------------------------------------------------------------------------------------------------------ in a script


class Script:
    """A script that shares its client, in a process of its own: it goes on whenever it is sent a line."""

    def __init__(self, emu, body: str) -> None:
        environ = {**os.environ, **emu.environ(), "PRSM_LEDGER": ":memory:"}
        code = f"import gc, os, sys\nimport prsm_lab as lab\nclient = lab.use(lab.Client())\n{SERVE}\ninput()\n{body}"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], env=environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.ana = Caller(*self.line().split())

    def line(self) -> str:
        """What it prints next."""
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its status and what it wrote to stderr."""
        _, complaints = self.process.communicate(timeout=30)
        return self.process.returncode, complaints


@pytest.fixture
def script(emu):
    started = []

    def run(body: str) -> Script:
        started.append(Script(emu, body))
        return started[-1]

    yield run
    for each in started:
        each.process.kill()
        each.process.communicate()


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", 0), ("share.stop(); share.stop(); client.close()", 0), ("client.close(); sys.exit(3)", 3)],
    ids=["end", "stop", "close"],
)
def test_a_scripts_end_is_the_servers_end(script, emu, ending, status):
    """With a stream open: its client is told, the provider let go of, and there is no traceback."""
    running = script(ending)
    with stream(running.ana) as response:
        (entry,) = emu.log.arrivals("stuck")
        running.go_on()
        last = response.read().decode()

    assert running.end() == (status, "")
    assert "event: error" in last
    emu.log.wait_for(lambda _: entry.peer_closed)
    assert refused(running.ana)


FORK = """
waiting, leaving = os.pipe()
child = os.fork()
if child == 0:
    os.close(leaving)
    share.stop()
    print(share.running, flush=True)
    for attempt in (
        lambda: share.new_key('bob'),
        lambda: client.inference.create('gpt-4', 'hi'),
        lambda: lab.serve(client),
        lambda: lab.Client().inference.create('gpt-4', 'hi').finish_reason,
    ):
        try: print(attempt(), flush=True)
        except lab.errors.PRSMError as error: print(error, flush=True)
    os.read(waiting, 1)
    sys.exit(0)
input()
print(share.running, flush=True)
share.stop()
print('stopped', flush=True)
input()
os.close(leaving)
print(os.waitpid(child, 0)[1], flush=True)
"""


def test_a_fork_leaves_the_server_to_the_parent(script, emu):
    """The child is told so, and holds nothing: no port, no stream of a client, no stream of a provider."""
    running = script(FORK)
    with stream(running.ana):
        (entry,) = emu.log.arrivals("stuck")
        running.go_on()
        serving, key, question, serve, fresh = (running.line() for _ in range(5))
    assert (serving, fresh) == ("False", "stop")
    assert "before the fork" in key
    assert "before a fork" in question
    assert "before a fork" in serve

    emu.log.wait_for(lambda _: entry.peer_closed, 5)  # though the child lives
    assert running.ana.post("/v1/inference", ASK).status == 200
    running.go_on()
    assert (running.line(), running.line()) == ("True", "stopped")
    assert refused(running.ana)
    running.go_on()
    assert running.line() == "0"
    assert running.end() == (0, "")


FORGET = """
client.inference.create('gpt-4', 'hi')
share.stop()
if os.fork() == 0:
    lab.use(lab.Client())
    del share, client
    gc.collect()
    sys.exit(0)
os.wait()
"""


def test_a_child_that_forgets_the_parents_client_says_nothing(script):
    """Its connections are not open there, so nobody needs to hear that they were not closed."""
    running = script(FORGET)
    running.go_on()

    assert running.end() == (0, "")


POOL = """
import multiprocessing
client.inference.create('gpt-4', 'hi')  # what the parent has loaded, the workers need not

def inherited(text):
    try: return client.inference.create('gpt-4', text).finish_reason
    except lab.errors.InternalError as error: return str(error)

def own(text):
    with lab.Client() as mine:
        return mine.inference.create('gpt-4', text).finish_reason

with multiprocessing.get_context('fork').Pool(2) as pool:
    for work in (inherited, own):
        print(sorted(set(pool.map(work, ['red', 'blue', 'green'], 1))), flush=True)
    input()
"""


def test_workers_of_a_pool_get_a_result_or_a_reason(script):
    """No hang: the parent's client says what to do, a client of one's own answers; the server stays the parent's."""
    running = script(POOL)
    running.go_on()
    inherited, own = running.line(), running.line()

    assert "Make a new Client" in inherited
    assert own == "['stop']"
    assert running.ana.post("/v1/inference", ASK).status == 200
    running.go_on()
    assert running.end() == (0, "")
    assert refused(running.ana)
