"""The contenders of `server.py`, each a process tree of its own whose clock and memory can be read from outside."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

HERE = Path(__file__).parent
START_SECONDS = 90.0
PEOPLE = 64
"""Who ask the share server: a Pro key lets one person ask 500 times a minute and 20 times at once."""
LONG = "Recite the long text"
"""In a prompt, it gets an answer of a hundred words, whose stream is measured piece by piece."""
LIMITED = ("OPENAI", "ANTHROPIC", "HF_", "HUGGING", "PRSM", "LITELLM")
"""Beginnings of environment variables that no contender inherits."""


class Process:
    """A process with its children."""

    def __init__(self, command, environ=None, *, speaks=False):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(LIMITED)}
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 -- open for as long as the process
        self.process = subprocess.Popen(
            command, env={**clean, **(environ or {})}, stdin=subprocess.PIPE, text=True,
            stdout=subprocess.PIPE if speaks else self.log, stderr=self.log,
        )  # fmt: skip
        self.tree = psutil.Process(self.process.pid)

    def line(self):
        return self.process.stdout.readline() or self.failed()

    def failed(self):
        self.log.seek(0)
        raise RuntimeError(f"{self.process.args[:4]} ended: {self.log.read()[-2000:].decode(errors='replace')}")

    def cpu(self):
        """User and system seconds so far, of all that live in the tree and of children that ended."""
        total = 0.0
        for process in (self.tree, *self.tree.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def rss(self):
        """Resident megabytes of the tree."""
        return sum(process.memory_info().rss for process in (self.tree, *self.tree.children(recursive=True))) / 2**20

    def stop(self):
        everyone = [*self.tree.children(recursive=True), self.tree] if self.tree.is_running() else []
        self.process.terminate()
        _, alive = psutil.wait_procs(everyone, timeout=10)
        for process in alive:
            process.kill()
        self.process.wait()


class Provider(Process):
    """The emulator: answers at once; what it saw and which faults it makes are asked over HTTP."""

    def __init__(self, folder):
        references = folder / "references.json"
        references.write_text(json.dumps({LONG: " ".join(f"word{n}" for n in range(100))}))
        emulate = [sys.executable, "-m", "prsm_lab.emulator", "--latency-scale", "0", "--references", str(references)]
        super().__init__(emulate, speaks=True)
        started = json.loads(self.line())
        self.url, self.environ = started["url"], started["environ"]

    def rules(self, *rules):
        """Replace the faults; forget what was asked."""
        self._told("/_rules", list(rules))
        self._told("/_clear", [])

    def log_entries(self):
        return self._told("/_log", [])

    def _told(self, path, body):
        with urllib.request.urlopen(urllib.request.Request(self.url + path, json.dumps(body).encode())) as answer:
            return json.loads(answer.read())


class Gateway(Process):
    """Something between client and provider, with its keys."""

    def __init__(self, command, url, keys, *, environ=None, alive="/", speaks=False):
        super().__init__(command, environ, speaks=speaks)
        self.url, self.keys = url, keys
        if self.url is None:
            self.url = re.search(r"https?://[\d.:]+", self.line())[0]
        until = time.monotonic() + START_SECONDS
        while not answers(self.url + alive):
            if self.process.poll() is not None or time.monotonic() > until:
                self.failed()
            time.sleep(0.1)


def passthrough(provider, _folder, _litellm):
    """Starlette, uvicorn and aiohttp that hand bytes on; the same loop and parser as ours."""
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "passthrough:app", "--app-dir", str(HERE), "--port", str(port),
        "--loop", "asyncio", "--http", "httptools", "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    return Gateway(command, f"http://127.0.0.1:{port}", ["none"], environ={"PROVIDER": provider.url})


def ours(provider, folder, _litellm):
    """`prsm-lab serve` with a ledger file; keys of tier Pro with credits, so limits and reservations are at work."""
    from prsm_lab.ledger import Ledger
    from prsm_lab.server import keys

    file = folder / f"ledger-{secrets.token_hex(4)}.db"
    ledger = Ledger.open(file)
    book = ledger.accounts()
    made = [keys.make(book, f"person {n}", tier="Pro", credits=1000.0) for n in range(PEOPLE)]
    book.close()
    ledger.close()
    command = [sys.executable, "-m", "prsm_lab", "serve", "--port", "0", "--ledger", str(file)]
    return Gateway(command, None, made, environ=provider.environ, alive="/healthz", speaks=True)


def litellm(provider, folder, python):
    """LiteLLM's proxy as its documentation starts it, with a master key; no database, so no limits and no ledger."""
    port, config = free_port(), folder / "litellm.yaml"
    config.write_text(
        json.dumps({  # JSON is YAML
            "model_list": [{
                "model_name": "gpt-4.1-mini",
                "litellm_params": {
                    "model": "openai/gpt-4.1-mini", "api_base": provider.url + "/v1", "api_key": "emulated",
                },
            }],
            "general_settings": {"master_key": "sk-benchmark"},
            "litellm_settings": {"telemetry": False},
        })
    )  # fmt: skip
    command = [
        str(Path(python).parent / "litellm"),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
    return Gateway(command, f"http://127.0.0.1:{port}", ["sk-benchmark"], environ=environ, alive="/health/liveliness")


def load(target, **plan):
    """Start a load generator against something with a `url`; it is ready when it has printed a line."""
    plan = {"url": target.url, "keys": getattr(target, "keys", ["emulated"]), **plan}
    process = Process([sys.executable, str(HERE / "load.py"), json.dumps(plan)], speaks=True)
    process.line()
    return process


def tell(process):
    """Tell a load generator to go on."""
    process.process.stdin.write("\n")
    process.process.stdin.flush()


def told(process):
    """Tell a load generator to go on; return what it reports then."""
    tell(process)
    return json.loads(process.line())


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True  # a refusal is an answer
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
