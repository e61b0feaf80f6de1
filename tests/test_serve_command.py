"""`prsm-lab serve` and `prsm-lab keys`: a server without a notebook, with one process and with several."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from calls import ASK, Caller

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.engine.routers import Rule
from prsm_lab.frames.router import Report

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def command(emu, tmp_path):
    """Run `prsm-lab` on a ledger of its own, with the emulator as all providers."""
    environ = {**os.environ, **emu.environ(), "PRSM_LEDGER": str(tmp_path / "ledger.db")}
    started = []

    def run(*arguments: str, wait: bool = True) -> str | subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-m", "prsm_lab", *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
        started.append(process)
        return process.communicate(timeout=60)[0].strip() if wait else process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def address(process: subprocess.Popen) -> str:
    line = process.stdout.readline()
    found = re.search(r"https?://[\d.]+:\d+", line)
    assert found, line
    return found[0]


def answering(caller: Caller) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if caller.get("/healthz").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


def test_keys_are_made_listed_rotated_and_revoked(command):
    """Before and while a server runs."""
    key = command("keys", "new", "ana", "--tier", "Basic", "--credits", "2")
    assert re.fullmatch(r"pk_[0-9a-f]{12}_[\w-]{43}", key)
    id = key.split("_")[1]  # noqa: A001
    assert "ana" in command("keys", "list")
    assert key not in command("keys", "list")
    assert command("keys", "credit", id, "--credits", "0.5") == "2.5000"
    new = command("keys", "rotate", id)
    assert command("keys", "revoke", new.split("_")[1]).endswith("is revoked")
    assert command("keys", "list").count("ended") == 2
    assert "No key" in command("keys", "revoke", "none")


def test_serve_greets_answers_and_ends(command):
    """With a key on request; Ctrl-C ends it without a traceback."""
    process = command("serve", "--port", "0", "--new-key", "ana", wait=False)
    url = address(process)
    curl = "".join(process.stdout.readline() for _ in range(4))
    key = re.search(r"PRSM_API_KEY=(\S+)", process.stdout.readline())[1]

    assert Caller(url, key).post("/v1/inference", ASK).status == 200
    assert url in curl
    if shutil.which("curl"):
        said = subprocess.run(
            curl, check=True, shell=True, env={**os.environ, "PRSM_API_KEY": key}, capture_output=True
        )
        assert json.loads(said.stdout)["object"] == "inference"
    process.send_signal(signal.SIGINT)
    assert (process.wait(20), process.stdout.read()) == (0, "")


def test_workers_share_keys_limits_credits_and_answers(command):
    """Two processes on one socket: 20 a minute are 20, an id is found by both, a dead worker comes back."""
    key = command("keys", "new", "ana", "--tier", "Free", "--credits", "5")
    wide = Caller("", command("keys", "new", "bob", "--tier", "Pro"))
    process = command("serve", "--port", "0", "--workers", "2", wait=False)
    url = address(process)
    ana, bob = Caller(url, key), Caller(url, wide.key)
    answering(ana)
    with ThreadPoolExecutor(2) as pool:  # two at once is all that Free allows
        statuses = list(pool.map(lambda _: ana.post("/v1/inference", ASK).status, range(30)))
    assert statuses.count(200) == 20
    ids = [bob.post("/v1/inference", ASK).json["id"] for _ in range(8)]
    assert all(bob.get(f"/v1/inference/{one}").status == 200 for one in ids for _ in range(3))

    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout.split()  # fmt: skip
    assert len(children) == 2
    os.kill(int(children[0]), signal.SIGKILL)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        now = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout.split()  # fmt: skip
        if len(now) == 2 and children[0] not in now:
            break
        time.sleep(0.05)
    assert len(now) == 2
    assert bob.post("/v1/inference", ASK).status == 200

    process.kill()  # even so no worker stays
    until = time.monotonic() + 20
    while time.monotonic() < until and any(os.path.exists(f"/proc/{pid}") for pid in now):
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in now)


def test_an_address_of_the_network_needs_a_word(command):
    """In the terminal too."""
    assert "expose=True" in command("serve", "--host", "0.0.0.0", "--port", "0")


def test_a_saved_router_is_asked_like_a_model_by_every_worker(command, tmp_path):
    """By any client in any language; the list of models names it, for keys that may ask both of its models."""
    rule = Rule(kind="cascade", cheap="gpt-4o-mini", strong="gpt-4.1", signal="length", threshold=None)
    made = lab.Router(rule, Report(
        asked=0.95, confidence=0.9, rows=0, left_out=0, calibrated=0, held_out=0, needed=50, share=0.0, cheap=0.8,
        strong=0.9, kept=(1, 1, 1), saved=(0.4, 0.3, 0.5), curve={},
    ))  # fmt: skip
    made.save(tmp_path / "router.json")
    key = command("keys", "new", "ana", "--tier", "Enterprise")
    narrow = command("keys", "new", "bo", "--models", "gpt-4o-mini")
    serving = command(
        "serve", "--port", "0", "--workers", "2", "--router", str(tmp_path / "router.json"), "--share-cache", wait=False
    )
    url = address(serving)
    caller = Caller(url, key)
    answering(caller)

    asked = [caller.post("/v1/inference", {"model": str(made), "messages": ASK["messages"]}).json for _ in range(4)]
    listed = [[card["id"] for card in Caller(url, one).get("/v1/models").json["data"]] for one in (key, narrow)]

    assert {one["model"] for one in asked} == {"gpt-4.1"}
    assert [str(made) in ids for ids in listed] == [True, False]
    assert caller.get(f"/v1/models/{made}").json["owned_by"] == "router"


def test_a_router_that_is_not_there_is_said_before_anything_is_served(command):
    """As any wrong option."""
    assert "Router.save(path) writes one" in command("serve", "--port", "0", "--router", "nowhere.json")
