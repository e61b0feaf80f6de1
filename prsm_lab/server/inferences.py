"""`/v1/inference`: ask one question, many, or in the background; look up what was asked."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.engine.embedded import new_id
from prsm_lab.errors import ConflictError, InvalidRequestError, NotFoundError, PRSMError
from prsm_lab.server import batches, reading, replies
from prsm_lab.types import Record

if TYPE_CHECKING:
    from starlette.responses import Response

    from prsm_lab.server.visit import Visit
    from prsm_lab.types import JSON, Inference, Request

_IDEMPOTENT: Final = re.compile(r"[\x21-\x7e]{1,128}")
MOST_LISTED: Final = 500
MOST_JOBS: Final = 1000


async def create(visit: Visit) -> Response:
    """`POST /v1/inference`."""
    visit.need("infer")
    body = await visit.body()
    question = reading.question(visit.house, visit.key, body, id=new_id())
    idempotent = visit.headers.get("idempotency-key")
    if idempotent is not None:
        earlier = await _claimed(visit, idempotent, body, question)
        if earlier is not None:
            return replies.answer(visit, earlier, {"idempotent-replayed": "true"})
    if body.get("background"):
        return _in_background(visit, question)
    return replies.answer(visit, await visit.unless_gone(asked(visit, question)))


async def asked(visit: Visit, question: Request) -> Inference:
    """Ask a question from a seat of its own, and pay for it."""
    async with await visit.house.admission.enter(visit.key, question) as seat:
        try:
            inference = await visit.house.engine.create(seat.request)
        except PRSMError as error:
            if error.answer is not None:  # it was paid for, fit or not
                seat.answered(error.answer)
            raise
        seat.answered(inference)
        return inference


async def check(visit: Visit) -> Response:
    """`POST /v1/inference/check`: what is wrong with a question, nothing asked."""
    visit.need("infer")
    await visit.house.engine.check(reading.question(visit.house, visit.key, await visit.body(), id=new_id()))
    return replies.document({"status": "ok"})


async def get(visit: Visit) -> Response:
    """`GET /v1/inference/{id}`."""
    visit.need("read")
    id = visit.scope["path_params"]["id"]  # noqa: A001 -- the seed's word
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", id):
        raise NotFoundError("No such inference.", details={"parameter": "inference_id"})
    job = visit.house.jobs.get(id)
    try:
        known = await visit.house.engine.get(id, person=visit.person)
    except NotFoundError:
        if job is None or job.get_name() != visit.key.person:
            raise
        known = Record(id=id, status="running", model="", provider=None, created=0.0)
    return replies.document(replies.record(visit, known))


async def listed(visit: Visit) -> Response:
    """`GET /v1/inference`: the latest, newest first."""
    visit.need("read")
    text = visit.query().get("limit", "50")
    if not text.isdecimal() or not 1 <= int(text) <= MOST_LISTED:
        raise InvalidRequestError(
            f"limit must be 1 to {MOST_LISTED}.", details={"parameter": "limit", "expected_type": "integer"}
        )
    found = await visit.house.engine.history(int(text), person=visit.person)
    return replies.document({"object": "list", "data": [replies.line(visit, one) for one in found]})


async def batch(visit: Visit) -> Response:
    """`POST /v1/inference/batch`."""
    visit.need("infer")
    return await batches.answer(visit, batches.read(visit, await visit.body()), asked)


# ------------------------------------------------------------------------------------------------- background


def _in_background(visit: Visit, question: Request) -> Response:
    assert question.id is not None
    if len(visit.house.jobs) >= MOST_JOBS:
        raise ConflictError("Too many background questions wait; try again later.", retry_after=5.0)
    job = asyncio.get_running_loop().create_task(_quietly(visit, question), name=visit.key.person)
    visit.house.jobs[question.id] = job
    job.add_done_callback(lambda _: visit.house.jobs.pop(str(question.id), None))
    told = {"id": question.id, "status": "running", "model": question.model, "created": int(_created(question.id))}
    return replies.document(told, 202, {"location": f"{visit.house.root_path}/v1/inference/{question.id}"})


async def _quietly(visit: Visit, question: Request) -> None:
    """Errors of a background question are in the ledger; those of the door are written there too."""
    try:
        await asked(visit, question)
    except PRSMError as error:
        if error.inference_id is None:
            await visit.house.engine.refuse(question, error)


def _created(id: str) -> float:
    return int(id[4:16], 16) / 1000


# ------------------------------------------------------------------------------------------------ idempotency


async def _claimed(visit: Visit, key: str, body: JSON, question: Request) -> Inference | None:
    """Return the answer that was given under an idempotency key; None if this request is to be asked.

    Raises:
        ConflictError: Another question was asked under it, or its answer is still on the way.
    """
    if not _IDEMPOTENT.fullmatch(key):
        raise InvalidRequestError(
            "Idempotency-Key must be 1 to 128 printable characters.", details={"parameter": "Idempotency-Key"}
        )
    digest = hashlib.blake2b(msgspec.json.encode(body, order="deterministic"), digest_size=32).digest()
    person, id = visit.key.person, str(question.id)  # noqa: A001 -- the seed's word
    earlier = visit.house.accounts.claim(person, key, digest, id)
    if earlier is None:
        return None
    if earlier[0] != digest:
        raise ConflictError(
            "This Idempotency-Key was used for another request. Use a new one for each question.",
            details={"parameter": "Idempotency-Key"},
        )
    known = await _state(visit, earlier[1])
    if known is not None and known.inference is not None and known.status == "completed":
        return known.inference
    if known is not None and known.status == "running":
        raise ConflictError("The first request with this Idempotency-Key is still being answered.", retry_after=1.0)
    if not visit.house.accounts.reclaim(person, key, earlier[1], id):
        raise ConflictError("The first request with this Idempotency-Key is still being answered.", retry_after=1.0)
    return None


async def _state(visit: Visit, id: str) -> Record | None:
    try:
        return await visit.house.engine.get(id, person=visit.key.person)
    except NotFoundError:
        return None
