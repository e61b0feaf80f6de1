"""A GGUF file of one's own, served by llama.cpp in this process."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


CONTEXT_TOKENS: Final = 2048
"""Of one question and its answer: memory grows with it."""
PARALLEL: Final = 2
"""Questions at once."""


def serve(path: Path, *, threads: int, context: int, rows: int) -> Any:
    """Return the running server; it ends when it is let go of.

    Args:
        path: The file.
        threads: Of the computation.
        context: Tokens of one question and its answer.
        rows: Questions at once.

    Raises:
        ProviderError: If llama.cpp does not take the file.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {path.name}  # else its answers name the path, which is nobody's business
    parameters.n_ctx = context * rows
    parameters.n_parallel = rows
    parameters.cpuparams.n_threads = threads
    parameters.verbosity = -1
    with _quiet():
        try:
            return xllamacpp.Server(parameters)
        except RuntimeError as fault:
            raise ProviderError(
                f"llama.cpp does not take {path.name} ({fault}). Is it a whole GGUF file?",
                provider="local", details={"kind": "weights"}, verdict="next", max_retries=0,
            ) from None  # fmt: skip


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
