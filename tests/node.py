"""Node for tests of JavaScript: why they cannot run here, programs and modules to run, packages from npm."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NODE = shutil.which("node") or "node"
PACKAGES = ("openai@7.57.0", "typescript@7.0.2")


def lacking() -> str | None:
    """Why there is no Node to be used, if there is none."""
    if shutil.which("node") is None:
        return "there is no `node` on the PATH"
    said = subprocess.run([NODE, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    found = re.match(r"v(\d+)", said)
    return None if found and int(found[1]) >= 20 else f"Node 20 or newer is needed, not {said or 'this one'}"


LACKING = lacking()
needs_node = pytest.mark.skipif(LACKING is not None, reason=str(LACKING))


def run(*command: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, "NO_PROXY": "127.0.0.1", **environ}, capture_output=True, text=True,
        encoding="utf-8", timeout=150, check=False,
    )  # fmt: skip


PLAYER = """
import { createInterface } from 'node:readline';
for await (const line of createInterface({ input: process.stdin })) {
  const { url, environ } = JSON.parse(line);
  Object.assign(process.env, environ);
  const told = await import(url).then(({ out }) => ({ out }), (error) => ({ fault: String(error?.stack ?? error) }));
  console.log(JSON.stringify(told));
}
process.exit(); // whatever a module left open
"""


class Player:
    """One Node that plays module after module, because its start takes longer than most of them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._played = 0

    def play(self, source: str, *, where: Path, **environ: str) -> Any:
        """Run a module that lies in a directory; what it leaves in `out`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._played += 1
        path = where / f"main-{self._played}.mjs"
        path.write_text(f"export const out = {{}};\n{source}\n", encoding="utf-8")
        self._process.stdin.write(json.dumps({"url": path.as_uri(), "environ": environ}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline() or '{"fault": "Node ended"}')
        assert "fault" not in told, told["fault"]
        return told["out"]


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    """A Node for all tests of a file."""
    command = [NODE, "--input-type=module", "--eval", PLAYER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environ = {**os.environ, "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(command, env=environ, text=True, encoding="utf-8", **pipes) as process:
        yield Player(process)


@contextlib.contextmanager
def staying(source: str, *, cwd: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module that prints a line when it is through and stays: what it closed, it closed itself."""
    (cwd / "main.mjs").write_text(source + "\nsetTimeout(() => {}, 120_000);\n", encoding="utf-8")
    told = {**os.environ, "NO_PROXY": "127.0.0.1", **environ}
    with subprocess.Popen([NODE, "main.mjs"], cwd=cwd, env=told, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
            assert process.poll() is None
        finally:
            process.kill()


@functools.cache
def installed() -> tuple[Path | None, str]:
    """Where `PACKAGES` are installed, or why they are not. npm keeps them in its own cache for the next run."""
    if shutil.which("npm") is None:
        return None, "there is no `npm` on the PATH"
    quickly = ["--yes", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=20000", "--ignore-scripts"]
    named = [f"--package={package}" for package in PACKAGES]
    try:
        done = run("npm", "exec", *quickly, *named, "--call", "command -v tsc", cwd=Path(tempfile.gettempdir()))
    except subprocess.TimeoutExpired:
        return None, f"npm did not install {', '.join(PACKAGES)} in time"
    if done.returncode:
        why = re.search(r"npm error code (\w+)", done.stderr)
        return None, f"npm could not install {', '.join(PACKAGES)}: {why[1] if why else done.stderr.strip()[-200:]}"
    return Path(done.stdout.strip()).parent.parent, ""


@pytest.fixture(scope="module")
def packages() -> Path:
    """The directory `node_modules` with `PACKAGES`; skips where npm or its registry is out of reach."""
    place, why = installed()
    if place is None:
        pytest.skip(why)
    return place


@pytest.fixture(scope="module")
def tsc(packages: Path) -> str:
    """The TypeScript compiler."""
    return str(packages / ".bin" / "tsc")
