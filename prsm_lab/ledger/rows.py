"""Values to rows and back: the only place that knows which column holds what."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from prsm_lab.types import Inference, Record, Routing, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.errors import PRSMError
    from prsm_lab.ledger.database import Row
    from prsm_lab.types import Attempt, PriceLine, Reply, Request

_USUAL = Routing()
_json = msgspec.json.Encoder(enc_hook=str).encode
_decode_inference = msgspec.json.Decoder(Inference).decode


def text(value: object) -> str:
    """JSON as text that any reader of the database can show; lone surrogates are escaped, not lost."""
    try:
        return _json(value).decode()
    except (UnicodeEncodeError, ValueError):
        return _json(_escaped(value)).decode()


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _escaped(msgspec.to_builtins(value, enc_hook=str))
    return value


def digest(answer: bytes) -> bytes:
    return hashlib.blake2b(answer, digest_size=16).digest()


def opened(
    id: str, request: Request, question: bytes, scope: str | None, created: float, owner: str
) -> tuple[Any, ...]:
    asked: dict[str, object] = {"messages": request.messages, "options": request.options, "sample": request.sample}
    if request.routing != _USUAL:
        asked["routing"] = request.routing
    return (id, question, scope, request.run, owner, request.model, text(asked), created, request.person)


def completed(inference: Inference, price: PriceLine | None, source: str | None) -> tuple[Any, ...]:
    answer = text(inference).encode()
    return (
        inference.completed,
        inference.model,
        inference.provider,
        _escaped(inference.content),
        inference.finish_reason,
        inference.usage.prompt_tokens,
        inference.usage.completion_tokens,
        inference.cost.amount,
        None if price is None else text(price),
        inference.latency_ms,
        inference.cached,
        source,
        answer,
        digest(answer),
        inference.id,
    )


def failed(id: str, error: PRSMError, when: float, partial: Reply | None) -> tuple[Any, ...]:
    provider = error.provider or (error.attempts[-1].provider if error.attempts else None)
    shown = None if partial is None else partial.text
    return (when, provider, _escaped(shown), error.code, text(error.to_dict()["error"]), id)


def knocks(id: str, attempts: Sequence[Attempt]) -> list[tuple[Any, ...]]:
    return [
        (id, n, a.provider, a.model, a.started, a.latency_ms, a.error_code, _escaped(a.error), a.maybe_billed,
         a.ttft_ms, a.member)
        for n, a in enumerate(attempts)
    ]  # fmt: skip


def inference(row: Row) -> Inference | None:
    """Read an answer back; None if the row was altered since it was written."""
    answer = row["answer"]
    if answer is None or digest(answer) != row["digest"]:
        return None
    return _decode_inference(answer)


def record(row: Row, *, alive: bool) -> Record:
    """Say what is known of one inference; `alive`: the process that asked still runs."""
    status = row["status"]
    return Record(
        id=row["id"],
        status="unknown" if status == "running" and not alive else status,
        model=row["model"] or row["requested_model"],
        provider=row["provider"],
        created=row["created"],
        completed=row["completed"],
        latency_ms=row["latency_ms"],
        inference=inference(row),
        error=None if row["error"] is None else msgspec.json.decode(row["error"]),
        partial=row["response"] if status == "failed" else None,
        knocks=row["knocks"] if "knocks" in row.keys() else None,  # noqa: SIM118 -- a row iterates over its values
    )


def run(row: Row, *, data: bool = False) -> Run:
    keys = row.keys()
    return Run(
        id=row["id"],
        name=row["name"],
        scope=row["scope"],
        kind=row["kind"],
        created=row["created"],
        spec=msgspec.json.decode(row["spec"]),
        data=row["data"] if data else None,
        questions=row["questions"] if "questions" in keys else 0,
        answered=row["answered"] if "answered" in keys else 0,
        failed=row["failed"] if "failed" in keys else 0,
        cost=row["cost"] if "cost" in keys else None,
    )
