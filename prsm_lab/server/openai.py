"""OpenAI's own routes, for the clients people already have: `POST /v1/chat/completions`.

Bodies are theirs, so are answers, chunks and errors; behind them stands the same engine, whoever serves the model.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.engine.embedded import new_id
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.server import outside, reading, replies
from prsm_lab.server.inferences import asked
from prsm_lab.server.streams import EventStream, call

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from prsm_lab.server.visit import Visit
    from prsm_lab.types import JSON, Delta, Inference, Request

NEUTRAL: Final = (
    "model", "messages", "temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty", "logit_bias",
    "tools", "tool_choice", "parallel_tool_calls", "user",
)  # fmt: skip
HARMLESS: Final = ("metadata", "store", "safety_identifier", "prompt_cache_key")
"""They change nothing in the answer: taken and left."""
EXTRAS: Final = reading.EXTRAS | {"response_format"}
MOST_CHOICES: Final = 16
MOST_LOGPROBS: Final = 20
_JSON_NAMES: Final[dict[type, str]] = {bool: "true or false", str: "text", dict: "an object"}
_TYPES: Final = {
    400: "invalid_request_error", 401: "authentication_error", 402: "insufficient_quota", 404: "not_found_error",
    409: "conflict_error", 413: "invalid_request_error", 429: "rate_limit_error",
}  # fmt: skip


async def chat(visit: Visit) -> ASGIApp:
    """`POST /v1/chat/completions`."""
    visit.need("infer")
    body = await visit.body()
    n = _count(body)
    fields, live = neutral(body), body.get("stream") or False
    id = new_id()  # noqa: A001 -- the seed's word
    first = reading.question(visit.house, visit.key, fields, id=id, extras=EXTRAS)
    if live:
        if n > 1:
            raise _refused("n", "more than one choice is answered whole only; leave stream out")
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return EventStream(visit, first, Chunks(id, first.model, usage=usage))
    questions = [first, *(_again(first, sample) for sample in range(1, n))]
    return replies.document(completion(await visit.unless_gone(_all(visit, questions)), first.model))


async def _all(visit: Visit, questions: list[Request]) -> list[Inference]:
    """All choices or none: the first error ends the others."""
    if len(questions) == 1:
        return [await asked(visit, questions[0])]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asked(visit, question)) for question in questions]
    except* PRSMError as several:
        fault = several.exceptions[0]
        assert isinstance(fault, PRSMError)
        raise fault from None
    return [task.result() for task in tasks]


def _again(question: Request, sample: int) -> Request:
    return msgspec.structs.replace(question, id=new_id(), sample=sample)


def neutral(body: JSON) -> JSON:
    """Read OpenAI's body into the neutral options; what we do not know is refused, never silently left out."""
    fields = {name: body[name] for name in NEUTRAL if body.get(name) is not None}
    known = {*NEUTRAL, *HARMLESS, "max_tokens", "max_completion_tokens", "response_format", "reasoning_effort",
             "verbosity", "logprobs", "top_logprobs", "n", "stream", "stream_options", "service_tier"}  # fmt: skip
    if unknown := next((name for name in body if name not in known), None):
        raise _refused(unknown[:80], "this server does not know it")
    if body.get("service_tier") not in (None, "auto", "default"):
        raise _refused("service_tier", "only auto and default are offered")
    _check_plain(body)
    limit = body.get("max_completion_tokens")
    limit = body.get("max_tokens") if limit is None else limit
    if limit is not None:
        fields["max_tokens"] = limit
    extra = {name: body[name] for name in ("verbosity", "logprobs", "top_logprobs") if body.get(name)}
    if body.get("reasoning_effort") is not None:
        extra["effort"] = body["reasoning_effort"]
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema" and isinstance(form.get("json_schema"), dict):
        schema = form["json_schema"]
        fields["schema"] = schema.get("schema") or {}
        fields["prsm"] = {"schema_name": schema.get("name")}
    elif isinstance(form, dict) and form.get("type") == "json_object":
        extra["response_format"] = {"type": "json_object"}
    elif form is not None and not (isinstance(form, dict) and form.get("type") == "text"):
        raise _refused("response_format", "it must be text, json_object or json_schema")
    if extra:
        fields["extra"] = extra
    return fields


def _is_whole(value: object, low: float, high: float) -> bool:
    """Is it null or a whole number of that span?"""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)


def _check_plain(body: JSON) -> None:
    """What is passed on as it is, and so is not looked at by `ask`."""
    _check_kinds(body, {"logprobs": bool, "verbosity": str, "reasoning_effort": str})
    if not _is_whole(body.get("top_logprobs"), 0, MOST_LOGPROBS):
        raise _refused("top_logprobs", f"it must be 0 to {MOST_LOGPROBS}")
    for name in ("max_tokens", "max_completion_tokens"):
        if not _is_whole(body.get(name), 1, math.inf):
            raise _refused(name, "it must be a whole number of at least 1")
    form = body.get("response_format")
    described = form.get("json_schema", {}) if isinstance(form, dict) else {}
    if not isinstance(described, dict):
        raise _refused("response_format.json_schema", "it must be an object")
    _check_kinds(described, {"name": str, "schema": dict, "strict": bool}, "response_format.json_schema.")


def _check_kinds(given: JSON, kinds: dict[str, type], place: str = "") -> None:
    for name, kind in kinds.items():
        if not isinstance(given.get(name), kind | None):
            raise _refused(f"{place}{name}", f"it must be {_JSON_NAMES[kind]}")


def _count(body: JSON) -> int:
    n, live, options = body.get("n", 1), body.get("stream"), body.get("stream_options")
    n = 1 if n is None else n
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MOST_CHOICES:
        raise _refused("n", f"it must be 1 to {MOST_CHOICES}")
    if live is not None and not isinstance(live, bool):
        raise _refused("stream", "it must be true or false")
    if options is not None and not isinstance(options, dict):
        raise _refused("stream_options", "it must be an object")
    if not isinstance((options or {}).get("include_usage", False), bool):
        raise _refused("stream_options.include_usage", "it must be true or false")
    return n


def _refused(parameter: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"Unsupported parameter {parameter!r}: {why}.", details={"parameter": parameter})


# --------------------------------------------------------------------------------------------------- answers


def completion(answers: list[Inference], model: str) -> JSON:
    """Write a `chat.completion`; figures that are not known are left out, its types have no null for them."""
    first = answers[0]
    made: JSON = {
        "id": first.id,
        "object": "chat.completion",
        "created": int(first.created),
        "model": first.model or model,
        "choices": [
            {
                "index": position,
                "message": {"refusal": None, **answer.choices[0]["message"]},
                "logprobs": answer.logprobs,
                "finish_reason": answer.finish_reason or "stop",
            }
            for position, answer in enumerate(answers)
        ],
    }
    usage = _usage(answers)
    return made if usage is None else {**made, "usage": usage}


def _usage(answers: list[Inference]) -> JSON | None:
    found = [answer.usage for answer in answers]
    if any(usage.total_tokens is None for usage in found):
        return None
    counted: JSON = {
        name: sum(getattr(usage, name) for usage in found)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    for group, name in (("prompt", "cached_tokens"), ("completion", "reasoning_tokens")):
        figures = [getattr(usage, name) for usage in found]
        if None not in figures:
            counted[f"{group}_tokens_details"] = {name: sum(figures)}
    return counted


class Chunks:
    """A stream in `chat.completion.chunk`s."""

    def __init__(self, id: str, model: str, *, usage: bool) -> None:
        self._frame: JSON = {
            "id": id, "object": "chat.completion.chunk", "created": int(id[4:16], 16) // 1000, "model": model,
        }  # fmt: skip
        self._usage = usage
        self._begun = False

    def piece(self, delta: Delta) -> JSON | None:
        said: JSON = {}
        if delta.text:
            said["content"] = delta.text
        if delta.call_index is not None:
            said["tool_calls"] = [call(delta)]
        sure = {"content": delta.logprobs, "refusal": None} if delta.logprobs else None
        return self._chunk(said, None, sure) if said or sure else None

    def end(self, inference: Inference) -> list[JSON]:
        last = [self._chunk({}, inference.finish_reason or "stop")]
        usage = _usage([inference]) if self._usage else None
        if self._usage and usage is not None:
            last.append({**self._frame, "choices": [], "usage": usage})
        return last

    def fault(self, error: PRSMError) -> JSON:
        return envelope(outside.error(error))

    def _chunk(self, delta: JSON, finish: str | None, logprobs: JSON | None = None) -> JSON:
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", **delta}
        return {
            **self._frame, "choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}],
        }  # fmt: skip


def envelope(error: PRSMError) -> JSON:
    """Write an error as OpenAI does."""
    parameter = error.details.get("parameter")
    return {
        "error": {
            "message": error.message,
            "type": _TYPES.get(error.status, "server_error"),
            "param": parameter if isinstance(parameter, str) else None,
            "code": error.details.get("kind") or error.code,
        }
    }
