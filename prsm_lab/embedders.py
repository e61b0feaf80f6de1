"""The embedders of a cache by meaning, by name: a question that travels names one, and holds none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import checks, embeddings
from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from prsm_lab.embeddings import Embedder

_known: Final[dict[str, Embedder]] = {}
_NAME: Final = re.compile(r"[\w./:-]{1,80}")


def named(which: Any, name: str | None = None) -> str:
    """Return an embedder's name, under which this process has it from now on.

    Args:
        which: The name of one that is known; the `Path` of a model2vec folder; a function from texts to vectors; or
            an object with `encode`, as sentence-transformers has.
        name: What to call it; default its own name.

    Raises:
        InvalidRequestError: If it is none of these.

    >>> named("minilm")
    'minilm'
    """
    if isinstance(which, str):
        return which
    if not isinstance(which, Path) and not callable(which) and not hasattr(which, "encode"):
        raise checks.wrong("cache_config.embedder", "a name, a Path, or a function from texts to vectors", which)
    encode = getattr(which, "encode", None)
    made = embeddings.load(which if encode is None else encode)
    called = name or getattr(which, "name", None) or made.name
    if not isinstance(called, str) or not _NAME.fullmatch(called) or called in embeddings.names():
        raise checks.wrong("cache_config.embedder", "one with a name of its own: letters, digits, ./:-_", called)
    _known[called] = made
    return called


def find(name: str) -> Embedder:
    """Return an embedder by its name; one of the package's own is loaded at first use, which takes a second.

    Raises:
        InvalidRequestError: If nobody has named one so here, or its packages are not installed.
    """
    if name in _known:
        return _known[name]
    if name in embeddings.names():
        return embeddings.load(name)
    raise InvalidRequestError(
        f"No embedder {name!r} in this process; there are {', '.join([*embeddings.names(), *sorted(_known)])}. "
        "lab.cache.embedder(…) names one: a function, a folder, a provider's model.",
        details={"parameter": "cache_config.embedder"},
    )


def known(name: str) -> bool:
    """Is there one of this name?"""
    return name in _known or name in embeddings.names()


def key(name: str, embedder: Embedder) -> str:
    """Return name and version: what vectors are comparable by."""
    version = getattr(embedder, "version", "")
    return f"{name}@{version}" if version else name
