"""How often Python collects garbage while many questions are asked.

A collection goes through what was made since the last one, and at times through all there is: a notebook with pandas
and the SDKs holds a million objects. Answers are no garbage, so at Python's own pace, each 700 objects, collecting
takes a sixth of a run's CPU (`tests/benchmarks/run.py`), and more where the answers come from the ledger.
"""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS: Final = 20_000
"""New ones between two collections: some 5 MB."""
_before: list[int] = []


@contextlib.contextmanager
def seldom() -> Iterator[None]:
    """Collect seldom for as long as this is open; several may be.

    A threshold that somebody has set higher stays, and so does no collecting at all.
    """
    now = gc.get_threshold()
    _before.append(now[0])
    if 0 < now[0] < OBJECTS:
        gc.set_threshold(OBJECTS, *now[1:])
    try:
        yield
    finally:
        first = _before[0]
        _before.pop()
        if not _before and gc.get_threshold()[0] == OBJECTS:
            gc.set_threshold(first, *gc.get_threshold()[1:])
