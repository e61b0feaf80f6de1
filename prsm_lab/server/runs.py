"""Runs of a remote notebook: what it asks is written down here, so that it resumes from anywhere.

Names and ids carry their person's mark inside the ledger: nobody sees or overwrites another's runs.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.server import outside, reading, replies
from prsm_lab.types import Run

if TYPE_CHECKING:
    from starlette.responses import Response

    from prsm_lab.server.visit import Visit
    from prsm_lab.types import JSON, Request

MOST_QUESTIONS: Final = 100_000
MOST_RECEIPTS: Final = 2000
LONGEST_ID: Final = 64


async def begin(visit: Visit) -> Response:
    """`POST /v1/runs`: a run and its questions, before any is asked."""
    visit.need("infer")
    body = await visit.body()
    run = _run(visit, body.get("run"))
    await visit.house.engine.begin(run, _questions(visit, body))
    return replies.document({"id": body["run"]["id"]})


async def recall(visit: Visit) -> Response:
    """`POST /v1/runs/recall`: the answers that this person's runs already paid for."""
    visit.need("infer")
    body = await visit.body()
    questions = _questions(visit, body)
    known = await visit.house.engine.recall(questions, reading.mine(visit.key, body.get("scope", "")) or "")
    return replies.document({"inferences": [None if one is None else outside.inference(one) for one in known]})


async def receipts(visit: Visit) -> Response:
    """`POST /v1/runs/receipts`: what this person's answers went through."""
    visit.need("read")
    ids: Any = (await visit.body()).get("ids")
    if (
        not isinstance(ids, list)
        or len(ids) > MOST_RECEIPTS
        or not all(isinstance(one, str) and len(one) <= LONGEST_ID for one in ids)
    ):
        raise InvalidRequestError(
            f"ids must be a list of at most {MOST_RECEIPTS:,} ids of inferences.",
            details={"parameter": "ids", "expected_type": "list"},
        )
    found = await visit.house.engine.receipts(ids, person=visit.person)
    return replies.document({"records": [outside.record(one) for one in found]})


async def runs(visit: Visit) -> Response:
    """`GET /v1/runs`."""
    visit.need("read")
    mark = f"{visit.key.person}\x1f"
    found = [_given(run) for run in await visit.house.engine.runs() if run.id.startswith(mark)]
    return replies.document({"runs": found})


async def replay(visit: Visit) -> Response:
    """`GET /v1/runs/{id}`: a run with the state of each of its questions."""
    visit.need("read")
    run, records = await visit.house.engine.replay(reading.mine(visit.key, visit.scope["path_params"]["id"]) or "")
    told = [None if one is None else outside.record(one) for one in records]
    data = None if run.data is None else base64.b64encode(run.data).decode()
    return replies.document({"run": {**msgspec.structs.asdict(_given(run)), "data": data}, "records": told})


def _given(run: Run) -> Run:
    return msgspec.structs.replace(
        run, id=reading.unmarked(run.id) or "", name=reading.unmarked(run.name),
        scope=reading.unmarked(run.scope) or "", data=None,
    )  # fmt: skip


def _run(visit: Visit, fields: Any) -> Run:
    try:
        run = msgspec.convert({**fields, "data": None}, Run)
        data = None if fields.get("data") is None else base64.b64decode(fields["data"], validate=True)
    except (msgspec.ValidationError, TypeError, binascii.Error, ValueError) as problem:
        raise InvalidRequestError(f"run is no run: {str(problem)[:120]}.", details={"parameter": "run"}) from None
    id, name, scope, purse = (reading.mine(visit.key, one) for one in (run.id, run.name, run.scope, run.purse))  # noqa: A001 -- as above
    return msgspec.structs.replace(run, id=id or "", name=name, scope=scope or "", purse=purse, data=data)


class _Line(msgspec.Struct, array_like=True):
    template: int
    messages: list[Any]
    sample: int


class _Packed(msgspec.Struct):
    """Questions of a run: what they share once, then a line for each."""

    templates: list[dict[str, Any]]
    requests: list[_Line]


def _questions(visit: Visit, body: JSON) -> list[Request]:
    try:
        packed = msgspec.convert(body, _Packed)
        bodies = [(packed.templates[line.template], line) for line in packed.requests]
    except (msgspec.ValidationError, IndexError) as problem:
        raise InvalidRequestError(
            f"templates and requests are no questions: {str(problem)[:120]}.", details={"parameter": "requests"}
        ) from None
    if len(bodies) > MOST_QUESTIONS:
        raise InvalidRequestError(
            f"A run has at most {MOST_QUESTIONS:,} questions here; split the data.", details={"parameter": "requests"}
        )
    return [
        _question(
            visit,
            {**template, "messages": line.messages, "prsm": {**(template.get("prsm") or {}), "sample": line.sample}},
            position,
        )
        for position, (template, line) in enumerate(bodies)
    ]


def _question(visit: Visit, body: JSON, position: int) -> Request:
    from prsm_lab.engine.embedded import new_id

    try:
        question = reading.question(visit.house, visit.key, body, id=new_id())
    except PRSMError as error:
        error.details = {**error.details, "position": position}
        raise
    return msgspec.structs.replace(question, id=None)
