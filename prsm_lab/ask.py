"""The keyword arguments of a question, written once, and how they become one frozen `Request`.

Every door (client, frames, server, magics) takes these names; what is wrong is said here, before anything is
planned or sent: which parameter, what was expected, and the nearest name that exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import msgspec

from prsm_lab import caching, checks
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import JSON, Message, Options, Request, Routing, Strategy

__all__ = ["Ask", "conversation", "messages", "question", "routing", "task"]


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
    task: str | None
    cache_config: bool | Mapping[str, Any] | None
    on_unsupported: Literal["refuse", "drop"]
    timeout: float | None


LONGEST_TASK = 100
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
        raise checks.wrong("model", "string", model)
    for name in ask:
        if name not in _NAMES:
            raise checks.unknown_option(name, _NAMES)
    timeout = checks.number(ask.get("timeout"), "timeout", low=0, open_low=True)
    return Request(
        model=model.strip(),
        messages=(),
        options=_options(ask),
        routing=_routing(ask, defaults or Routing()),
        cache=caching.own(caching.policy(ask.get("cache_config")), ask.get("temperature")),
        timeout=deadline if timeout is None else timeout,
    )


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
        raise checks.wrong("messages", "non-empty list of messages", given)
    if len(given) == 1 and _is_plain(given[0]):
        return (dict(given[0]),)
    open_calls: set[str] = set()
    checked = []
    for position, message in enumerate(given):
        if not isinstance(message, Mapping):
            raise checks.wrong(f"messages[{position}]", "object with role and content", message)
        _check_message(message, position, open_calls)
        checked.append(dict(message))
    if all(message["role"] in ("system", "developer") for message in checked):
        raise checks.wrong("messages", "at least one user message", None, "there are only system messages")
    return tuple(checked)


def _is_plain(message: object) -> bool:
    """Is it one user's text, as nearly all are?"""
    if type(message) is not dict or len(message) != 2 or message.get("role") != "user":
        return False
    content = message.get("content")
    return type(content) is str and bool(content.strip())


def _check_message(message: Mapping[str, Any], position: int, open_calls: set[str]) -> None:
    where = f"messages[{position}]"
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise checks.wrong(f"{where}.role", "one of " + ", ".join(sorted(_ROLES)), role)
    calls = _calls(message, where)
    content = message.get("content")
    if content is None and not (role == "assistant" and calls):
        raise checks.wrong(f"{where}.content", "text or list of parts", content)
    if content is not None and not isinstance(content, str):
        _check_parts(content, f"{where}.content")
    if role == "user" and isinstance(content, str) and not content.strip():
        raise checks.wrong(f"{where}.content", "text", None, "the user message is empty")
    if role == "tool":
        call = message.get("tool_call_id")
        if not isinstance(call, str) or call not in open_calls:
            raise checks.wrong(
                f"{where}.tool_call_id", "id of an unanswered tool call before it", call, "no such call is open"
            )
        open_calls.discard(call)
    elif open_calls:
        missing = ", ".join(sorted(open_calls))
        raise checks.wrong(where, "tool message", role, f"tool calls {missing} have no answer yet")
    open_calls.update(call["id"] for call in calls)


def _calls(message: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    """The tool calls of a message; each has an id by which it is answered."""
    calls = checks.sequence(message.get("tool_calls"), f"{where}.tool_calls")
    for position, call in enumerate(calls):
        if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
            raise checks.wrong(f"{where}.tool_calls[{position}]", "object with id and function", call)
    return calls


def _check_parts(content: object, where: str) -> None:
    if not isinstance(content, (list, tuple)):
        raise checks.wrong(where, "text or list of parts", content)
    for position, part in enumerate(content):
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise checks.wrong(f"{where}[{position}]", "part with its type", part, "it is none")


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
            raise checks.unknown_option(name, known)
    primary = preferences.get("primary")
    return Routing(
        provider=None,
        primary=checks.text(primary, "primary"),
        fallback=tuple(Strategy(provider=name) for name in checks.texts(preferences.get("fallback"), "fallback")),
        cost_optimization=checks.flag(preferences.get("cost_optimization", False), "cost_optimization"),
        latency_optimization=checks.flag(preferences.get("latency_optimization", False), "latency_optimization"),
        quality_threshold=checks.number(preferences.get("quality_threshold"), "quality_threshold", low=0, high=1),
    )


# ------------------------------------------------------------------------------------------- one group each


def _options(ask: Mapping[str, Any]) -> Options:
    schema, schema_name = _schema(ask.get("schema"))
    extra = ask.get("extra")
    return Options(
        max_tokens=checks.whole(ask.get("max_tokens"), "max_tokens", low=1),
        temperature=checks.number(ask.get("temperature"), "temperature", low=0, high=2),
        top_p=checks.number(ask.get("top_p"), "top_p", low=0, high=1, open_low=True),
        stop=checks.texts(ask.get("stop"), "stop"),
        seed=checks.whole(ask.get("seed"), "seed"),
        frequency_penalty=checks.number(ask.get("frequency_penalty"), "frequency_penalty", low=-2, high=2),
        presence_penalty=checks.number(ask.get("presence_penalty"), "presence_penalty", low=-2, high=2),
        logit_bias=_biases(ask.get("logit_bias")),
        tools=tuple(_tool(tool, position) for position, tool in enumerate(checks.sequence(ask.get("tools"), "tools"))),
        tool_choice=_tool_choice(ask),
        parallel_tool_calls=None
        if ask.get("parallel_tool_calls") is None
        else checks.flag(ask["parallel_tool_calls"], "parallel_tool_calls"),
        schema=schema,
        schema_name=schema_name,
        user=checks.text(ask.get("user"), "user"),
        extra=None if extra is None else dict(checks.mapping(extra, "extra")),
    )


def _routing(ask: Mapping[str, Any], defaults: Routing) -> Routing:
    config = _part(ask.get("fallback_config"), "fallback_config")
    for name in config:
        if name not in (allowed := ("strategies", "retry_attempts", "backoff_multiplier", "mid_stream")):
            raise checks.unknown_option(f"fallback_config.{name}", [f"fallback_config.{known}" for known in allowed])
    fallback = _fallback(ask, config)
    saving = ask.get("cost_optimization")
    saving = {"enabled": saving} if isinstance(saving, bool) else _part(saving, "cost_optimization")
    for name in saving:
        if name not in (allowed := ("enabled", "max_cost", "prefer_cheaper", "quality_threshold")):
            raise checks.unknown_option(
                f"cost_optimization.{name}", [f"cost_optimization.{known}" for known in allowed]
            )
    enabled = checks.flag(
        saving.get("enabled", bool(saving) or defaults.cost_optimization), "cost_optimization.enabled"
    )
    cheaper = checks.flag(saving.get("prefer_cheaper", True), "cost_optimization.prefer_cheaper")
    most = checks.number(saving.get("max_cost"), "cost_optimization.max_cost", low=0)
    fast = ask.get("latency_optimization")
    threshold = saving.get("quality_threshold", ask.get("quality_threshold"))
    mid_stream = config.get("mid_stream", "stop")
    if mid_stream not in ("stop", "restart"):
        raise checks.wrong("fallback_config.mid_stream", "'stop' or 'restart'", mid_stream)
    if ask.get("on_unsupported", "refuse") not in ("refuse", "drop"):
        raise checks.wrong("on_unsupported", "'refuse' or 'drop'", ask["on_unsupported"])
    return Routing(
        provider=checks.text(ask.get("provider"), "provider"),
        primary=defaults.primary,
        fallback=defaults.fallback if fallback is None else fallback,
        retry_attempts=checks.whole(config.get("retry_attempts"), "fallback_config.retry_attempts", low=0),
        backoff_multiplier=checks.number(config.get("backoff_multiplier"), "fallback_config.backoff_multiplier", low=1)
        or 2.0,
        mid_stream=mid_stream,
        cost_optimization=enabled and cheaper,
        latency_optimization=defaults.latency_optimization
        if fast is None
        else checks.flag(fast, "latency_optimization"),
        max_cost=most if enabled else None,
        quality_threshold=defaults.quality_threshold
        if threshold is None
        else checks.number(threshold, "quality_threshold", low=0, high=1),
        task=None if ask.get("task") is None else task(ask["task"]),
        on_unsupported=ask.get("on_unsupported", "refuse"),
    )


def task(given: object) -> str:
    """Check the name of a task.

    Raises:
        InvalidRequestError: If it is no text of 1 to 100 characters.

    >>> task(" arithmetic ")
    'arithmetic'
    """
    name = given.strip() if isinstance(given, str) else ""
    if not 1 <= len(name) <= LONGEST_TASK:
        raise checks.wrong("task", f"text of 1 to {LONGEST_TASK} characters", given)
    return name


def _part(given: Any, parameter: str) -> Mapping[str, Any]:
    return {} if given is None else checks.mapping(given, parameter)


def _fallback(ask: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Strategy, ...] | None:
    providers, strategies = ask.get("fallback_providers"), config.get("strategies")
    if providers is not None and strategies is not None:
        raise InvalidRequestError(
            "fallback_providers and fallback_config['strategies'] contradict each other: give one of them.",
            details={"parameter": "fallback_config.strategies"},
        )
    if strategies is not None:
        steps = checks.sequence(strategies, "fallback_config.strategies")
        return tuple(_strategy(step, position) for position, step in enumerate(steps))
    return (
        None
        if providers is None
        else tuple(Strategy(provider=n) for n in checks.texts(providers, "fallback_providers"))
    )


def _strategy(step: object, position: int) -> Strategy:
    where = f"fallback_config.strategies[{position}]"
    fields = checks.mapping(step, where)
    for name in fields:
        if name not in ("provider", "model", "timeout"):
            raise checks.unknown_option(
                f"{where}.{name}", [f"{where}.{known}" for known in ("provider", "model", "timeout")]
            )
    if not fields.get("provider") and not fields.get("model"):
        raise checks.wrong(where, "provider or model", None, "it names neither a provider nor a model")
    milliseconds = checks.number(fields.get("timeout"), f"{where}.timeout", low=0, open_low=True)
    return Strategy(
        provider=checks.text(fields.get("provider"), f"{where}.provider"),
        model=checks.text(fields.get("model"), f"{where}.model"),
        timeout=None if milliseconds is None else milliseconds / 1000,
    )


def _schema(schema: Any) -> tuple[JSON | None, str | None]:
    """A pydantic model or a JSON schema becomes a JSON schema and a name for it."""
    if schema is None:
        return None, None
    as_json_schema = getattr(schema, "model_json_schema", None)
    if isinstance(schema, type) and as_json_schema is not None:
        return checks.schema(as_json_schema(), "schema"), schema.__name__
    fields = checks.schema(checks.mapping(schema, "schema"), "schema")
    return fields, str(fields.get("title", "answer"))


def _biases(given: Any) -> JSON | None:
    if given is None:
        return None
    biases = dict(checks.mapping(given, "logit_bias"))
    for token, bias in biases.items():
        checks.number(bias, f"logit_bias.{token!s:.60}")
    return biases


def _tool(tool: object, position: int) -> JSON:
    fields = dict(checks.mapping(tool, f"tools[{position}]"))
    function = fields.get("function")
    named = isinstance(function, Mapping) and isinstance(function.get("name"), str) and function["name"]
    if fields.get("type") != "function" or not isinstance(function, Mapping) or not named:
        raise checks.wrong(f"tools[{position}]", '{"type": "function", "function": {"name": …, "parameters": …}}', tool)
    checks.text(function.get("description"), f"tools[{position}].function.description")
    checks.mapping(function.get("parameters", {}), f"tools[{position}].function.parameters")
    return fields


def _tool_choice(ask: Mapping[str, Any]) -> str | JSON | None:
    choice: str | JSON | None = ask.get("tool_choice")
    if choice is None:
        return None
    if not ask.get("tools"):
        raise checks.wrong("tool_choice", "tools to choose from", choice, "no tools are given")
    if not isinstance(choice, (str, Mapping)) or (
        isinstance(choice, str) and choice not in ("auto", "none", "required")
    ):
        raise checks.wrong("tool_choice", "auto, none, required or a named function", choice)
    return choice
