"""Pure: what came of a question becomes one priced `Inference`."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import msgspec

from prsm_lab.catalog import prices
from prsm_lab.engine import structured
from prsm_lab.types import Cost, Inference

if TYPE_CHECKING:
    from prsm_lab.engine.attempts import Answer
    from prsm_lab.types import PriceLine, Request, Target


def served_again(hit: Inference, id: str, created: float) -> Inference:
    """An earlier answer, served from the cache: it costs nothing now and saves what it cost then."""
    paid = hit.cost.provider_cost
    return msgspec.structs.replace(
        hit,
        id=id,
        created=created,
        completed=time.time(),
        latency_ms=(time.time() - created) * 1000,
        ttft_ms=None,
        queued_ms=0.0,
        attempts=(),
        cached=True,
        cost=Cost(amount=0.0, provider_cost=paid, savings=paid),
    )


def conclude(
    id: str, created: float, request: Request, requested: Target, answer: Answer
) -> tuple[Inference, PriceLine | None]:
    """Price an answer and put it together."""
    target, reply = answer.target, answer.reply
    line = prices.line(target.name, target.provider)
    own = structured.paid(answer, line)
    amount = _with_others(own, answer)
    if (target.provider, target.model) == (requested.provider, requested.model):
        listed = own
    else:
        listed = structured.paid(answer, prices.line(requested.name, requested.provider))
    saved = None if amount is None or listed is None else listed - amount
    said = reply.text or (reply.text if reply.finish_reason == "stop" else None)  # no text is None on every wire
    inference = Inference(
        id=id,
        requested_model=request.model,
        model=target.name,
        provider=target.provider,
        content=said,
        finish_reason=reply.finish_reason,
        usage=reply.usage,
        cost=Cost(amount=amount, provider_cost=listed, savings=saved),
        created=created,
        completed=time.time(),
        latency_ms=answer.latency_ms,
        ttft_ms=answer.ttft_ms,
        queued_ms=answer.queued_ms,
        attempts=answer.attempts,
        served_model=reply.served_model,
        tool_calls=reply.tool_calls,
        reasoning=reply.reasoning,
        dropped=reply.dropped,
        logprobs=reply.logprobs,
        sample=request.sample,
        structured=structured.mode(request, target),
    )
    return inference, line


def _with_others(own: float | None, answer: Answer) -> float | None:
    """Add what other models' answers cost that were asked for this one; None where any price is unknown."""
    costs = [own, *(prices.cost(usage, prices.line(one.name, one.provider)) for one, usage in answer.beside)]
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if len(known) == len(costs) else None
