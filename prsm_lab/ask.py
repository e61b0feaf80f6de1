"""The keyword arguments of a question, written once, and how they become one frozen `Request`.

Every door (client, frames, server, magics) takes these names; what is wrong is said here, before anything is
planned or sent: which parameter, what was expected, and the nearest name that exists.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import msgspec

from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import JSON, CachePolicy, Message, Options, Request, Routing, Strategy

__all__ = ["Ask", "conversation", "messages", "question", "routing"]


class Ask(TypedDict, total=False):
    """Options of one question, as `create`, `infer`, `batch` and `compare` take them."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    stop: str | Sequence[str] | None
    seed: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    logit_bias: Mapping[str, float] | None
    tools: Sequence[JSON] | None
    tool_choice: str | JSON | None
    parallel_tool_calls: bool | None
    schema: Any
    user: str | None
    extra: Mapping[str, Any] | None
    provider: str | None
    fallback_providers: Sequence[str] | None
    fallback_config: Mapping[str, Any] | None
    cost_optimization: bool | Mapping[str, Any] | None
    latency_optimization: bool | None
    quality_threshold: float | None
    cache_config: bool | Mapping[str, Any] | None
    on_unsupported: Literal["refuse", "drop"]
    timeout: float | None


_NAMES = frozenset(Ask.__annotations__)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def question(model: str, *, defaults: Routing | None = None, deadline: float | None = None, **ask: Any) -> Request:
    """Check the options and build a `Request` that lacks only its messages.

    Args:
        model: Name of the model, or an alias, or `provider/model`.
        defaults: Routing of the client (`configure_providers`), for what the options leave open.
        deadline: Total deadline in seconds where the options name none in `timeout`.
        **ask: Options as in `Ask`.

    Raises:
        InvalidRequestError: Naming the parameter, with `details["parameter"]` and `["expected_type"]`.

    >>> question("gpt-4", temperature=0).options.temperature
    0.0
    """
    if not isinstance(model, str) or not model.strip():
        raise _wrong("model", "string", model)
    for name in ask:
        if name not in _NAMES:
            raise unknown_option(name, _NAMES)
    timeout = _number(ask.get("timeout"), "timeout", low=0, open_low=True)
    return Request(
        model=model.strip(),
        messages=(),
        options=_options(ask),
        routing=_routing(ask, defaults or Routing()),
        cache=_cache(ask.get("cache_config")),
        timeout=deadline if timeout is None else timeout,
    )


def unknown_option(name: str, known: Iterable[str]) -> InvalidRequestError:
    """Say that an option does not exist, and which one was probably meant."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " Provider-specific options go into extra={…}."
    return InvalidRequestError(f"Unknown option {name!r}.{hint}", details={"parameter": name})


def messages(given: object) -> tuple[Message, ...]:
    """Check messages and freeze them; a plain string is one user message.

    Raises:
        InvalidRequestError: If there are none, a role is unknown or out of order, or a content is missing.

    >>> messages("hi")
    ({'role': 'user', 'content': 'hi'},)
    """
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, Sequence) or not given:
        raise _wrong("messages", "non-empty list of messages", given)
    open_calls: set[str] = set()
    checked = []
    for position, message in enumerate(given):
        if not isinstance(message, Mapping):
            raise _wrong(f"messages[{position}]", "object with role and content", message)
        _check_message(message, position, open_calls)
        checked.append(dict(message))
    if all(message["role"] in ("system", "developer") for message in checked):
        raise _wrong("messages", "at least one user message", None, "there are only system messages")
    return tuple(checked)


def _check_message(message: Mapping[str, Any], position: int, open_calls: set[str]) -> None:
    where = f"messages[{position}]"
    role = message.get("role")
    if role not in _ROLES:
        raise _wrong(f"{where}.role", "one of " + ", ".join(sorted(_ROLES)), role)
    calls = message.get("tool_calls") or ()
    content = message.get("content")
    if content is None and not (role == "assistant" and calls):
        raise _wrong(f"{where}.content", "text or list of parts", content)
    if content is not None and not isinstance(content, (str, list, tuple)):
        raise _wrong(f"{where}.content", "text or list of parts", content)
    if role == "user" and isinstance(content, str) and not content.strip():
        raise _wrong(f"{where}.content", "text", None, "the user message is empty")
    if role == "tool":
        call = message.get("tool_call_id")
        if call not in open_calls:
            raise _wrong(
                f"{where}.tool_call_id", "id of an unanswered tool call before it", call, "no such call is open"
            )
        open_calls.discard(call)
    elif open_calls:
        missing = ", ".join(sorted(open_calls))
        raise _wrong(where, "tool message", role, f"tool calls {missing} have no answer yet")
    open_calls.update(call["id"] for call in calls if isinstance(call, Mapping) and "id" in call)


def conversation(template: Request, given: object, *, system: str | None = None) -> Request:
    """Fill a question's messages in; `system` goes in front."""
    body = messages(given)
    if system is not None:
        body = ({"role": "system", "content": system}, *body)
    return msgspec.structs.replace(template, messages=body)


def routing(preferences: Mapping[str, Any]) -> Routing:
    """Read the seed's `configure_providers` mapping.

    >>> routing({"primary": "openai", "fallback": ["anthropic"], "quality_threshold": 0.85}).quality_threshold
    0.85
    """
    known = ("primary", "fallback", "cost_optimization", "latency_optimization", "quality_threshold")
    for name in preferences:
        if name not in known:
            raise unknown_option(name, known)
    primary = preferences.get("primary")
    return Routing(
        provider=None,
        primary=None if primary is None else str(primary),
        fallback=tuple(Strategy(provider=name) for name in _names(preferences.get("fallback"), "fallback")),
        cost_optimization=_flag(preferences.get("cost_optimization", False), "cost_optimization"),
        latency_optimization=_flag(preferences.get("latency_optimization", False), "latency_optimization"),
        quality_threshold=_number(preferences.get("quality_threshold"), "quality_threshold", low=0, high=1),
    )


# ------------------------------------------------------------------------------------------- one group each


def _options(ask: Mapping[str, Any]) -> Options:
    schema, schema_name = _schema(ask.get("schema"))
    extra = ask.get("extra")
    return Options(
        max_tokens=_whole(ask.get("max_tokens"), "max_tokens", low=1),
        temperature=_number(ask.get("temperature"), "temperature", low=0, high=2),
        top_p=_number(ask.get("top_p"), "top_p", low=0, high=1, open_low=True),
        stop=_names(ask.get("stop"), "stop"),
        seed=_whole(ask.get("seed"), "seed"),
        frequency_penalty=_number(ask.get("frequency_penalty"), "frequency_penalty", low=-2, high=2),
        presence_penalty=_number(ask.get("presence_penalty"), "presence_penalty", low=-2, high=2),
        logit_bias=None if ask.get("logit_bias") is None else dict(_mapping(ask["logit_bias"], "logit_bias")),
        tools=tuple(_tool(tool, position) for position, tool in enumerate(_sequence(ask.get("tools"), "tools"))),
        tool_choice=_tool_choice(ask),
        parallel_tool_calls=None
        if ask.get("parallel_tool_calls") is None
        else _flag(ask["parallel_tool_calls"], "parallel_tool_calls"),
        schema=schema,
        schema_name=schema_name,
        user=ask.get("user"),
        extra=None if extra is None else dict(_mapping(extra, "extra")),
    )


def _routing(ask: Mapping[str, Any], defaults: Routing) -> Routing:
    config = _mapping(ask.get("fallback_config") or {}, "fallback_config")
    for name in config:
        if name not in (allowed := ("strategies", "retry_attempts", "backoff_multiplier", "mid_stream")):
            raise unknown_option(f"fallback_config.{name}", [f"fallback_config.{known}" for known in allowed])
    fallback = _fallback(ask, config)
    saving = ask.get("cost_optimization")
    saving = {"enabled": saving} if isinstance(saving, bool) else _mapping(saving or {}, "cost_optimization")
    for name in saving:
        if name not in (allowed := ("enabled", "max_cost", "prefer_cheaper", "quality_threshold")):
            raise unknown_option(f"cost_optimization.{name}", [f"cost_optimization.{known}" for known in allowed])
    enabled = bool(saving.get("enabled", bool(saving) or defaults.cost_optimization))
    fast = ask.get("latency_optimization")
    threshold = saving.get("quality_threshold", ask.get("quality_threshold"))
    mid_stream = config.get("mid_stream", "stop")
    if mid_stream not in ("stop", "restart"):
        raise _wrong("fallback_config.mid_stream", "'stop' or 'restart'", mid_stream)
    if ask.get("on_unsupported", "refuse") not in ("refuse", "drop"):
        raise _wrong("on_unsupported", "'refuse' or 'drop'", ask["on_unsupported"])
    return Routing(
        provider=ask.get("provider"),
        primary=defaults.primary,
        fallback=defaults.fallback if fallback is None else fallback,
        retry_attempts=_whole(config.get("retry_attempts"), "fallback_config.retry_attempts", low=0),
        backoff_multiplier=_number(config.get("backoff_multiplier"), "fallback_config.backoff_multiplier", low=1)
        or 2.0,
        mid_stream=mid_stream,
        cost_optimization=enabled and bool(saving.get("prefer_cheaper", True)),
        latency_optimization=defaults.latency_optimization if fast is None else _flag(fast, "latency_optimization"),
        max_cost=_number(saving.get("max_cost"), "cost_optimization.max_cost", low=0) if enabled else None,
        quality_threshold=defaults.quality_threshold
        if threshold is None
        else _number(threshold, "quality_threshold", low=0, high=1),
        on_unsupported=ask.get("on_unsupported", "refuse"),
    )


def _fallback(ask: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Strategy, ...] | None:
    providers, strategies = ask.get("fallback_providers"), config.get("strategies")
    if providers is not None and strategies is not None:
        raise InvalidRequestError(
            "fallback_providers and fallback_config['strategies'] contradict each other: give one of them.",
            details={"parameter": "fallback_config.strategies"},
        )
    if strategies is not None:
        steps = _sequence(strategies, "fallback_config.strategies")
        return tuple(_strategy(step, position) for position, step in enumerate(steps))
    return None if providers is None else tuple(Strategy(provider=n) for n in _names(providers, "fallback_providers"))


def _strategy(step: object, position: int) -> Strategy:
    where = f"fallback_config.strategies[{position}]"
    fields = _mapping(step, where)
    for name in fields:
        if name not in ("provider", "model", "timeout"):
            raise unknown_option(f"{where}.{name}", [f"{where}.{known}" for known in ("provider", "model", "timeout")])
    if not fields.get("provider") and not fields.get("model"):
        raise _wrong(where, "provider or model", None, "it names neither a provider nor a model")
    milliseconds = _number(fields.get("timeout"), f"{where}.timeout", low=0, open_low=True)
    return Strategy(
        provider=fields.get("provider"),
        model=fields.get("model"),
        timeout=None if milliseconds is None else milliseconds / 1000,
    )


def _cache(config: bool | Mapping[str, Any] | None) -> CachePolicy | None:
    if config is None or isinstance(config, bool):
        return CachePolicy() if config else None
    for name in _mapping(config, "cache_config"):
        if name not in (allowed := ("enabled", "ttl", "key_strategy", "similarity_threshold")):
            raise unknown_option(f"cache_config.{name}", [f"cache_config.{known}" for known in allowed])
    if not config.get("enabled", True):
        return None
    strategy = config.get("key_strategy", "exact")
    if strategy not in (known := ("exact", "normalized", "semantic_similarity")):
        raise _wrong("cache_config.key_strategy", "one of " + ", ".join(known), strategy)
    threshold = _number(config.get("similarity_threshold", 0.95), "cache_config.similarity_threshold", low=0, high=1)
    return CachePolicy(
        ttl=_number(config.get("ttl"), "cache_config.ttl", low=0),
        key_strategy=strategy,
        similarity_threshold=0.95 if threshold is None else threshold,
    )


def _schema(schema: Any) -> tuple[JSON | None, str | None]:
    """A pydantic model or a JSON schema becomes a JSON schema and a name for it."""
    if schema is None:
        return None, None
    as_json_schema = getattr(schema, "model_json_schema", None)
    if isinstance(schema, type) and as_json_schema is not None:
        return as_json_schema(), schema.__name__
    fields = dict(_mapping(schema, "schema"))
    return fields, str(fields.get("title", "answer"))


def _tool(tool: object, position: int) -> JSON:
    fields = dict(_mapping(tool, f"tools[{position}]"))
    function = fields.get("function")
    if fields.get("type") != "function" or not isinstance(function, Mapping) or not function.get("name"):
        raise _wrong(f"tools[{position}]", '{"type": "function", "function": {"name": …, "parameters": …}}', tool)
    return fields


def _tool_choice(ask: Mapping[str, Any]) -> str | JSON | None:
    choice: str | JSON | None = ask.get("tool_choice")
    if choice is None:
        return None
    if not ask.get("tools"):
        raise _wrong("tool_choice", "tools to choose from", choice, "no tools are given")
    if not isinstance(choice, (str, Mapping)) or (
        isinstance(choice, str) and choice not in ("auto", "none", "required")
    ):
        raise _wrong("tool_choice", "auto, none, required or a named function", choice)
    return choice


# ------------------------------------------------------------------------------------------- single values


def _wrong(parameter: str, expected: str, got: object, why: str | None = None) -> InvalidRequestError:
    if got is None and why is None:
        message = f"Missing required parameter: {parameter}"
    else:
        shown = why or f"got {type(got).__name__} {str(got)[:60]!r}"
        message = f"Invalid {parameter}: expected {expected}, but {shown}."
    return InvalidRequestError(message, details={"parameter": parameter, "expected_type": expected})


def _number(
    value: Any, name: str, *, low: float = -math.inf, high: float = math.inf, open_low: bool = False
) -> float | None:
    if value is None:
        return None
    expected = "number" if high == math.inf else f"number from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        as_float = getattr(value, "__float__", None)  # numpy scalars from a grid or a frame
        if isinstance(value, (bool, str)) or as_float is None:
            raise _wrong(name, expected, value)
        value = float(value)
    if math.isnan(value) or not low <= value <= high or (open_low and value == low):
        raise _wrong(name, expected, value, f"it is {value!r}")
    return float(value)


def _whole(value: Any, name: str, *, low: int | None = None) -> int | None:
    if value is None:
        return None
    whole = getattr(value, "__index__", None)
    if isinstance(value, bool) or whole is None:
        raise _wrong(name, "integer", value)
    if low is not None and whole() < low:
        raise _wrong(name, f"integer of at least {low}", value, f"it is {value!r}")
    return int(whole())


def _names(value: Any, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(item, str) and item for item in values):
        raise _wrong(name, "string or list of strings", value)
    return tuple(values)


def _sequence(value: Any, name: str) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _wrong(name, "list", value)
    return value


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "True or False", value)
    return value


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(name, "object", value)
    return value
