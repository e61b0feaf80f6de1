"""Bodies of requests become questions; who asks is set here, never read from the body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab import ask, checks
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import Routing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.server.house import House
    from prsm_lab.types import Key, Request

EXTRAS: Final = frozenset({"effort", "top_k", "verbosity", "thinking_budget", "logprobs", "top_logprobs"})
"""What a key may pass to a provider as is. Others could name another model, a URL or a dearer tier."""
LONGEST_SECONDS: Final = 600.0
METERED_MAX_TOKENS: Final = 4096
"""Answers on a metered key are bounded by this where the question names no limit: else nothing could be reserved.
It is set where a question is read, so that asking, recalling and checking mean the same question."""


def preferences(house: House, key: Key) -> Routing:
    """Return what a key's questions leave open: its own preferences, else the server's."""
    return house.preferences if key.preferences is None else ask.routing(key.preferences)


def question(house: House, key: Key, body: Mapping[str, Any], *, id: str, extras: frozenset[str] = EXTRAS) -> Request:
    """Read the body of a question.

    Args:
        house: The server's means.
        key: Who asks.
        body: The JSON object as it came.
        id: What the inference is to be called.
        extras: What `extra` may hold.

    Raises:
        InvalidRequestError: Naming the parameter.
    """
    fields = dict(body)
    more = fields.pop("prsm", None) or {}
    if not isinstance(more, dict):
        raise _wrong("prsm", "object")
    for name in ("stream", "background"):
        if not isinstance(fields.pop(name, False), bool):
            raise _wrong(name, "boolean")
    for name, kind in (("model", "string"), ("messages", "list of messages")):
        if name not in fields:
            raise InvalidRequestError(
                f"Missing required parameter: {name}", details={"parameter": name, "expected_type": kind}
            )
    model, messages = fields.pop("model"), fields.pop("messages")
    if not isinstance(messages, list):
        raise _wrong("messages", "list of messages")
    _check_extra(key, fields.get("extra"), extras)
    routing = Routing(primary=checks.text(more.get("primary"), "prsm.primary")) if more else preferences(house, key)
    template = ask.question(model, defaults=routing, deadline=house.timeout, **_named(fields))
    request = ask.conversation(template, messages)
    options = request.options
    if isinstance(more.get("schema_name"), str) and options.schema is not None:
        options = msgspec.structs.replace(options, schema_name=more["schema_name"])
    if key.credits is not None and options.max_tokens is None:
        options = msgspec.structs.replace(options, max_tokens=METERED_MAX_TOKENS)
    return msgspec.structs.replace(
        request,
        id=id,
        options=options,
        person=key.person,
        shared=house.share_cache,
        routing=msgspec.structs.replace(request.routing, only=key.models),
        timeout=min(request.timeout or LONGEST_SECONDS, LONGEST_SECONDS),
        sample=_sample(more.get("sample", 0)),
        run=mine(key, more.get("run")),
        scope=mine(key, more.get("scope")),
    )


def mine(key: Key, name: object) -> str | None:
    """Mark a run's name or id as this person's: nobody reaches another's."""
    if name is None:
        return None
    if not isinstance(name, str) or len(name) > 200:
        raise _wrong("prsm.run", "text of at most 200 characters")
    return f"{key.person}\x1f{name}"


def unmarked(name: str | None) -> str | None:
    """The name as its owner gave it."""
    return name if name is None else name.partition("\x1f")[2]


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    for name in fields:
        if not name.isidentifier():
            raise checks.unknown_option(name, ask.Ask.__annotations__)
    return fields


def _check_extra(key: Key, extra: object, known: frozenset[str]) -> None:
    if extra is None or key.may("admin"):
        return
    refused = [name for name in extra if name not in known] if isinstance(extra, dict) else ["extra"]
    if refused:
        raise InvalidRequestError(
            f"extra may hold {', '.join(sorted(EXTRAS))} on a share server, not {refused[0]!r:.60}.",
            details={"parameter": f"extra.{refused[0]}"[:80]},
        )


def _sample(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise _wrong("prsm.sample", "integer, at least 0")
    return value


def _wrong(parameter: str, expected: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{parameter} must be {expected}.", details={"parameter": parameter, "expected_type": expected}
    )
