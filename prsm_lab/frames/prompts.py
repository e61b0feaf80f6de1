"""Prompts over rows: templates, chats, a column, or a function; values are data and never parsed as templates.

A template names columns in braces, `"Answer: {question}"`; `{{` and `}}` are braces themselves. There are no
attributes, indexes or format codes in it: `{row.__class__}` is a column that does not exist.

A list of texts and `lab.image`, `lab.document` is one message with these parts; so may a chat message's content be.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import media
from prsm_lab.frames.data import missing
from prsm_lab.frames.media import Media

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Column(NamedTuple):
    """A column whose values are the prompts."""

    name: str


def col(name: str) -> Column:
    """Use a column's values as prompts: texts, or lists of chat messages.

    >>> col("question")
    Column(name='question')
    """
    return Column(name)


Prompt: TypeAlias = str | Column | Media | Sequence[Mapping[str, Any] | str | Media] | Callable[[dict[str, Any]], Any]
Messages: TypeAlias = list[dict[str, Any]]
Maker: TypeAlias = Callable[[dict[Any, Any]], Messages]


class MissingValue(Exception):
    """A row lacks what its prompt needs; the text says which column."""


class Template:
    """One text with holes, cut up once and filled many times.

    Args:
        text: The template.
        columns: Labels of the columns that it may name.

    Raises:
        InvalidRequestError: If it names a column that is not there, or a brace stands alone.

    >>> Template("{a} {{b}}", ["a"]).fill({"a": "{x}"})
    '{x} {b}'
    """

    def __init__(self, text: str, columns: Sequence[Any]) -> None:
        self._parts: list[tuple[str, tuple[Any] | None]] = []
        labels = {str(label): label for label in columns}
        end = 0
        for match in _BRACES.finditer(text):
            literal = text[end : match.start()]
            end = match.end()
            if match[0] in ("{{", "}}"):
                self._parts.append((literal + match[0][0], None))
            elif match[1] is None:
                raise InvalidRequestError(
                    f"The template has a single {match[0]!r} at position {match.start()}; write {match[0] * 2!r} for "
                    "the sign itself.",
                    details={"parameter": "prompt"},
                )
            else:
                self._parts.append((literal, (labels[_known(match[1].strip(), labels)],)))
        self._tail = text[end:]

    @property
    def only(self) -> tuple[Any] | None:
        """The column of a template that is one hole and nothing else."""
        alone = len(self._parts) == 1 and not self._parts[0][0] and not self._tail.strip()
        return self._parts[0][1] if alone else None

    @property
    def names(self) -> list[Any]:
        """The columns that it names, in their order."""
        return list(dict.fromkeys(hole[0] for _, hole in self._parts if hole is not None))

    def fill(self, row: Mapping[Any, Any]) -> str:
        """Return the text with a row's values in its holes."""
        out = []
        for literal, hole in self._parts:
            out.append(literal)
            if hole is not None:
                out.append(_value(row[hole[0]], hole[0]))
        out.append(self._tail)
        return "".join(out)


def _known(name: str, labels: Mapping[str, Any]) -> str:
    if name in labels:
        return name
    near = difflib.get_close_matches(name, list(labels), n=1)
    hint = f" Did you mean {{{near[0]}}}?" if near else ""
    raise InvalidRequestError(
        f"The prompt names column {name!r}, which the data does not have.{hint} Its columns: "
        f"{', '.join(labels) or 'none'}. Write {{{{ and }}}} for braces.",
        details={"parameter": "prompt", "column": name},
    )


def _value(value: Any, label: Any) -> str:
    if missing(value):
        raise MissingValue(f"missing prompt: column {label!r} is empty in this row")
    return value if isinstance(value, str) else str(value)


def maker(prompt: Prompt, columns: Sequence[Any], *, system: str | None = None) -> Maker:
    """Return a function from a row to its chat messages.

    Args:
        prompt: A template, a list of messages whose contents are templates, `col(name)`, or a function of the row.
        columns: Labels of the data's columns.
        system: Template of a system message that goes in front.

    Raises:
        InvalidRequestError: If the prompt is none of these, or names a column that is not there.
    """
    body = _body(prompt, columns)
    if system is None:
        return body
    head = Template(system, columns)
    return lambda row: [{"role": "system", "content": head.fill(row)}, *body(row)]


def _body(prompt: Prompt, columns: Sequence[Any]) -> Maker:
    if isinstance(prompt, Column):
        label = {str(c): c for c in columns}[_known(prompt.name, {str(c): c for c in columns})]
        return lambda row: _messages(row[label], label)
    if isinstance(prompt, str):
        template = Template(prompt, columns)
        return lambda row: [{"role": "user", "content": _not_blank(template.fill(row))}]
    if callable(prompt):
        return lambda row: _messages(prompt(row), "what the prompt function returned")
    if isinstance(prompt, Media) or _are_parts(prompt):
        content = _content([prompt] if isinstance(prompt, Media) else prompt, columns)
        return lambda row: [{"role": "user", "content": content(row)}]
    if isinstance(prompt, Sequence) and prompt and all(isinstance(message, Mapping) for message in prompt):
        given = [dict(message) for message in prompt if isinstance(message, Mapping)]
        chat = [(message, _content(message.get("content"), columns)) for message in given]
        return lambda row: _answerable([{**message, "content": content(row)} for message, content in chat], given)
    raise InvalidRequestError(
        f"prompt is {type(prompt).__name__}; give a template, a list of messages or of texts and images, "
        "lab.col(name), or a function.",
        details={"parameter": "prompt"},
    )


def _are_parts(prompt: Any) -> bool:
    """Is it a list of texts, images and documents?"""
    return (
        isinstance(prompt, (list, tuple))
        and all(isinstance(part, (str, Media)) for part in prompt)
        and any(isinstance(part, Media) for part in prompt)
    )


def _content(content: Any, columns: Sequence[Any]) -> Callable[[Mapping[Any, Any]], Any]:
    """A message's content: texts in it are templates, images and documents are read, everything else stays."""
    if isinstance(content, str):
        return Template(content, columns).fill
    if isinstance(content, Media):
        content = [content]
    if isinstance(content, (list, tuple)):
        parts = [_part(part, columns) for part in content]
        return lambda row: [part(row) for part in parts]
    return lambda row: content  # noqa: ARG005


def _part(part: Any, columns: Sequence[Any]) -> Callable[[Mapping[Any, Any]], Any]:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if isinstance(part, Media):
        return _medium(part, columns)
    if isinstance(part, Mapping) and part.get("type") == "text":
        text, given = Template(part["text"], columns), dict(part)
        return lambda row: {**given, "text": text.fill(row)}
    return lambda row: part  # noqa: ARG005


def _medium(wanted: Media, columns: Sequence[Any]) -> Callable[[Mapping[Any, Any]], Any]:
    """What an image's source comes to in a row: a column's value as it is, or a template's text."""
    if not isinstance(wanted.source, str) or wanted.source[:5].lower() == "data:":
        return lambda row: media.part(wanted, wanted.source)  # noqa: ARG005
    source = Template(wanted.source, columns)
    only = source.only
    if only is None:
        return lambda row: media.part(wanted, source.fill(row))

    def of_cell(row: Mapping[Any, Any]) -> Any:
        value = row[only[0]]
        _value(value, only[0])
        return media.part(wanted, value)

    return of_cell


def plain(prompt: Any) -> Any:
    """A prompt without rows as `col` and functions give one: braces in it are text."""
    if isinstance(prompt, (str, Media)):
        return prompt
    return [dict(message) if isinstance(message, Mapping) else message for message in prompt]


def _literal(part: Any) -> Any:
    """A part that a function returned: its texts and sources are no templates."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return media.part(part, part.source) if isinstance(part, Media) else part


def _filled(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, Media):
        content = [content]
    if isinstance(content, (list, tuple)):
        return {**message, "content": [_literal(part) for part in content]}
    return dict(message)


def _messages(value: Any, where: Any) -> Messages:
    if missing(value):
        raise MissingValue(f"missing prompt: {where!r} is empty in this row")
    if isinstance(value, str):
        return [{"role": "user", "content": _not_blank(value)}]
    if hasattr(value, "tolist"):  # lists in a parquet file are read as arrays
        value = value.tolist()
    if isinstance(value, Media) or _are_parts(value):
        return [_filled({"role": "user", "content": value})]
    if isinstance(value, (list, tuple)) and all(isinstance(message, Mapping) for message in value):
        return _answerable([_filled(message) for message in value])
    raise InvalidRequestError(
        f"{where!r} holds {type(value).__name__}; a prompt is a text or a list of chat messages. Write numbers into a "
        "template.",
        details={"parameter": "prompt"},
    )


def _answerable(chat: Messages, templates: Messages | None = None) -> Messages:
    """Refuse a chat in which a row left a user's message empty; an empty template is no row's fault."""
    for position, message in enumerate(chat):
        content = message.get("content")
        if templates is not None and not str(templates[position].get("content")).strip():
            continue
        if message.get("role") == "user" and (missing(content) or isinstance(content, str)):
            _not_blank(content if isinstance(content, str) else "")
    return chat


def _not_blank(text: str) -> str:
    if not text.strip():
        raise MissingValue("missing prompt: it is blank")
    return text
