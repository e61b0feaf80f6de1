"""OpenAI's Chat Completions, and everybody who speaks it: requests to the wire, answers from it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from prsm_lab.providers import faults, fit
from prsm_lab.providers.reading import Calls, Lenient, Prose, arguments, count, nested, read, word
from prsm_lab.types import Delta, FinishReason, Reply, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.errors import PRSMError
    from prsm_lab.providers.sse import Event
    from prsm_lab.types import JSON, Message, Request, Target

Dialect = Literal["openai", "compatible"]
PATH: Final = "/chat/completions"

FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop", "eos_token": "stop", "eos": "stop", "stop_sequence": "stop", "end_turn": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length",
    "tool_calls": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter",
}  # fmt: skip


# -------------------------------------------------------------------------------------------------- to the wire


def to_wire(
    request: Request, target: Target, *, live: bool, dialect: Dialect, unknown: Sequence[str] = ()
) -> tuple[JSON, tuple[str, ...]]:
    """Return the request's body, and the names of options that were left out on request.

    Args:
        request: What is asked.
        target: Which model.
        live: Ask for a stream.
        dialect: `openai` for OpenAI itself; `compatible` sends only what all such servers know.
        unknown: Options that this server does not know.

    Raises:
        InvalidRequestError: If the model does not take an option.
    """
    official = dialect == "openai"
    no_effort = official and (target.capabilities.reasoning == "none" or fit.effort_of(request.options) == "max")
    never = {*unknown, "linked documents", *(["effort"] if no_effort else []), *([] if official else ["documents"])}
    options, dropped = fit.fitted(request, target, never=frozenset(never))
    body: JSON = {"model": target.model, "messages": [_message(m, official) for m in request.messages]}
    if options.max_tokens is not None:
        body["max_completion_tokens" if official else "max_tokens"] = options.max_tokens
    for name in (*fit.SAMPLING, "seed", "logit_bias"):
        if (value := getattr(options, name)) is not None:
            body[name] = value
    if options.stop:
        body["stop"] = list(options.stop)
    if options.tools:
        body["tools"] = list(options.tools)
    if options.tool_choice is not None:
        body["tool_choice"] = options.tool_choice
    if options.parallel_tool_calls is not None and options.tools:
        body["parallel_tool_calls"] = options.parallel_tool_calls
    if options.schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": fit.named_schema(options)}
    if (effort := fit.effort_of(options)) is not None:
        body["reasoning_effort"] = effort
    if options.user is not None:
        body["safety_identifier" if official else "user"] = options.user
    if live:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return fit.with_extra(body, options.extra), dropped


def _message(message: Message, official: bool) -> Message:
    """Compatible servers know no `developer`; nobody wants its own reasoning text back (DeepSeek answers 400)."""
    if not official and message.get("role") == "developer":
        message = {**message, "role": "system"}
    if "reasoning_content" in message or "reasoning" in message:
        message = {k: v for k, v in message.items() if k not in ("reasoning_content", "reasoning")}
    return message


# ------------------------------------------------------------------------------------------------ from the wire


class _Function(Lenient):
    name: str | None = None
    arguments: Any = None


class _Call(Lenient):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(Lenient):
    """A message, or a piece of one."""

    content: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Lenient):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: Any = None
    logprobs: dict[str, Any] | None = None


class _Answer(Lenient):
    id: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    service_tier: Any = None
    error: Any = None
    object: Any = None
    message: Any = None
    code: Any = None


_decoder = msgspec.json.Decoder(_Answer)


def usage_of(counted: Any, tier: Any, *, spoke: bool = True) -> Usage:
    """Tokens in neutral names; what the server did not say, or cannot mean, stays None.

    Args:
        counted: The `usage` object.
        tier: The service tier that was used.
        spoke: Something was answered, so that no count of it can be 0.
    """
    charged = nested(counted, "cost")
    return Usage(
        prompt_tokens=count(nested(counted, "prompt_tokens"), least=1),
        completion_tokens=count(nested(counted, "completion_tokens"), least=int(spoke)),
        cached_tokens=count(nested(counted, "prompt_tokens_details", "cached_tokens")),
        cache_write_tokens=count(nested(counted, "prompt_tokens_details", "cache_write_tokens")),
        reasoning_tokens=count(nested(counted, "completion_tokens_details", "reasoning_tokens")),
        tier=_tier(word(tier)),
        charged=float(charged) if isinstance(charged, (int, float)) and charged >= 0 else None,
    )


def _tier(tier: str | None) -> str | None:
    """The default tier is none worth naming."""
    return None if tier in (None, "default", "auto", "standard") else tier


def fault_of(provider: str, answer: _Answer) -> PRSMError | None:
    """The error that came as a 200: an object, a text, vLLM's flat form, OpenRouter's with a status in it."""
    error: Any = answer.error
    if not error and answer.object == "error":
        error = {"message": answer.message, "code": answer.code}
    if not error:
        return None
    status = nested(error, "code")
    if isinstance(status, int) and 400 <= status < 600:
        return faults.from_status(provider, status, {}, {"error": error})
    return faults.from_object(provider, error)


def from_wire(raw: bytes, *, provider: str) -> Reply:
    """Read a whole answer.

    Raises:
        ProviderError: If it holds none: no JSON, an error object, no choices, nothing said and no reason why.
    """
    answer = read(_decoder, raw, provider=provider)
    if (fault := fault_of(provider, answer)) is not None:
        raise fault
    if not answer.choices or answer.choices[0].message is None:
        raise faults.malformed(provider, "it holds no choices")
    choice = answer.choices[0]
    said = choice.message
    assert said is not None
    calls = tuple(_whole_call(call, n) for n, call in enumerate(said.tool_calls or ()) if call.function)
    text, mended = (None, False) if said.content is None else faults.repaired(_text(said.content))
    refused, _ = faults.repaired(said.refusal or "")
    ended = word(choice.finish_reason)
    finish = finish_of(ended, calls=bool(calls), refused=bool(refused))
    if finish is None and ended is None and (text or calls or refused):
        finish = finish_of("stop", calls=bool(calls), refused=bool(refused))  # Ollama sends null on complete answers
    if finish is None or (finish == "stop" and text is None):
        raise faults.malformed(provider, "it says nothing and not why")
    return Reply(
        text=text or refused or text,
        finish_reason=finish,
        usage=usage_of(answer.usage, answer.service_tier, spoke=bool(text or calls or refused)),
        served_model=word(answer.model),
        reasoning=faults.repaired(said.reasoning_content or said.reasoning or "")[0],
        tool_calls=calls,
        provider_id=word(answer.id),
        raw_finish=None if ended in FINISH else ended,
        logprobs=choice.logprobs,
        repaired=mended,
    )


def _whole_call(call: _Call, n: int) -> ToolCall:
    function = call.function or _Function()
    return ToolCall(id=call.id or f"call_{n}", name=function.name or "", arguments=arguments(function.arguments))


def _text(content: Any) -> str:
    """Some servers answer in parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else str(content)


def finish_of(said: str | None, *, calls: bool, refused: bool) -> FinishReason | None:
    """Normalise by content: calls mean `tool_calls`, a refusal `content_filter`; None where nothing ended it."""
    finish = None if said is None else FINISH.get(said)
    if finish is not None and refused:
        return "content_filter"
    return "tool_calls" if calls and finish == "stop" else finish


class Fold:
    """A chat stream, folded event by event.

    Args:
        provider: For messages of faults.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._text = Prose()
        self._refusal = Prose()
        self._reasoning = Prose()
        self._calls = Calls()
        self._finish: str | None = None
        self._usage: Any = None
        self._tier: Any = None
        self._model: str | None = None
        self._id: str | None = None
        self._logprobs: list[JSON] = []

    def feed(self, event: Event) -> list[Delta]:
        """Take one event; return what of it is new to the reader."""
        data = event.data.strip()
        if not data or data == b"[DONE]":
            return []
        if event.name == b"error" and data[:1] != b"{":
            raise faults.from_object(self._provider, data.decode("utf-8", "replace"))
        chunk = read(_decoder, data, provider=self._provider)
        if (fault := fault_of(self._provider, chunk)) is not None:
            raise fault
        if event.name == b"error":
            raise faults.from_object(self._provider, data.decode("utf-8", "replace"))
        self._usage = chunk.usage or self._usage
        self._tier = chunk.service_tier or self._tier
        self._model = word(chunk.model) or self._model
        self._id = word(chunk.id) or self._id
        deltas: list[Delta] = []
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._finish = word(choice.finish_reason) or self._finish
                said = [] if choice.delta is None else self._said(choice.delta)
                deltas += self._with_logprobs(said, nested(choice.logprobs, "content"))
        return deltas

    def _with_logprobs(self, deltas: list[Delta], tokens: Any) -> list[Delta]:
        """Put the tokens' log probabilities on the piece that they came with."""
        if not isinstance(tokens, list) or not tokens:
            return deltas
        self._logprobs += tokens
        first, *rest = deltas or [Delta()]
        return [msgspec.structs.replace(first, logprobs=tuple(tokens)), *rest]

    def _said(self, said: _Said) -> list[Delta]:
        deltas = []
        if thought := self._reasoning.add(said.reasoning_content or said.reasoning or ""):
            deltas.append(Delta(reasoning=thought))
        if said.content and (text := self._text.add(_text(said.content))):
            deltas.append(Delta(text=text))
        if said.refusal and (text := self._refusal.add(said.refusal)):
            deltas.append(Delta(text=text))
        for call in said.tool_calls or ():
            function = call.function or _Function()
            place = self._calls.place(call.index, call.id, function.name)
            piece = function.arguments if isinstance(function.arguments, str) else ""
            self._calls.add(place, name=function.name, text=piece, id=call.id)
            deltas.append(Delta(call_index=place, call_id=call.id, call_name=function.name, arguments=piece))
        return deltas

    def partial(self) -> Reply:
        """What there is so far."""
        return self._reply(None)

    def end(self) -> Reply:
        """Return the whole answer.

        Raises:
            ProviderError: If the stream ended without a finish reason.
        """
        finish = finish_of(self._finish, calls=bool(self._calls), refused=bool(self._refusal))
        if finish is None:
            raise faults.truncated(self._provider, partial=self.partial())
        return self._reply(finish)

    def _reply(self, finish: FinishReason | None) -> Reply:
        spoke = bool(self._text or self._refusal or self._calls or self._reasoning)
        return Reply(
            text=str(self._text) or str(self._refusal),
            finish_reason=finish,
            usage=usage_of(self._usage, self._tier, spoke=spoke),
            served_model=self._model,
            reasoning=str(self._reasoning),
            tool_calls=self._calls.done(),
            provider_id=self._id,
            raw_finish=None if self._finish in FINISH else self._finish,
            logprobs={"content": self._logprobs, "refusal": None} if self._logprobs else None,
            repaired=self._text.repaired,
        )
