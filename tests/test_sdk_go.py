"""The Go SDK: its own tests, the seed's snippet, and every call of it against a real share server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import prsm_lab as lab
from prsm_lab import emulator

SDK = Path(__file__).parent.parent / "sdks" / "go"
SEED = (Path(__file__).parent / "golden" / "seed.md").read_text(encoding="utf-8")
MODULE = "github.com/Ryno2390/PRSM/sdks/go"
DIGEST = "c5780cd07eb2dc3c6dfa1241730bfd2eb85f8d429d9a7a9975dc8c585c50c99a"  # of the snippet
SAID = "Go is a small language."
GO = shutil.which("go")

pytestmark = [
    pytest.mark.skipif(GO is None, reason="there is no `go` on the PATH, which the Go SDK needs"),
    pytest.mark.timeout(240),
]


def go(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `go` without a network; the build cache is shared by all tests and by the next run."""
    told = {
        **os.environ, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOWORK": "off",
        "GOCACHE": str(Path(tempfile.gettempdir()) / "prsm-go-cache"), "NO_PROXY": "127.0.0.1", **environ,
    }  # fmt: skip
    return subprocess.run(
        ["go", *arguments], cwd=cwd, env=told, capture_output=True, text=True, timeout=220, check=False
    )


def test_the_go_files_are_formatted():
    """`gofmt -l` names the files that it would change."""
    gofmt = shutil.which("gofmt")
    if gofmt is None:
        pytest.skip("there is no `gofmt` on the PATH")
    run = subprocess.run([gofmt, "-l", "."], cwd=SDK, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_vet_finds_nothing():
    """In the package and its tests, and in the programs below."""
    run = go("vet", "./...", "./testdata/real", "./testdata/closing", cwd=SDK)
    assert run.returncode == 0, run.stderr


def test_its_own_tests_pass():
    """`.ci/run` runs them once more under the race detector, for which Go's library must be built anew: 40 s."""
    run = go("test", "-count=1", "./...", cwd=SDK)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """The address of a share server whose models are made up, and a key to it."""
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses={"*": {"content": SAID}}) as client:
        share = lab.serve(client)
        try:
            yield share.url, share.new_key("ana", tier="Pro")
        finally:
            share.stop()


def build(tmp_path: Path, source: str) -> Path:
    """Build a program that imports the SDK, in a module of its own."""
    (tmp_path / "go.mod").write_text(
        f"module example.com/user\n\ngo 1.19\n\nrequire {MODULE} v0.0.0\n\nreplace {MODULE} => {SDK}\n"
    )
    (tmp_path / "main.go").write_text(source, encoding="utf-8")
    built = go("build", "-o", "program", ".", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    return tmp_path / "program"


@pytest.fixture
def program(tmp_path: Path, server: tuple[str, str]) -> Callable[..., str]:
    """Run such a program; what it prints."""

    def run(source: str) -> str:
        url, key = server
        done = subprocess.run(
            [build(tmp_path, source)], env={**os.environ, "PRSM_API_URL": url, "PRSM_API_KEY": key}, cwd=tmp_path,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_seeds_snippet_runs(program, server):
    """As written, but for the imports of fmt and log, which the seed uses and forgets, and for the key's placeholder."""
    (snippet,) = re.findall(r"```go\n(.*?)```", SEED, re.DOTALL)
    assert hashlib.sha256(snippet.encode()).hexdigest() == DIGEST  # the seed's own, byte for byte
    source = snippet.replace('    "context"\n', '    "context"\n    "fmt"\n    "log"\n', 1)
    source = source.replace('"your-api-key"', json.dumps(server[1]), 1)
    assert len(source.splitlines()) == len(snippet.splitlines()) + 2
    assert program(source) == SAID + "\n"


@pytest.fixture(scope="module")
def cache() -> dict[str, Any]:
    """What the program printed: it runs once for all the tests that look at it."""
    return {}


@pytest.fixture
def real(cache: dict[str, Any], program: Callable[..., str]) -> dict[str, Any]:
    """What came of every call against the real server."""
    if not cache:
        cache.update(json.loads(program((SDK / "testdata" / "real" / "main.go").read_text(encoding="utf-8"))))
    return cache


def test_create_and_get(real):
    """The answer with its numbers, and the server's record of it."""
    answer = real["create"]
    assert (answer["content"], answer["finish_reason"], answer["model"]) == (SAID, "stop", "gpt-3.5-turbo")
    assert answer["id"].startswith("inf_")
    assert answer["request_id"]
    assert -5 < answer["age"] < 240
    record = answer["record"]
    assert (record["id"], record["status"], record["result"]["content"]) == (answer["id"], "completed", SAID)
    assert record["error"] is None


def test_a_request_in_the_background(real):
    """It says that it runs, and is found again when it is through."""
    assert real["background"]["started"] == "running"
    record = real["background"]["record"]
    assert (record["status"], record["result"]["content"]) == ("completed", SAID)


def test_a_batch(real):
    """In order, and one bad request spoils no other."""
    batch = real["batch"]
    assert [(item["id"], item["content"], item["error"] is None) for item in batch["items"]] == [
        ("one", SAID, True), ("bad", "", False), ("two", SAID, True),
    ]  # fmt: skip
    assert batch["failed"] == 1
    assert batch["items"][1]["error"]["kinds"]


def test_a_stream(real):
    """To its end, and with the same answer as a whole."""
    stream = real["stream"]
    assert (stream["text"], stream["content"], stream["finish_reason"]) == (SAID, SAID, "stop")
    assert stream["result"]["model"] == "gpt-3.5-turbo"


def test_a_stream_that_is_closed(real):
    """Closing is no error, and what had come stays."""
    closed = real["closed"]
    assert (closed["first"], closed["next"], closed["error"]) == (True, False, None)
    assert SAID.startswith(closed["text"])


def test_models(real):
    """One of the list is found by its id, and an id with a slash arrives whole."""
    assert real["models"]["count"] > 1
    assert real["models"]["one"] == real["models"]["first"]
    assert real["models"]["slashed"] == "some-one/a-model"


def test_the_defaults_of_a_key(real):
    """They come back as they were set."""
    assert (real["providers"]["primary"], real["providers"]["quality_threshold"]) == ("openai", 0.8)


def test_typed_errors(real):
    """Each is of its kind and of no other, and keeps what the server said."""
    errors = real["errors"]
    assert {name: error["kinds"] for name, error in errors.items()} == {
        "invalid": ["invalid"], "streamed": ["invalid"], "missing": ["not_found"], "unknown": ["not_found"],
        "key": ["authentication"], "nobody": ["connection"],
    }  # fmt: skip
    assert errors["invalid"]["details"]["parameter"] == "temperature"
    assert {name: error["status"] for name, error in errors.items()} == {
        "invalid": 400, "streamed": 400, "missing": 404, "unknown": 404, "key": 401, "nobody": 0,
    }  # fmt: skip
    assert all(error["request_id"] for name, error in errors.items() if name != "nobody")


def test_cancel(real):
    """Before a call and within a stream, and it is the context's error and no other."""
    cancel = real["cancel"]
    assert cancel["create"]["kinds"] == ["canceled"]
    assert (cancel["first"], cancel["next"], cancel["stream"]["kinds"]) == (True, False, ["canceled"])


def test_reports(real):
    """They count what the program did."""
    report, speed = real["analytics"]["report"], real["analytics"]["speed"]
    assert report["total_requests"] >= 5
    assert "gpt-3.5-turbo" in [group["model"] for group in report["groups"]]
    assert speed["total_requests"] >= 5
    assert speed["avg_latency_ms"] is not None


def test_the_key_does_not_show(real, server):
    """In any way that fmt has to print a client."""
    assert server[0].rstrip("/") in real["shown"]
    assert server[1] not in real["shown"]


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "left open"])
def test_close_stops_the_server_and_the_provider(tmp_path, closes):
    """Although the program lives on; a stream that is not closed goes on, so the test would see it."""
    path = build(tmp_path, (SDK / "testdata" / "closing" / "main.go").read_text(encoding="utf-8"))
    pace = emulator.Profile(ttft_ms=1, tokens_per_s=1)
    with (
        emulator.start(profiles={"gpt-4.1-mini": pace}, latency_scale=1.0) as slow,
        lab.Client(providers=slow.providers(), ledger=":memory:") as client,
        lab.serve(client) as share,
    ):
        told = {**os.environ, "PRSM_API_URL": share.url, "PRSM_API_KEY": share.new_key("ana", tier="Pro")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [str(path)] if closes else [str(path), "open"]
        with subprocess.Popen(command, env=told, text=True, **pipes) as process:
            try:
                said = process.stdout.readline()
                assert said == "read true\n", process.stderr.read()
                if closes:
                    slow.log.wait_for(lambda log: log.open_requests == 0, 10)
                else:
                    time.sleep(2)
                assert process.poll() is None
                (entry,) = slow.log.arrivals()
                assert (entry.peer_closed is not None, entry.done) == (closes, None)
                assert share.counts["open"] == (0 if closes else 1)
            finally:
                process.stdin.close()
                process.kill()
