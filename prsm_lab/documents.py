"""The seed's JSON documents: a `Request` as the body of a POST, an error as its envelope, and both read back.

The share server reads what the remote engine writes, and the other way round; `ask` checks what is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab import errors
from prsm_lab.errors import PRSMError
from prsm_lab.types import Attempt, Inference, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.types import JSON, CachePolicy, Request, Routing

WHOLE: Final = "application/vnd.prsm+json"
"""Asked for in `Accept`: values with all their fields, where the seed's documents name a few."""

_BY_CODE: Final[dict[str, type[PRSMError]]] = {
    cls.code: cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, PRSMError)
}
_BY_STATUS: Final[dict[int, type[PRSMError]]] = {
    400: errors.InvalidRequestError, 401: errors.AuthenticationError, 402: errors.InsufficientCreditsError,
    404: errors.NotFoundError, 409: errors.ConflictError, 413: errors.InvalidRequestError,
    429: errors.RateLimitError, 500: errors.InternalError,
}  # fmt: skip
_GATEWAY: Final = (502, 504)
"""A proxy says these when it gets no answer from the server behind it."""


def asked(request: Request) -> JSON:
    """Write a question as the body of `POST /v1/inference`; `prsm` holds what the seed has no name for.

    Routing is written out whole, so that the server's own preferences change nothing.

    >>> from prsm_lab.ask import conversation, question
    >>> body = asked(conversation(question("gpt-4", temperature=0), "hi"))
    >>> body["model"], body["temperature"], body["messages"]
    ('gpt-4', 0.0, ({'role': 'user', 'content': 'hi'},))
    """
    options, routing = request.options, request.routing
    if routing.rpm is not None or routing.tpm is not None:
        raise errors.InvalidRequestError(
            "rpm and tpm are kept where the provider's key is: the share server's owner sets what its keys may. Leave "
            "them out, or lower max_concurrency.",
            details={"parameter": "tpm" if routing.rpm is None else "rpm", "not_sent": True},
        )
    plain = {name: getattr(options, name) for name in options.__struct_fields__ if name != "schema_name"}
    body = {name: value for name, value in plain.items() if value not in (None, ())}
    return {
        "model": request.model,
        "messages": request.messages,
        **body,
        **_routed(routing),
        "cache_config": _cached(request.cache),
        **({} if request.timeout is None else {"timeout": request.timeout}),
        "prsm": {
            "sample": request.sample,
            "run": request.run,
            "scope": request.scope,
            "primary": routing.primary,
            "schema_name": options.schema_name,
        },
    }


def _routed(routing: Routing) -> JSON:
    steps = [
        {
            name: value
            for name, value in (
                ("provider", step.provider),
                ("model", step.model),
                ("timeout", None if step.timeout is None else step.timeout * 1000),
            )
            if value is not None
        }
        for step in routing.fallback
    ]
    config: JSON = {
        "strategies": steps,
        "backoff_multiplier": routing.backoff_multiplier,
        "mid_stream": routing.mid_stream,
    }
    if routing.retry_attempts is not None:
        config["retry_attempts"] = routing.retry_attempts
    saving: JSON = {
        "enabled": routing.cost_optimization or routing.max_cost is not None,
        "prefer_cheaper": routing.cost_optimization,
    }
    if routing.max_cost is not None:
        saving["max_cost"] = routing.max_cost
    body: JSON = {
        "fallback_config": config,
        "cost_optimization": saving,
        "latency_optimization": routing.latency_optimization,
        "on_unsupported": routing.on_unsupported,
    }
    if routing.provider is not None:
        body["provider"] = routing.provider
    if routing.quality_threshold is not None:
        body["quality_threshold"] = routing.quality_threshold
    if routing.task is not None:
        body["task"] = routing.task
    return body


def _cached(policy: CachePolicy | None) -> bool | JSON:
    if policy is None or not policy.enabled:
        return False
    fields = msgspec.structs.asdict(policy)
    return {name: value for name, value in fields.items() if value is not None}


# ------------------------------------------------------------------------------------------------------ errors


def fault(error: PRSMError, *, whole: bool) -> JSON:
    """Write an error as the seed's envelope; `whole` adds what the remote engine needs to raise the same one."""
    said: JSON = {"code": error.code, "message": error.message, "details": dict(error.details)}
    if error.provider is not None:
        said["details"].setdefault("provider", error.provider)
    if whole:
        said["prsm"] = {
            "provider": error.provider,
            "request_id": error.request_id,
            "retry_after": error.retry_after,
            "attempts": error.attempts,
            "partial": error.partial,
            "inference_id": error.inference_id,
            "closes_route": error.closes_route,
            "answer": error.answer,
        }
    return {"error": said}


class _More(msgspec.Struct):
    provider: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    attempts: tuple[Attempt, ...] = ()
    partial: Reply | None = None
    inference_id: str | None = None
    closes_route: bool = False
    answer: Inference | None = None


def read_fault(body: object, status: int, headers: Mapping[str, str]) -> PRSMError:
    """Read an error answer back into our tree; what is no envelope is told apart by its status."""
    said = body.get("error") if isinstance(body, dict) else None
    said = said if isinstance(said, dict) else {}
    code, details = said.get("code"), said.get("details")
    kind = _BY_CODE.get(code if isinstance(code, str) else "") or _BY_STATUS.get(status, errors.ProviderError)
    if not said and status in _GATEWAY:
        details = {"kind": "gateway"}
    message = said.get("message") or f"The share server, or a proxy before it, answered HTTP {status} without a word."
    more = _more(said.get("prsm"))
    found = kind(
        str(message),
        details=details if isinstance(details, dict) else {},
        request_id=more.request_id or headers.get("x-request-id"),
        provider=more.provider,
        partial=more.partial,
        retry_after=_seconds(headers.get("retry-after")) if more.retry_after is None else more.retry_after,
        closes_route=more.closes_route,
    )
    found.attempts, found.inference_id, found.answer = more.attempts, more.inference_id, more.answer
    return found


def _more(fields: Any) -> _More:
    try:
        return msgspec.convert(fields or {}, _More)
    except msgspec.ValidationError:
        return _More()


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
