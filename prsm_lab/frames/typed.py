"""Columns beside the fixed ones: the fields of a schema, each with its type; tool calls; options that were left out.

Which columns a run has is decided by what was asked, never by what came: a run that failed throughout has the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import pandas as pd

from prsm_lab import columns
from prsm_lab.errors import PRSMError
from prsm_lab.frames.data import missing

if TYPE_CHECKING:
    from prsm_lab.types import JSON, Inference, Request

_TYPES: Final = {"integer": "Int64", "number": "Float64", "boolean": "boolean", "string": "string"}
MOST_STEPS: Final = 32
"""References that are followed from a field to its type: a schema may refer in a circle."""


def fields(schema: JSON | None) -> dict[str, str]:
    """Return the pandas type of each field of a schema; what is nested, or may be several things, is `object`.

    >>> fields({"type": "object", "properties": {"age": {"type": "integer"}, "tags": {"type": "array"}}})
    {'age': 'Int64', 'tags': 'object'}
    """
    properties = (schema or {}).get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {str(name): _TYPES.get(_kind(part, schema or {}), "object") for name, part in properties.items()}


def _kind(part: Any, root: JSON, steps: int = 0) -> str:
    """The one JSON type that a field has, null apart; empty if there is no such one."""
    if not isinstance(part, Mapping) or steps > MOST_STEPS:
        return ""
    if isinstance(part.get("$ref"), str):
        return _kind(_at(root, part["$ref"]), root, steps + 1)
    if "const" in part or "enum" in part:
        return _one(map(_kind_of, part.get("enum", [part.get("const")])))
    for union in ("anyOf", "oneOf"):
        if isinstance(part.get(union), list):
            return _one(_kind(choice, root, steps + 1) for choice in part[union])
    if isinstance(part.get("allOf"), list) and len(part["allOf"]) == 1:
        return _kind(part["allOf"][0], root, steps + 1)
    said = part.get("type")
    return _one(said) if isinstance(said, list) else said if isinstance(said, str) else ""


def _at(root: Any, reference: str) -> Any:
    for step in reference.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        root = root.get(name) if isinstance(root, Mapping) else None
    return root


def _one(kinds: Iterable[str]) -> str:
    """Whole numbers beside others are numbers."""
    found = set(kinds) - {"null"}
    if found == {"integer", "number"}:
        return "number"
    return found.pop() if len(found) == 1 else ""


def _kind_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "")


def plan(templates: Sequence[Request]) -> JSON:
    """Return which further columns a run has, as plain JSON: kept with the run, so that it is laid out alike again.

    Args:
        templates: One question of each way of asking.
    """
    kinds: dict[str, str] = {}
    for template in templates:
        for name, kind in fields(template.options.schema).items():
            kinds[name] = kind if kinds.get(name, kind) == kind else "object"
    made: JSON = {}
    if kinds:
        made["fields"] = kinds
    if any(template.options.tools for template in templates):
        made["tool_calls"] = True
    if any(template.routing.on_unsupported == "drop" for template in templates):
        made["dropped"] = True
    return made


def names(more: JSON) -> list[str]:
    """Return the names of these columns, in the order of the frame."""
    return [*more.get("fields", {}), *(name for name in ("tool_calls", "dropped") if more.get(name))]


def check(more: JSON, others: Iterable[str]) -> None:
    """Refuse a field that has the name of a column which the result has already.

    Raises:
        ValueError: Naming it, before anything is asked.
    """
    taken = {*columns.NAMES, "tool_calls", "dropped", *others}
    for name in more.get("fields", {}):
        if name in taken:
            raise ValueError(
                f"The schema's field {name!r} has the name of a column that the result has already; rename it, or give "
                f"it another name in the answer: Field(alias='{name}_found'). prefix= moves both alike."
            )


def made(more: JSON, outcomes: Sequence[Inference | PRSMError | None], index: Any) -> pd.DataFrame:
    """Return these columns, one row an outcome; what failed has nothing in them.

    Args:
        more: What `plan` returned.
        outcomes: Answers, errors, or None for a question that was not asked.
        index: The frame's index.
    """
    if not more:
        return pd.DataFrame(index=index)
    answers = [None if isinstance(one, PRSMError) else one for one in outcomes]
    out: dict[str, Any] = {}
    kinds = more.get("fields", {})
    if kinds:
        documents = [_document(answer) for answer in answers]
        for name, kind in kinds.items():
            out[name] = _column([document.get(name) for document in documents], kind)
    if more.get("tool_calls"):
        out["tool_calls"] = _objects([None if one is None else _calls(one) or None for one in answers])
    if more.get("dropped"):
        out["dropped"] = _objects([None if one is None else list(one.dropped) for one in answers])
    return pd.DataFrame(out, index=index, copy=False)


def _document(answer: Inference | None) -> dict[str, Any]:
    """The fields of an answer; none where it is on its way to calling a tool, or is of before there was a check."""
    if answer is None or answer.tool_calls or not answer.content:
        return {}
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _calls(answer: Inference) -> list[dict[str, Any]]:
    return [{"id": call.id, "name": call.name, "arguments": _given(call.arguments)} for call in answer.tool_calls]


def _given(arguments: str) -> Any:
    """Arguments as an object; as their text where a model wrote no JSON."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _column(values: list[Any], kind: str) -> Any:
    if kind == "object":
        return _objects(values)
    fit = {"Int64": _whole, "Float64": _number, "boolean": _flag, "string": _text}[kind]
    try:
        return pd.array([fit(value) for value in values], dtype=cast("Any", kind))
    except (OverflowError, ValueError, TypeError):  # a whole number of more than 64 bits
        return _objects(values)


def _objects(values: list[Any]) -> Any:
    return pd.Series([pd.NA if missing(value) else value for value in values], dtype="object").array


def _whole(value: Any) -> Any:
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    return int(value) if is_whole else pd.NA


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else pd.NA


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else pd.NA


def _text(value: Any) -> Any:
    """Half a character (a lone surrogate) fits no text column."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else pd.NA
