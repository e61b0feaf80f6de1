"""Anthropic's Messages: requests to the wire, answers from it. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab.errors import InvalidRequestError
from prsm_lab.providers import faults, fit
from prsm_lab.providers.message_parts import has_document, part_of
from prsm_lab.providers.reading import Calls, Lenient, Prose, count, nested, read, word
from prsm_lab.types import Delta, FinishReason, Reply, ToolCall, Usage

if TYPE_CHECKING:
    from prsm_lab.providers.sse import Event
    from prsm_lab.types import JSON, Message, Options, Request, Target

PATH: Final = "/v1/messages"
NEVER: Final = frozenset({"seed", "logit_bias", "frequency_penalty", "presence_penalty", "logprobs"})
DEFAULT_MAX_TOKENS: Final = 8192
FINISH: Final[dict[str, FinishReason]] = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop",
    "max_tokens": "length", "model_context_window_exceeded": "length",
    "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip


# -------------------------------------------------------------------------------------------------- to the wire


def to_wire(request: Request, target: Target, *, live: bool) -> tuple[JSON, dict[str, str], tuple[str, ...]]:
    """Return body, extra headers, and the names of options that were left out on request.

    Raises:
        InvalidRequestError: If the model does not take an option, or the order of messages.
    """
    options, dropped = fit.fitted(request, target, never=NEVER)
    system, rest = _split(request.messages)
    if any(has_document(message) for message in request.messages if message["role"] != "user"):
        raise _refused("messages: a document that is not the user's", target, "it reads those of user messages only")
    messages = _turns(rest, target)
    if request.warm:
        _mark(system, messages)
    limit = options.max_tokens or target.capabilities.default_max_tokens or DEFAULT_MAX_TOKENS
    body: JSON = {"model": target.model, "max_tokens": limit}
    if system:
        body["system"] = system
    body["messages"] = messages
    if options.stop:
        body["stop_sequences"] = [stop for stop in options.stop if stop.strip()]
    _add_tools(body, options)
    output: JSON = {}
    if options.schema is not None:
        output["format"] = {"type": "json_schema", "schema": fit.closed(options.schema)}
    if (effort := fit.effort_of(options)) is not None:
        output["effort"] = effort
    if output:
        body["output_config"] = output
    if options.user is not None:
        body["metadata"] = {"user_id": options.user}
    headers: dict[str, str] = {}
    sampling = {name: value for name in ("temperature", "top_p") if (value := getattr(options, name)) is not None}
    if sampling:
        body.update(sampling)
        if target.capabilities.api_version:
            headers["anthropic-version"] = target.capabilities.api_version
    if live:
        body["stream"] = True
    return fit.with_extra(body, options.extra), headers, dropped


def _add_tools(body: JSON, options: Options) -> None:
    if not options.tools:
        return
    body["tools"] = [_tool(tool["function"]) for tool in options.tools]
    choice: JSON = {"type": "auto"}
    if isinstance(options.tool_choice, dict):
        choice = {"type": "tool", "name": options.tool_choice["function"]["name"]}
    elif options.tool_choice is not None:
        choice = {"type": {"required": "any"}.get(options.tool_choice, options.tool_choice)}
    if options.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    if options.tool_choice is not None or len(choice) > 1:
        body["tool_choice"] = choice


def _tool(function: JSON) -> JSON:
    tool = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description"):
        tool["description"] = function["description"]
    if function.get("strict"):
        tool["strict"] = True
    return tool


def _split(messages: tuple[Message, ...]) -> tuple[list[JSON], list[Message]]:
    """Leading system messages, one block each: joining them would break cache breakpoints."""
    system: list[JSON] = []
    for position, message in enumerate(messages):
        if message["role"] not in ("system", "developer"):
            return system, list(messages[position:])
        system += _blocks(message.get("content"))
    return system, []


def _turns(messages: list[Message], target: Target) -> list[JSON]:
    """Merge what belongs to one turn: same roles, all tool results, and a late system note with the next user."""
    turns: list[JSON] = []
    for message in messages:
        role, blocks = _turn(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] = _as_blocks(turns[-1]["content"]) + _as_blocks(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    for turn in turns:
        if isinstance(turn["content"], list):  # the API wants results before any other block
            turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    if turns and turns[0]["role"] == "assistant":
        raise _refused("messages: begins with assistant", target, "the first message must be the user's")
    if turns and turns[-1]["role"] == "assistant" and not target.capabilities.prefill:
        raise _refused("messages: ends with assistant", target, "it cannot go on from a begun answer")
    return turns


def _mark(system: list[JSON], turns: list[JSON]) -> None:
    """Let the prompt cache keep all that comes before the last turn, unless the caller marks blocks himself."""
    blocks = [*system]
    for turn in turns[:-1]:
        turn["content"] = _as_blocks(turn["content"])
        blocks += turn["content"]
    if blocks and not any("cache_control" in block for block in blocks):
        blocks[-1]["cache_control"] = {"type": "ephemeral"}


def _refused(what: str, target: Target, why: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{target.name} ({target.provider}): {what}; {why}.",
        provider=target.provider,
        details={"parameter": "messages", "parameters": [what]},
    )


def _turn(message: Message) -> tuple[str, Any]:
    role, content = message["role"], message.get("content")
    if role in ("system", "developer"):
        return "user", [{"type": "text", "text": f"<system>{_plain(content)}</system>"}]
    if role == "tool":
        result: JSON = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": _plain(content)}
        if message.get("is_error"):
            result["is_error"] = True
        return "user", [result]
    calls = message.get("tool_calls") or ()
    if calls:
        thoughts = list(message.get("thinking_blocks") or ())
        return "assistant", [*thoughts, *_blocks(content), *(_call(call) for call in calls)]
    return role, content if isinstance(content, str) else _blocks(content)


def _as_blocks(content: Any) -> list[JSON]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _blocks(content: Any) -> list[JSON]:
    """Text or parts as blocks; empty text blocks are refused by the API and mean nothing."""
    if content in (None, ""):
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for part in content if (block := part_of(part)) != {"type": "text", "text": ""}]


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _call(call: JSON) -> JSON:
    text = call["function"].get("arguments") or "{}"
    try:
        given = json.loads(text)
    except ValueError:
        raise InvalidRequestError(
            f"The arguments of tool call {call['id']!r} are no JSON; they are not sent on as something else.",
            details={"parameter": "messages.tool_calls.arguments"},
        ) from None
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given}


# ------------------------------------------------------------------------------------------------ from the wire


class _Block(Lenient):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None


class _Message(Lenient):
    id: Any = None
    model: Any = None
    content: list[_Block] | None = None
    stop_reason: Any = None
    usage: Any = None
    type: str | None = None
    error: Any = None


class _Piece(Lenient):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Event(Lenient):
    type: str = ""
    index: int | None = None
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Piece | None = None
    usage: Any = None
    error: Any = None


_whole = msgspec.json.Decoder(_Message)
_event = msgspec.json.Decoder(_Event)


def _usage(counted: Any, *, ended: bool) -> Usage:
    """Input excludes cache reads and writes on this wire; the neutral prompt count includes them."""
    fresh = count(nested(counted, "input_tokens"))
    read_in = count(nested(counted, "cache_read_input_tokens"))
    written = count(nested(counted, "cache_creation_input_tokens"))
    tier, speed = word(nested(counted, "service_tier")), word(nested(counted, "speed"))
    return Usage(
        prompt_tokens=None if fresh is None else fresh + (read_in or 0) + (written or 0) or None,
        completion_tokens=count(nested(counted, "output_tokens")) if ended else None,
        cached_tokens=read_in,
        cache_write_tokens=written,
        cache_write_1h_tokens=count(nested(counted, "cache_creation", "ephemeral_1h_input_tokens")),
        reasoning_tokens=count(nested(counted, "output_tokens_details", "thinking_tokens")),
        tier=speed if speed not in (None, "standard") else None if tier == "standard" else tier,
    )


def from_wire(raw: bytes, *, provider: str) -> Reply:
    """Read a whole answer.

    Raises:
        ProviderError: If it holds none.
    """
    message = read(_whole, raw, provider=provider)
    if message.error:
        raise faults.from_object(provider, message.error)
    if message.content is None or message.type not in (None, "message"):
        raise faults.malformed(provider, "it holds no content")
    text, mended = faults.repaired("".join(b.text or "" for b in message.content if b.type == "text"))
    calls = tuple(
        ToolCall(id=b.id or f"call_{n}", name=b.name or "", arguments=json.dumps(b.input or {}))
        for n, b in enumerate(block for block in message.content if block.type == "tool_use")
    )
    finish = FINISH.get(word(message.stop_reason) or "")
    if finish is None and (text or calls) and message.stop_reason is not None:
        finish = "tool_calls" if calls else "stop"  # a stop reason newer than this code ends a whole answer too
    if finish is None or (finish == "stop" and not text and not calls):
        raise faults.malformed(provider, "it says nothing and not why")
    return Reply(
        text=text,
        finish_reason=finish,
        usage=_usage(message.usage, ended=True),
        served_model=word(message.model),
        reasoning="".join(b.thinking or "" for b in message.content if b.type == "thinking"),
        tool_calls=calls,
        provider_id=word(message.id),
        raw_finish=message.stop_reason if message.stop_reason not in FINISH else None,
        repaired=mended,
    )


class Fold:
    """A Messages stream, folded event by event; a stop reason makes it an answer."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._text = Prose()
        self._thinking = Prose()
        self._calls = Calls()
        self._message = _Message()
        self._usage: Any = None
        self._stop: str | None = None

    def feed(self, event: Event) -> list[Delta]:
        """Take one event; return what of it is new to the reader."""
        got = read(_event, event.data, provider=self._provider)
        match got.type:
            case "message_start" if got.message is not None:
                self._message, self._usage = got.message, got.message.usage
            case "content_block_start" if got.content_block is not None and got.content_block.type == "tool_use":
                place = self._calls.place(got.index, got.content_block.id)
                self._calls.add(place, name=got.content_block.name)
                return [Delta(call_index=place, call_id=got.content_block.id, call_name=got.content_block.name)]
            case "content_block_delta" if got.delta is not None:
                return self._piece(got.delta, got.index)
            case "message_delta":
                self._stop = (got.delta and got.delta.stop_reason) or self._stop
                self._usage = _later(self._usage, got.usage)
            case "error":
                raise faults.from_object(self._provider, got.error or {}, partial=self.partial())
            case "" if got.error:
                raise faults.from_object(self._provider, got.error, partial=self.partial())
        return []

    def _piece(self, piece: _Piece, index: int | None) -> list[Delta]:
        if piece.type == "text_delta" and piece.text:
            shown = self._text.add(piece.text)
            return [Delta(text=shown)] if shown else []
        if piece.type == "thinking_delta" and piece.thinking:
            thought = self._thinking.add(piece.thinking)
            return [Delta(reasoning=thought)] if thought else []
        if piece.type == "input_json_delta" and piece.partial_json:
            place = self._calls.place(index, None)
            self._calls.add(place, text=piece.partial_json)
            return [Delta(call_index=place, arguments=piece.partial_json)]
        return []

    def partial(self) -> Reply:
        """What there is so far; the output count of `message_start` is a placeholder and counts for nothing."""
        return self._reply(None)

    def end(self) -> Reply:
        """Return the whole answer; ProviderError if no stop reason came."""
        if self._stop is None:
            raise faults.truncated(self._provider, partial=self.partial())
        return self._reply(FINISH.get(self._stop, "tool_calls" if self._calls else "stop"))

    def _reply(self, finish: FinishReason | None) -> Reply:
        return Reply(
            text=str(self._text),
            finish_reason=finish,
            usage=_usage(self._usage, ended=self._stop is not None),
            served_model=word(self._message.model),
            reasoning=str(self._thinking),
            tool_calls=self._calls.done(),
            provider_id=word(self._message.id),
            raw_finish=self._stop if self._stop not in FINISH else None,
            repaired=self._text.repaired,
        )


def _later(before: Any, now: Any) -> Any:
    """Counts of `message_delta` are cumulative: they replace, they are never added."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return now or before
    return {**before, **{name: value for name, value in now.items() if value is not None}}
