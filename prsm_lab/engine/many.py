"""Many questions at once: a fixed crew of workers over one iterator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prsm_lab.protocols import Engine
    from prsm_lab.types import Inference, Request


async def run(
    engine: Engine,
    requests: Iterable[Request],
    *,
    concurrency: int,
    deliver: Callable[[int, Inference | PRSMError], None],
) -> None:
    """Ask all questions, so many at a time, and hand each outcome over as it comes.

    A crew of workers over one iterator, not a task per question: memory stays flat and no slot waits for a
    window to fill. Cancelling cancels what is in flight and returns when every connection is closed.

    Args:
        engine: Who answers.
        requests: The questions; read only as fast as they are asked.
        concurrency: Most questions in flight.
        deliver: Called on the engine's loop with the question's position and its answer or error. An answer
            is already in the ledger when it is delivered.
    """
    waiting = iter(enumerate(requests))
    async with asyncio.TaskGroup() as crew:
        for _ in range(concurrency):
            crew.create_task(_work(engine, waiting, deliver))


async def _work(
    engine: Engine, waiting: Iterator[tuple[int, Request]], deliver: Callable[[int, Inference | PRSMError], None]
) -> None:
    for position, request in waiting:
        outcome: Inference | PRSMError
        try:
            outcome = await engine.create(request)
        except PRSMError as error:
            outcome = error
        deliver(position, outcome)
