"""The loader as its parent sees it: started, asked where it listens, ended."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import prsm_lab
from prsm_lab.errors import ProviderError
from prsm_lab.hosting import staging
from prsm_lab.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

LOADING_SECONDS: Final = 300.0
GIGABYTE: Final = 2**30
_PASSED: Final = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "TZ", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""Of our environment, all that the loader gets: no keys, no addresses, no home."""
_START: Final = "import sys; sys.path.insert(0, sys.argv[1]); from prsm_lab.hosting.loader import main; main()"
Kind = Literal["transformers", "gguf"]


def cap(weights: int) -> int:
    """Return how much memory a loader of so many bytes of weights may take: itself, and them in 32 bits.

    >>> cap(10**9) // 10**9
    5
    """
    return 2 * GIGABYTE + 3 * weights


class Child:
    """A loader that is running.

    Args:
        path: A model's folder, or a GGUF file; its kind says which.
        name: What the model is called in answers.
        threads: Of the computation.
        memory: Most bytes that it may take; default by the size of the weights.
        context: Tokens of one question and its answer; only of GGUF files, whose memory depends on it.
        rows: Questions at once; likewise.

    Raises:
        InvalidRequestError: If the folder is not to be trusted; see `staging`.
        ProviderError: If the model cannot be loaded.
    """

    def __init__(
        self, kind: Kind, path: Path, name: str, *, threads: int = 1, memory: int | None = None, context: int = 2048,
        rows: int = 2,
    ) -> None:  # fmt: skip
        if os.name == "nt":
            raise _failed("models run in a process of their own on Linux and macOS only")
        self.kind = kind
        self._room = tempfile.mkdtemp(prefix="prsm-lab-")
        self.end = weakref.finalize(self, _ended, None, self._room)
        """Ends the loader and takes its folder away; done at the latest when this is collected."""
        try:
            size, place = path.stat().st_size, str(path)
            if kind == "transformers":
                staged = Path(self._room) / "model"
                staged.mkdir()
                size, place = staging.stage(path, staged).size, str(staged)
            self.size = size
            token = secrets.token_hex(32)
            self._start({
                "kind": kind, "path": place, "name": name, "token": token, "threads": threads, "context": context,
                "rows": rows, "memory": cap(size) if memory is None else memory,
            })  # fmt: skip
        except BaseException:
            self.end()
            raise
        self.key = Secret(token)

    def _start(self, said: dict[str, Any]) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            root = str(Path(prsm_lab.__file__).parent.parent)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, pass_fds=[listener.fileno()], cwd=self._room, start_new_session=True,
                env=environment(os.environ, self._room),
            )  # fmt: skip
            self.end.detach()
            self.end = weakref.finalize(self, _ended, self._process, self._room)
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps({**said, "fd": listener.fileno()}).encode() + b"\n")
                self._process.stdin.flush()
            told = self._told()
        self.context: int = told["context"]
        self.isolated: bool = told["isolated"]
        """Has it no network?"""

    def _told(self) -> dict[str, Any]:
        """What the loader says once the model is there, or cannot be."""
        out = self._process.stdout
        assert out is not None
        until = time.monotonic() + LOADING_SECONDS
        while time.monotonic() < until:
            if select.select([out], [], [], 0.5)[0]:
                line = out.readline()
                told = json.loads(line) if line else {"error": f"the loader ended ({self._process.wait()})"}
                if "error" in told:
                    raise _failed(str(told["error"]))
                return dict(told)
        raise _failed(f"it was not loaded within {LOADING_SECONDS:.0f} s")

    @property
    def running(self) -> bool:
        """Is it there? The system may have ended one that took too much memory."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def environment(ours: Mapping[str, str], room: str) -> dict[str, str]:
    """Return the loader's environment.

    >>> environment({"PATH": "/bin", "OPENAI_API_KEY": "sk-1", "HOME": "/home/ana"}, "/tmp/x")["HOME"]
    '/tmp/x'
    """
    passed = {name: ours[name] for name in _PASSED if name in ours}
    return {**passed, "HOME": room, "TMPDIR": room, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def _ended(process: subprocess.Popen[bytes] | None, room: str) -> None:
    if process is not None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.kill()
        process.wait()
    shutil.rmtree(room, ignore_errors=True)


def _failed(said: str) -> ProviderError:
    memory = any(word in said for word in ("MemoryError", "allocate memory", "not enough memory", "ended ("))
    remedy = " If it needs more memory than it may have, pass memory= (bytes)." if memory else ""
    return ProviderError(
        f"The model could not be loaded: {said[:400]}.{remedy}",
        provider="local", details={"kind": "memory" if memory else "weights"}, verdict="next", max_retries=0,
    )  # fmt: skip
