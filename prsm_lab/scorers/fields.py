"""Scorers of answers that are, or hold, a JSON document."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from prsm_lab import checks
from prsm_lab.jsontext import document, problem
from prsm_lab.scorers.scorer import Figure, Score, Scorer
from prsm_lab.scorers.texts import exact

_TOLERANCE: Final = 1e-6
SHARE: Final = "share"


class JsonValid(Scorer, frozen=True):
    """1 where the answer is a JSON document, bare or in a code fence, or has a JSON object amid other words.

    A list amid other words counts for nothing: `[1]` is a footnote.

    Args:
        strict: Whether the answer must be the document and nothing else.

    >>> JsonValid()('Sure: {"a": 1}'), JsonValid(strict=True)('Sure: {"a": 1}')
    (True, False)
    """

    name: ClassVar[str] = "json_valid"
    strict: bool = False

    def __post_init__(self) -> None:
        """Check the option."""
        checks.flag(self.strict, "strict")

    @property
    def compares(self) -> bool:
        """Any document will do."""
        return False

    def __call__(self, response: str, reference: Any = None) -> bool:  # noqa: ARG002 -- every scorer is called alike
        """Read one answer."""
        found = document(response)
        if found is None or self.strict:
            return found is not None and found.place == "whole"
        return found.place != "amid" or isinstance(found.value, dict)


class JsonMatch(Scorer, frozen=True):
    """The share of the reference's fields that agree with those of the JSON document in the answer.

    Fields of fields count one by one (`address.city`, `tags[0]`). Texts agree as in `exact`, numbers within a
    millionth, truth values and null when they are the same; a field that is missing does not agree, and an answer
    without a document agrees in none.

    Args:
        parts: Whether each field is a score of its own, beside the `share`.
        extra: Whether fields that the reference does not have count, as ones that do not agree.

    >>> JsonMatch()('{"name": "ann", "age": 3}', {"name": "Ann", "age": 4})
    0.5
    >>> JsonMatch(parts=True)('{"name": "ann"}', '{"name": "Ann", "age": 4}')
    {'share': 0.5, 'name': True, 'age': False}
    """

    name: ClassVar[str] = "json_match"
    parts: bool = False
    extra: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        checks.flag(self.parts, "parts")
        checks.flag(self.extra, "extra")

    def __call__(self, response: str, reference: Any = None) -> Score:
        """Compare one answer with one reference, a document or its text."""
        right = dict(leaves(_document(reference)))
        if not right:
            raise ValueError("the reference has no fields")
        found = document(response)
        said = {} if found is None else dict(leaves(found.value))
        agree = {path: path in said and _agree(said[path], value) for path, value in right.items()}
        every = len(right.keys() | said.keys()) if self.extra else len(right)
        share = sum(agree.values()) / every
        if not self.parts:
            return share
        parts: dict[str, Figure] = {SHARE: share}
        parts.update((path or "value", same) for path, same in agree.items())
        return parts


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over the fields of a document that hold no fields themselves, by their paths; an empty one is a field.

    >>> list(leaves({"a": {"b": 1}, "c": [2, {}]}))
    [('a.b', 1), ('c[0]', 2), ('c[1]', {})]
    """
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)) and value:
        for n, part in enumerate(value):
            yield from leaves(part, f"{path}[{n}]")
    elif path or not isinstance(value, (Mapping, list, tuple)):
        yield path, value


def _document(reference: Any) -> Any:
    """A reference as a document: its text is read; other values are one already."""
    if hasattr(reference, "tolist"):  # numpy's
        reference = reference.tolist()
    if not isinstance(reference, str):
        if reference is None:
            raise ValueError("the reference is empty")
        return reference
    try:
        return json.loads(reference)
    except ValueError as fault:
        raise ValueError(f"the reference is no JSON document: {fault}") from None


def _agree(said: Any, right: Any) -> bool:
    if isinstance(said, bool) or isinstance(right, bool):
        return said is right
    if isinstance(said, (int, float)) and isinstance(right, (int, float)):
        return math.isclose(said, right, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    if isinstance(said, str) and isinstance(right, str):
        return exact(said, right)
    return type(said) is type(right) and bool(said == right)


class Schema(Scorer, frozen=True):
    """1 where the JSON document in the answer fits a schema.

    Args:
        schema: A pydantic model, which validates as pydantic does (`"3"` passes for an integer, its own validators
            run), or a JSON schema; None: each row's reference is its JSON schema.

    Raises:
        InvalidRequestError: If it is neither.

    >>> fits = Schema({"type": "object", "required": ["a"]})
    >>> fits('{"a": 1}'), fits("```json\\n{}\\n```"), fits("no")
    (True, False, False)
    """

    name: ClassVar[str] = "schema"
    schema: Any = None

    def __post_init__(self) -> None:
        """Check the schema."""
        if self.schema is not None and not _is_model(self.schema):
            if not isinstance(self.schema, Mapping):
                raise checks.wrong("schema", "pydantic model or JSON schema", self.schema)
            checks.schema(self.schema, "schema")

    def __repr__(self) -> str:
        """Name a model as it is named in code."""
        inside = self.schema.__name__ if _is_model(self.schema) else "" if self.schema is None else repr(self.schema)
        return f"Schema({inside})"

    @property
    def compares(self) -> bool:
        """Whether the reference is the schema."""
        return self.schema is None

    def __call__(self, response: str, reference: Any = None) -> bool:
        """Check one answer."""
        found = document(response)
        schema = self.schema
        if schema is None:
            schema = checks.schema(checks.mapping(_document(reference), "reference"), "reference")
        if found is None:
            return False
        if not _is_model(schema):
            return problem(schema, found.text) is None
        from pydantic import ValidationError

        try:
            schema.model_validate_json(found.text)
        except ValidationError:
            return False
        return True


def _is_model(schema: Any) -> bool:
    return isinstance(schema, type) and hasattr(schema, "model_validate_json")
