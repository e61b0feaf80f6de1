"""`POST /v1/inference/batch`: many questions of one call, each with a seat of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from starlette.responses import StreamingResponse

from prsm_lab.catalog import prices
from prsm_lab.engine import strategies
from prsm_lab.engine.embedded import new_id
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.server import reading, replies, streams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.responses import Response

    from prsm_lab.server.visit import Visit
    from prsm_lab.types import JSON, Inference, Key, Model, Request

    Ask = Callable[[Visit, Request], Awaitable[Inference]]

MOST: Final = 10_000
CONCURRENCY: Final = 16
_line = msgspec.json.Encoder(enc_hook=str).encode


class Batch(NamedTuple):
    """A batch as it was asked for."""

    ids: list[str | None]
    questions: list[Request | PRSMError]
    """What is wrong with a question is its result, and does not lose the others."""
    concurrency: int


def read(visit: Visit, body: JSON) -> Batch:
    """Read a batch's body."""
    requests, parallel = body.get("requests"), body.get("parallel", True)
    strategy = body.get("fallback_strategy", "none")
    if unknown := next((name for name in body if name not in ("requests", "parallel", "fallback_strategy")), None):
        raise InvalidRequestError(f"Unknown parameter {unknown!r:.80}.", details={"parameter": unknown[:80]})
    if not isinstance(requests, list) or not 1 <= len(requests) <= MOST:
        raise InvalidRequestError(
            f"requests must be a list of 1 to {MOST:,} objects.",
            details={"parameter": "requests", "expected_type": "list"},
        )
    if not isinstance(parallel, (bool, int)):
        raise InvalidRequestError(
            "parallel must be true, false, or a number of requests at once.",
            details={"parameter": "parallel", "expected_type": "boolean"},
        )
    strategies.check(strategy)
    most = CONCURRENCY if parallel is True else max(1, int(parallel))
    return Batch(
        ids=[str(one["id"])[:200] if isinstance(one, dict) and one.get("id") is not None else None for one in requests],
        questions=[_question(visit, one, position, strategy) for position, one in enumerate(requests)],
        concurrency=min(most, visit.key.limits.concurrent or most, CONCURRENCY * 4),
    )


def _question(visit: Visit, one: object, position: int, strategy: str) -> Request | PRSMError:
    try:
        if not isinstance(one, dict):
            raise InvalidRequestError(
                f"requests[{position}] must be an object with model and messages.",
                details={"parameter": f"requests[{position}]", "expected_type": "object"},
            )
        fields = {name: value for name, value in one.items() if name != "id"}
        asked = reading.question(visit.house, visit.key, fields, id=new_id())
        return strategies.applied(asked, strategy, fields, lambda model: _fit(asked, visit.key, model))
    except PRSMError as error:
        return error


def _fit(request: Request, key: Key, model: Model) -> bool:
    """May this key ask the comparable model? A metered one only where the price is known."""
    only = request.routing.only
    if only is not None and model.name not in only:
        return False
    return key.credits is None or prices.line(model) is not None


async def answer(visit: Visit, batch: Batch, ask: Ask) -> Response:
    """Answer with all results in order, or with a line for each as it comes."""
    if "application/x-ndjson" in visit.headers.get("accept", ""):
        return StreamingResponse(_lines(visit, batch, ask), media_type="application/x-ndjson")
    outcomes: list[Any] = [None] * len(batch.ids)
    await visit.unless_gone(_all(visit, batch, ask, outcomes.__setitem__))
    results = [replies.item(visit, name, outcome) for name, outcome in zip(batch.ids, outcomes, strict=True)]
    return replies.document({"object": "batch", "results": results, **replies.totals(outcomes)})


async def _all(visit: Visit, batch: Batch, ask: Ask, deliver: Callable[[int, Any], None]) -> None:
    """A crew of workers over the questions; memory stays flat, and a seat is taken only when it is used."""
    waiting = iter(enumerate(batch.questions))

    async def work() -> None:
        for position, question in waiting:
            outcome: Inference | PRSMError
            if isinstance(question, PRSMError):
                outcome = question
            else:
                try:
                    outcome = await ask(visit, question)
                except PRSMError as error:
                    outcome = error
            deliver(position, outcome)

    async with asyncio.TaskGroup() as crew:
        for _ in range(batch.concurrency):
            crew.create_task(work())


async def _lines(visit: Visit, batch: Batch, ask: Ask) -> AsyncGenerator[bytes, None]:
    """One line a result; the generator owns the crew, so a client that leaves stops it."""
    queue: asyncio.Queue[tuple[int, Any] | None] = asyncio.Queue()
    crew = asyncio.ensure_future(_all(visit, batch, ask, lambda n, outcome: queue.put_nowait((n, outcome))))
    crew.add_done_callback(lambda _: queue.put_nowait(None))
    outcomes = []
    try:
        while True:
            try:
                async with asyncio.timeout(streams.HEARTBEAT_SECONDS):
                    found = await queue.get()
            except TimeoutError:
                yield b"\n"  # a proxy cuts what is silent for long; readers of lines pass over an empty one
                continue
            if found is None:
                break
            position, outcome = found
            outcomes.append(outcome)
            line = {"index": position, **replies.item(visit, batch.ids[position], outcome)}
            yield _line(line) + b"\n"
        await crew
        yield _line({"object": "batch.done", **replies.totals(outcomes)}) + b"\n"
    finally:
        if not crew.done():
            crew.cancel()
            await asyncio.wait({crew})
