"""Does a request fit a model? Pure: which options it does not take, and the request without them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from prsm_lab.errors import InvalidRequestError
from prsm_lab.providers import faults

if TYPE_CHECKING:
    from prsm_lab.types import JSON, Capabilities, Options, Request, Target

SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")

_INSIDE = {"effort": ("effort",), "logprobs": ("logprobs", "top_logprobs")}
"""Options that stand in `extra`, and its fields."""
ONE_ANSWER = frozenset({"stream", "n"})
"""Fields that would change the number of answers or their form: a second choice would be paid and lost."""


class Fitted(NamedTuple):
    """Options that a target takes, and the names of those that were left out on request."""

    options: Options
    dropped: tuple[str, ...]


def fitted(request: Request, target: Target, *, never: frozenset[str] = frozenset()) -> Fitted:
    """Return the request's options as the target takes them.

    Args:
        request: What is asked.
        target: Who is to answer; its capabilities are data of the catalogue.
        never: Options that the target's wire has no place for.

    Raises:
        InvalidRequestError: Naming model and options, unless the request says `on_unsupported="drop"`.
    """
    misfits = _misfits(request.options, target.capabilities, never)
    if has_images(request) and (not target.capabilities.images or "images" in never):
        raise faults.unreadable(target.provider, target.name, "images")
    if "linked documents" in never and has_links(request):
        raise faults.unreadable(target.provider, target.name, "documents by their address: give a path or bytes")
    if has_files(request) and (not target.capabilities.images or "documents" in never):
        raise faults.unreadable(target.provider, target.name, "documents")
    if not misfits:
        return Fitted(request.options, ())
    if request.routing.on_unsupported == "refuse":
        raise faults.unsupported(target.provider, target.name, misfits, _reason(request.options, target, misfits))
    blank: dict[str, Any] = {name: () if name in ("stop", "tools") else None for name in misfits}
    if "tools" in misfits:
        blank["tool_choice"] = None
    left = {field for name in _INSIDE if blank.pop(name, ()) is None for field in _INSIDE[name]}
    if left:
        blank["extra"] = {name: value for name, value in (request.options.extra or {}).items() if name not in left}
    return Fitted(msgspec.structs.replace(request.options, **blank), tuple(misfits))


def _misfits(options: Options, takes: Capabilities, never: frozenset[str]) -> list[str]:
    sampled = samples(options, takes)
    out = [n for n in SAMPLING if getattr(options, n) is not None and (n in never or not sampled)]
    if options.temperature is not None and options.temperature > takes.max_temperature and "temperature" not in out:
        out.append("temperature")
    if options.logit_bias is not None and ("logit_bias" in never or not sampled):
        out.append("logit_bias")
    if options.stop and ("stop" in never or not takes.stop):
        out.append("stop")
    if options.seed is not None and ("seed" in never or not takes.seed):
        out.append("seed")
    if options.tools and ("tools" in never or not takes.tools):
        out.append("tools")
    elif is_forced(options) and not takes.forced_tools:
        out.append("tool_choice")
    if options.schema is not None and ("schema" in never or not takes.schema):
        out.append("schema")
    if effort_of(options) is not None and "effort" in never:
        out.append("effort")
    if wants_logprobs(options) and ("logprobs" in never or not sampled):
        out.append("logprobs")
    return out


def samples(options: Options, takes: Capabilities) -> bool:
    """Does the model take sampling parameters as this request uses it?"""
    if takes.sampling != "without_reasoning":
        return takes.sampling == "yes"
    effort = effort_of(options)
    thinks = bool((options.extra or {}).get("thinking"))
    return not thinks and (effort == "none" or (effort is None and takes.reasoning == "optional"))


def _reason(options: Options, target: Target, misfits: list[str]) -> str:
    highest = target.capabilities.max_temperature
    if "temperature" in misfits and options.temperature is not None and options.temperature > highest:
        return f"its temperature goes from 0 to {highest:g}"
    if target.capabilities.reasoning != "none" and any(name in misfits for name in SAMPLING):
        return "it reasons, and does not sample while it does"
    return ""


def effort_of(options: Options) -> str | None:
    """The neutral reasoning effort, `extra={"effort": …}`."""
    return None if options.extra is None else options.extra.get("effort")


def wants_logprobs(options: Options) -> bool:
    """Are the tokens' log probabilities wanted? `extra={"logprobs": True, "top_logprobs": 5}`."""
    return bool((options.extra or {}).get("logprobs"))


def strict(schema: Any) -> bool:
    """Does strict mode take this schema? It wants every object closed and every property required.

    >>> strict({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False})
    True
    >>> strict({"type": "object", "properties": {"a": {}}})
    False
    """
    if isinstance(schema, list):
        return all(strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            return False
        if isinstance(properties, dict) and set(properties) - set(schema.get("required") or ()):
            return False
    return all(strict(value) for value in schema.values())


def named_schema(options: Options) -> JSON:
    """Return the schema as OpenAI's wires take it: closed and strict where that is possible, else as it is."""
    schema = closed(options.schema)
    sure = strict(schema)
    return {"name": schema_name(options), "strict": sure, "schema": schema if sure else options.schema}


def schema_name(options: Options) -> str:
    """The schema's name as the APIs allow it."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", options.schema_name or "")[:64] or "answer"


def is_forced(options: Options) -> bool:
    """Must the model call a tool?"""
    return options.tool_choice == "required" or isinstance(options.tool_choice, dict)


def has_images(request: Request) -> bool:
    """Does a message hold an image?"""
    return _has(request, "image_url")


def has_files(request: Request) -> bool:
    """Does a message hold a document?"""
    return _has(request, "file")


def has_links(request: Request) -> bool:
    """Does a message hold a document by its address?"""
    return any(
        isinstance(part, dict) and part.get("type") == "file" and "file_url" in (part.get("file") or ())
        for message in request.messages
        if isinstance(content := message.get("content"), (list, tuple))
        for part in content
    )


def _has(request: Request, kind: str) -> bool:
    return any(
        isinstance(part, dict) and part.get("type") == kind
        for message in request.messages
        if isinstance(content := message.get("content"), (list, tuple))
        for part in content
    )


def closed(schema: Any) -> Any:
    """Return a schema whose objects take no properties but their own: structured modes ask for it, and what fits it
    fits the schema as well.

    >>> closed({"type": "object", "properties": {}})
    {'type': 'object', 'properties': {}, 'additionalProperties': False}
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        name: {key: closed(part) for key, part in value.items()}
        if name in ("properties", "$defs", "definitions") and isinstance(value, dict)
        else value if name in ("enum", "const", "default", "examples") else closed(value)
        for name, value in schema.items()
    }  # fmt: skip
    if isinstance(schema.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


def with_extra(body: JSON, extra: JSON | None, *, translated: tuple[str, ...] = ("effort",)) -> JSON:
    """Merge the caller's provider-specific options last.

    Raises:
        InvalidRequestError: If one of them is already set by an option of ours.
    """
    for name, value in (extra or {}).items():
        if name in translated:
            continue
        if name in ONE_ANSWER:
            raise InvalidRequestError(
                f"extra[{name!r}]: a question has one answer, whole or live; use stream() for pieces, and ask again "
                "for a second answer.",
                details={"parameter": f"extra.{name}"},
            )
        if name in body:
            raise InvalidRequestError(
                f"extra[{name!r}] contradicts an option that sets the same field; give one of them.",
                details={"parameter": f"extra.{name}"},
            )
        body[name] = value
    return body
