"""Checks of single values that somebody gave: each returns the value, or says which parameter expected what."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prsm_lab.errors import InvalidRequestError

LARGEST: Final = 2**63 - 1


def wrong(parameter: str, expected: str, got: object, why: str | None = None) -> InvalidRequestError:
    """Say what a parameter must be, and what came."""
    if got is None and why is None:
        message = f"Missing required parameter: {parameter}"
    else:
        shown = why or f"got {type(got).__name__} {str(got)[:60]!r}"
        message = f"Invalid {parameter}: expected {expected}, but {shown}."
    return InvalidRequestError(message, details={"parameter": parameter, "expected_type": expected})


def number(
    value: Any, parameter: str, *, low: float = -math.inf, high: float = math.inf, open_low: bool = False
) -> float | None:
    """Return a number of that span, or None; numpy's are numbers too, truth values are not."""
    if value is None:
        return None
    expected = "number" if high == math.inf else f"number from {low:g} to {high:g}"
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise wrong(parameter, expected, value)
    try:
        found = float(value)
    except OverflowError:
        raise wrong(parameter, expected, value, "it is too large") from None
    if not low <= found <= high or (open_low and found == low):  # NaN is in no span
        raise wrong(parameter, expected, value, f"it is {value!r}")
    return found


def whole(value: Any, parameter: str, *, low: int | None = None) -> int | None:
    """Return a whole number, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong(parameter, "integer", value)
    found = int(value.__index__())
    if low is not None and found < low:
        raise wrong(parameter, f"integer of at least {low}", value, f"it is {value!r}")
    if abs(found) > LARGEST:
        raise wrong(parameter, "integer of at most 64 bits", value, "it is too large")
    return found


def text(value: Any, parameter: str) -> str | None:
    """Return a text, or None."""
    if value is not None and not isinstance(value, str):
        raise wrong(parameter, "string", value)
    return value


def texts(value: Any, parameter: str) -> tuple[str, ...]:
    """Return texts, of which one may come alone; none is empty."""
    if value is None:
        return ()
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(item, str) and item for item in values):
        raise wrong(parameter, "string or list of strings", value)
    return tuple(values)


def sequence(value: Any, parameter: str) -> Sequence[Any]:
    """Return a list; None is an empty one."""
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise wrong(parameter, "list", value)
    return value


def flag(value: Any, parameter: str) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise wrong(parameter, "True or False", value)
    return value


def mapping(value: Any, parameter: str) -> Mapping[str, Any]:
    """Return a mapping."""
    if not isinstance(value, Mapping):
        raise wrong(parameter, "object", value)
    return value


def schema(value: Mapping[str, Any], parameter: str) -> dict[str, Any]:
    """Return a JSON schema that can be checked against: it is one, and refers to nothing outside itself.

    Raises:
        InvalidRequestError: Saying where it is none. Nothing is fetched for a reference to elsewhere.

    >>> schema({"type": "object"}, "schema")
    {'type': 'object'}
    """
    import jsonschema  # type: ignore[import-untyped]

    found = dict(value)
    kind = jsonschema.validators.validator_for(found, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(found)
    except (jsonschema.SchemaError, RecursionError) as fault:
        said = getattr(fault, "message", "it is nested too deeply")
        where = "".join(f"[{step!r}]" for step in getattr(fault, "absolute_path", ()))
        raise wrong(f"{parameter}{where}", "JSON schema", value, str(said)[:200]) from None
    for reference in references(found):
        if not _leads(found, reference):
            raise wrong(parameter, "JSON schema", value, f"its reference {reference[:80]!r} leads to nothing in it")
    return found


def references(schema: Any) -> list[str]:
    """Return what a schema refers to."""
    if isinstance(schema, Mapping):
        own = [schema[name] for name in ("$ref", "$dynamicRef") if isinstance(schema.get(name), str)]
        return own + [found for name, part in schema.items() if name != "enum" for found in references(part)]
    if isinstance(schema, (list, tuple)):
        return [found for part in schema for found in references(part)]
    return []


def _leads(schema: Any, reference: str) -> bool:
    """Does a reference lead to a place in the schema itself?"""
    if not reference.startswith("#/"):
        return reference == "#"
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(schema, Mapping) or name not in schema:
            return False
        schema = schema[name]
    return True


def unknown_option(name: str, known: Iterable[str]) -> InvalidRequestError:
    """Say that an option does not exist, and which one was probably meant."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " Provider-specific options go into extra={…}."
    return InvalidRequestError(f"Unknown option {name!r}.{hint}", details={"parameter": name})
