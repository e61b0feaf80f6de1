"""Where this machine keeps weights, which of them were uploaded, and how much memory those may take."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prsm_lab import catalog
from prsm_lab.hosting.llama import CONTEXT_TOKENS
from prsm_lab.hosting.store import Store
from prsm_lab.types import Capabilities, Model

if TYPE_CHECKING:
    from prsm_lab.hosting.store import Hosted

_OVERHEAD: Final = {"transformers": 600 * 2**20, "gguf": 200 * 2**20}
"""What a loader takes beside the weights (torch 2.13 on CPU: 0.5 GB resident, measured 2026-11-27)."""


def folder() -> Path:
    """Return where weights are kept: `PRSM_MODELS`, or the platform's cache folder."""
    given = os.environ.get("PRSM_MODELS")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("prsm-lab", appauthor=False)) / "models"


def store() -> Store:
    """Return the uploaded models of this machine: in `PRSM_HOSTED`, or beside the weights."""
    given = os.environ.get("PRSM_HOSTED")
    return _store(Path(given).expanduser() if given else folder() / "hosted")


_store: Final = functools.cache(Store)


def needs(name: str) -> int:
    """Return about how many bytes of memory an uploaded model takes while it is loaded; 0: it is none."""
    hosted = store().find(name)
    return 0 if hosted is None else _OVERHEAD[hosted.kind] + hosted.size * 3 // 2


def budget() -> int:
    """Return how much memory uploaded models may take together: `PRSM_MODEL_MEMORY`, or three fifths of all."""
    given = os.environ.get("PRSM_MODEL_MEMORY", "")
    if given.isdecimal():
        return int(given)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 5
    except (ValueError, OSError, AttributeError):  # not on Windows
        return 8 * 2**30


def enlist() -> None:
    """Put the uploaded models into the catalogue."""
    for hosted in store().all():
        register(hosted)


def register(hosted: Hosted) -> None:
    """Put an uploaded model into the catalogue."""
    context = CONTEXT_TOKENS if hosted.kind == "gguf" else hosted.context
    takes = Capabilities(images=False, tools=False, schema=hosted.kind == "gguf", context=context)
    source = f"uploaded ({hosted.architecture}, sha256 {hosted.sha256[:12]})"
    catalog.register(
        Model(name=f"local/{hosted.name}", provider="local", id=hosted.name, capabilities=takes, source=source)
    )
