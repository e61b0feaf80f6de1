"""Values become answers: the seed's documents, or whole values for who asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from prsm_lab.server import outside
from prsm_lab.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prsm_lab.errors import PRSMError
    from prsm_lab.server.visit import Visit
    from prsm_lab.types import JSON, Inference, Record

_encode = msgspec.json.Encoder(enc_hook=str).encode


def document(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with one JSON document."""
    return Response(_encode(content), status, headers=headers, media_type="application/json")


def answer(visit: Visit, inference: Inference, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an inference."""
    return document(outside.inference(inference) if visit.whole else inference.to_dict(), headers=headers)


def record(visit: Visit, known: Record) -> Any:
    """An inference's state as this client wants it."""
    told = outside.record(known)
    return told if visit.whole else told.to_dict()


def line(visit: Visit, known: Record) -> Any:
    """A record in a list: it also says which model served, so that a simulated one shows."""
    served = None if known.inference is None else known.inference.served_model
    told = record(visit, known)
    return told if visit.whole else {**told, "served_model": served}


def item(visit: Visit, id: str | None, outcome: Inference | PRSMError) -> JSON:
    """One result of a batch."""
    from prsm_lab.errors import PRSMError

    if isinstance(outcome, PRSMError):
        return {"id": id, "status": "failed", **outside.document(outcome, whole=visit.whole)}
    told = outside.inference(outcome) if visit.whole else outcome.to_dict()
    return {"id": id, "status": "completed", "inference": told}


def totals(outcomes: Iterable[Inference | PRSMError]) -> JSON:
    """Sum a batch up; a sum over unknown figures is unknown."""
    from prsm_lab.errors import PRSMError

    known = list(outcomes)
    answered = [one for one in known if not isinstance(one, PRSMError)]
    usages = [one.usage for one in answered]
    prompt, completion = (_sum(getattr(u, name) for u in usages) for name in ("prompt_tokens", "completion_tokens"))
    total = Usage(
        prompt_tokens=None if prompt is None else int(prompt),
        completion_tokens=None if completion is None else int(completion),
    )
    return {
        "failed": len(known) - len(answered),
        "usage": {
            "prompt_tokens": total.prompt_tokens,
            "completion_tokens": total.completion_tokens,
            "total_tokens": total.total_tokens,
        },
        "cost": {"amount": _sum(one.cost.amount for one in answered), "currency": "USD"},
    }


def _sum(figures: Iterable[float | None]) -> float | None:
    total = 0.0
    for figure in figures:
        if figure is None:
            return None
        total += figure
    return total
