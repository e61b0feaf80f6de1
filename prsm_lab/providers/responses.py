"""OpenAI's Responses, for models that reason: requests to the wire, answers from it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab.errors import InvalidRequestError
from prsm_lab.providers import faults, fit
from prsm_lab.providers.reading import Calls, Lenient, Prose, arguments, count, nested, read, word
from prsm_lab.types import Delta, FinishReason, Reply, ToolCall, Usage

if TYPE_CHECKING:
    from prsm_lab.providers.sse import Event
    from prsm_lab.types import JSON, Message, Options, Request, Target

PATH: Final = "/responses"
NEVER: Final = frozenset({"stop", "seed", "logit_bias", "frequency_penalty", "presence_penalty"})
LEAST_TOKENS: Final = 16
"""The API refuses a smaller `max_output_tokens`."""


# -------------------------------------------------------------------------------------------------- to the wire


def to_wire(request: Request, target: Target, *, live: bool) -> tuple[JSON, tuple[str, ...]]:
    """Return the request's body, and the names of options that were left out on request.

    `store` is false: the API's own default keeps every question for 30 days.

    Raises:
        InvalidRequestError: If the model does not take an option.
    """
    no_effort = target.capabilities.reasoning == "none"
    options, dropped = fit.fitted(request, target, never=NEVER | {"effort"} if no_effort else NEVER)
    body: JSON = {"model": target.model, "store": False}
    leading = _leading(request.messages)
    if leading:
        body["instructions"] = "\n\n".join(_plain(message) for message in leading)
    body["input"] = [item for message in request.messages[len(leading) :] for item in _items(message)]
    if options.max_tokens is not None:
        if options.max_tokens < LEAST_TOKENS:
            raise InvalidRequestError(
                f"{target.name} ({target.provider}) takes max_tokens of at least {LEAST_TOKENS}, not "
                f"{options.max_tokens}.",
                provider=target.provider,
                details={"parameter": "max_tokens", "expected_type": f"integer of at least {LEAST_TOKENS}"},
            )
        body["max_output_tokens"] = options.max_tokens
    for name in ("temperature", "top_p"):
        if (value := getattr(options, name)) is not None:
            body[name] = value
    _add_tools(body, options)
    if options.schema is not None:
        body["text"] = {"format": {"type": "json_schema", **fit.named_schema(options)}}
    if (effort := fit.effort_of(options)) is not None:
        body["reasoning"] = {"effort": effort}
    if options.user is not None:
        body["safety_identifier"] = options.user
    if live:
        body["stream"] = True
    if fit.wants_logprobs(options):
        body["include"] = ["message.output_text.logprobs"]
    return fit.with_extra(body, options.extra, translated=("effort", "logprobs")), dropped


def _add_tools(body: JSON, options: Options) -> None:
    if not options.tools:
        return
    body["tools"] = [
        {
            "type": "function",
            **{k: v for k, v in tool["function"].items() if k != "strict"},
            "strict": bool(tool["function"].get("strict", False)),
        }
        for tool in options.tools
    ]
    choice = options.tool_choice
    if choice is not None:
        named = choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None
        body["tool_choice"] = choice if named is None else {"type": "function", "name": named}
    if options.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = options.parallel_tool_calls


def _leading(messages: tuple[Message, ...]) -> list[Message]:
    leading = []
    for message in messages:
        if message["role"] not in ("system", "developer"):
            break
        leading.append(message)
    return leading


def _plain(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _items(message: Message) -> list[JSON]:
    """One chat message as input items: calls and their results are items of their own."""
    role, content = message["role"], message.get("content")
    if role == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": _plain(message)}]
    items: list[JSON] = []
    if content not in (None, ""):
        items.append({"role": "developer" if role == "system" else role, "content": _parts(content, role)})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        items.append({
            "type": "function_call", "call_id": call["id"], "name": function["name"],
            "arguments": function.get("arguments") or "{}",
        })  # fmt: skip
    return items


def _parts(content: Any, role: str) -> Any:
    if isinstance(content, str):
        return content
    return [_part(part, role) for part in content]


def _part(part: JSON, role: str) -> JSON:
    if part.get("type") == "image_url":
        image = part["image_url"]
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail", "auto")}
    if part.get("type") == "text":
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    if part.get("type") == "file":
        return {"type": "input_file", **part["file"]}
    return part


# ------------------------------------------------------------------------------------------------ from the wire


class _Part(Lenient):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    logprobs: list[dict[str, Any]] | None = None


class _Item(Lenient):
    type: str = ""
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None


class _Response(Lenient):
    id: Any = None
    model: Any = None
    status: str | None = None
    output: list[_Item] | None = None
    usage: Any = None
    incomplete_details: Any = None
    service_tier: Any = None
    error: Any = None


class _Event(Lenient):
    type: str = ""
    delta: Any = None
    logprobs: list[dict[str, Any]] | None = None
    item: _Item | None = None
    output_index: int | None = None
    sequence_number: Any = None
    response: _Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None


_whole = msgspec.json.Decoder(_Response)
_event = msgspec.json.Decoder(_Event)


def _usage(counted: Any, tier: Any, *, spoke: bool) -> Usage:
    named = word(tier)
    return Usage(
        prompt_tokens=count(nested(counted, "input_tokens"), least=1),
        completion_tokens=count(nested(counted, "output_tokens"), least=int(spoke)),
        cached_tokens=count(nested(counted, "input_tokens_details", "cached_tokens")),
        cache_write_tokens=count(nested(counted, "input_tokens_details", "cache_write_tokens")),
        reasoning_tokens=count(nested(counted, "output_tokens_details", "reasoning_tokens")),
        tier=None if named in ("default", "auto") else named,
    )


def _finish(response: _Response, *, calls: bool, refused: bool) -> FinishReason | None:
    if response.status == "completed":
        return "content_filter" if refused else "tool_calls" if calls else "stop"
    if response.status == "incomplete":
        reason = nested(response.incomplete_details, "reason")
        return "content_filter" if reason == "content_filter" else "length"
    return None


def from_wire(raw: bytes, *, provider: str) -> Reply:
    """Read a whole answer.

    Raises:
        ProviderError: If it holds none, or failed.
    """
    response = read(_whole, raw, provider=provider)
    if response.error:
        raise faults.from_object(provider, response.error)
    if response.output is None or response.status is None:
        raise faults.malformed(provider, "it holds no output")
    text, refusal = _words(response.output)
    text, mended = faults.repaired(text)
    calls = tuple(
        ToolCall(id=item.call_id or f"call_{n}", name=item.name or "", arguments=arguments(item.arguments))
        for n, item in enumerate(i for i in response.output if i.type == "function_call")
    )
    finish = _finish(response, calls=bool(calls), refused=bool(refusal))
    if finish is None:
        raise faults.malformed(provider, f"its status is {response.status!r}")
    if finish == "stop" and not text:
        raise faults.malformed(provider, "it says nothing and not why")
    thoughts = [part.text or "" for item in response.output if item.type == "reasoning" for part in item.summary or ()]
    return Reply(
        text=text or refusal,
        finish_reason=finish,
        usage=_usage(response.usage, response.service_tier, spoke=True),
        served_model=word(response.model),
        reasoning="\n\n".join(thoughts),
        tool_calls=calls,
        provider_id=word(response.id),
        logprobs=_logprobs([token for part in _parts_of(response.output) for token in _tokens(part.logprobs)]),
        repaired=mended,
    )


def _parts_of(output: list[_Item] | None) -> list[_Part]:
    return [part for item in output or () if item.type == "message" for part in item.content or ()]


def _tokens(found: list[JSON] | None) -> list[JSON]:
    """Log probabilities in the Chat Completions' shape; a stream's have no bytes."""

    def token(one: JSON) -> JSON:
        return {"token": one.get("token"), "bytes": one.get("bytes"), "logprob": one.get("logprob")}

    return [
        {**token(one), "top_logprobs": [token(other) for other in one.get("top_logprobs") or ()]} for one in found or ()
    ]


def _logprobs(tokens: list[JSON]) -> JSON | None:
    return {"content": tokens, "refusal": None} if tokens else None


def _words(output: list[_Item] | None) -> tuple[str, str]:
    """Answer text and refusal text of an output."""
    parts = _parts_of(output)
    text = "".join(part.text or "" for part in parts if part.type == "output_text")
    return text, "".join(part.refusal or "" for part in parts if part.type == "refusal")


class Fold:
    """A Responses stream, folded event by event; only its terminal event makes it an answer."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._text = Prose()
        self._refusal = Prose()
        self._reasoning = Prose()
        self._calls = Calls()
        self._logprobs: list[JSON] = []
        self._last: _Response | None = None
        self._before = b""
        self._ended = False

    def feed(self, event: Event) -> list[Delta]:
        """Take one event; return what of it is new to the reader."""
        data = event.data.strip()
        if not data or data == b"[DONE]":
            return []
        got = read(_event, data, provider=self._provider)
        repeated = got.sequence_number is not None and data == self._before
        self._before = data
        self._last = got.response or self._last
        return [] if repeated else self._heard(got)

    def _heard(self, got: _Event) -> list[Delta]:
        deltas: list[Delta] = []
        match got.type:
            case "response.output_text.delta" | "response.refusal.delta" if isinstance(got.delta, str):
                prose = self._text if got.type == "response.output_text.delta" else self._refusal
                tokens = _tokens(got.logprobs)
                self._logprobs += tokens
                if (text := prose.add(got.delta)) or tokens:
                    deltas.append(Delta(text=text, logprobs=tuple(tokens)))
            case "response.reasoning_summary_text.delta" if isinstance(got.delta, str):
                if text := self._reasoning.add(got.delta):
                    deltas.append(Delta(reasoning=text))
            case "response.output_item.added" if got.item is not None and got.item.type == "function_call":
                place = self._calls.place(got.output_index, got.item.call_id)
                self._calls.add(place, name=got.item.name)
                deltas.append(Delta(call_index=place, call_id=got.item.call_id, call_name=got.item.name))
            case "response.function_call_arguments.delta" if isinstance(got.delta, str):
                place = self._calls.place(got.output_index, None)
                self._calls.add(place, text=got.delta)
                deltas.append(Delta(call_index=place, arguments=got.delta))
            case "response.completed" | "response.incomplete":
                self._ended = True
                deltas = self._late(got.response)
            case "response.failed" | "error" | "":
                self._raise_if_failed(got)
        return deltas

    def _raise_if_failed(self, got: _Event) -> None:
        fault = got.error or (got.response is not None and got.response.error)
        if got.type == "error":
            fault = fault or {"code": got.code, "message": got.message}
        if fault or got.type:
            raise faults.from_object(self._provider, fault or {}, partial=self.partial())

    def _late(self, response: _Response | None) -> list[Delta]:
        """What came only in the final object: some gateways send no pieces of it."""
        output = response.output if response is not None else None
        deltas = []
        if not self._text and not self._refusal:
            text, refusal = _words(output)
            shown = self._text.add(text) + self._refusal.add(refusal)
            deltas = [Delta(text=shown)] if shown else []
        if not self._calls:
            for n, item in enumerate(i for i in output or () if i.type == "function_call"):
                text, place = arguments(item.arguments), self._calls.place(n, item.call_id)
                self._calls.add(place, name=item.name, text=text)
                deltas.append(Delta(call_index=place, call_id=item.call_id, call_name=item.name, arguments=text))
        return deltas

    def partial(self) -> Reply:
        """What there is so far."""
        return self._reply(None)

    def end(self) -> Reply:
        """Return the whole answer; ProviderError if the terminal event did not come."""
        finish = None
        if self._ended and self._last is not None:
            finish = _finish(self._last, calls=bool(self._calls), refused=bool(self._refusal))
        if finish is None:
            raise faults.truncated(self._provider, partial=self.partial())
        return self._reply(finish)

    def _reply(self, finish: FinishReason | None) -> Reply:
        last = self._last or _Response()
        spoke = bool(self._text or self._refusal or self._calls or self._reasoning)
        return Reply(
            text=str(self._text) or str(self._refusal),
            finish_reason=finish,
            usage=_usage(last.usage, last.service_tier, spoke=spoke),
            served_model=word(last.model),
            reasoning=str(self._reasoning),
            tool_calls=self._calls.done(),
            provider_id=word(last.id),
            logprobs=_logprobs(self._logprobs),
            repaired=self._text.repaired,
        )
