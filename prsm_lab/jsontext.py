"""The JSON document in a text that somebody wrote around it, and whether it fits a schema."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from prsm_lab.types import JSON

MOST_SHOWN: Final = 300
"""Characters of the validator's words that are repeated: they may hold the whole answer."""
_FENCED: Final = re.compile(r"```[a-zA-Z]*[^\S\n]*\n(.*?)```", re.DOTALL)


class Document(NamedTuple):
    """A JSON document that was found in a text."""

    value: Any
    text: str
    """As it stands there."""
    place: Literal["whole", "fenced", "amid"]
    """The whole text, what a code fence holds, or something amid other words."""


def document(text: str) -> Document | None:
    """Return the JSON document in a text: the whole, what a code fence holds, or what stands amid other words.

    A number or a word counts only as the whole: amid other words it is none.

    Args:
        text: What was said.

    Returns:
        The document, or None where there is none. `NaN` and `Infinity` are no JSON.

    >>> document('Sure: {"a": 1}. Bye!').value
    {'a': 1}
    >>> document("2 apples") is None
    True
    """
    bare = text.strip()
    whole = _leading(bare)
    if whole is not None and whole[1] == len(bare):
        return Document(whole[0], bare, "whole")
    fence = _FENCED.search(bare)
    starts = [at for at in (bare.find("{"), bare.find("[")) if at >= 0]
    for candidate, place in (
        (fence[1].strip() if fence else "", "fenced"),
        (bare[min(starts) :] if starts else "", "amid"),
    ):
        found = _leading(candidate)
        if found is not None and isinstance(found[0], (dict, list)):
            return Document(found[0], candidate[: found[1]], place)  # type: ignore[arg-type]
    return None


def extracted(text: str) -> str:
    """Return the text of the JSON document in a text, see `document`; where there is none, the text as it is.

    >>> extracted('Sure!\\n```json\\n{"a": 1}\\n```')
    '{"a": 1}'
    >>> extracted("no")
    'no'
    """
    found = document(text)
    return text if found is None else found.text


def _leading(text: str) -> tuple[Any, int] | None:
    """The JSON document that a text begins with, and where it ends."""
    try:
        return _DECODER.raw_decode(text) if text else None
    except (ValueError, RecursionError):
        return None


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_number)


def problem(schema: JSON, text: str | None) -> str | None:
    """Say what keeps an answer from fitting a schema; None if it fits.

    >>> problem({"type": "object", "required": ["a"]}, '{"b": 1}')
    "'a' is a required property"
    """
    import jsonschema  # type: ignore[import-untyped]
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable

    bare = (text or "").strip()
    found = _leading(bare)
    if found is None or found[1] != len(bare):
        return "it is no JSON document"
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    checker = kind(schema, registry=REGISTRY)  # the standard's own schemas: nothing is ever fetched
    try:
        fault = jsonschema.exceptions.best_match(checker.iter_errors(found[0]))
    except (Unresolvable, RecursionError):
        return "the schema leads nowhere"
    if fault is None:
        return None
    where = "".join(f"[{step!r}]" for step in fault.absolute_path)
    said = fault.message if len(fault.message) <= MOST_SHOWN else f"{fault.message[:MOST_SHOWN]} …"
    return f"{where}: {said}" if where else said
