"""Bytes of an answer into typed fields, leniently: what we do not need may be anything."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from prsm_lab.providers import faults
from prsm_lab.types import ToolCall

T = TypeVar("T")


class Lenient(msgspec.Struct):
    """Base of wire structs: unknown fields are ignored."""


def read(decoder: msgspec.json.Decoder[T], raw: bytes, *, provider: str) -> T:
    """Decode one JSON document.

    Raises:
        ProviderError: If it is none (kind `malformed`), or of another shape.
    """
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        problem = str(fault)
    try:  # lone surrogates are legal JSON; the strict decoder refuses them, the standard one lets them pass
        return msgspec.convert(json.loads(raw), decoder.type)
    except (ValueError, msgspec.ValidationError, RecursionError):
        pass
    start = raw[:200].lstrip()
    if not start:
        raise faults.malformed(provider, "the body is empty")
    if start[:1] == b"<":
        raise faults.malformed(provider, "with an HTML page", hint="Is base_url right? A proxy may have answered.")
    raise faults.malformed(provider, f"its JSON cannot be read ({problem[:120]})")


def arguments(text: Any) -> str:
    """A tool call's arguments as JSON text of an object; nothing means `{}`."""
    if isinstance(text, dict):
        return json.dumps(text)
    return text if isinstance(text, str) and text.strip() else "{}"


class Calls:
    """Tool calls that arrive in pieces, from servers that number them well, badly or not at all."""

    def __init__(self) -> None:
        self._calls: list[dict[str, str]] = []
        self._by_key: dict[Any, int] = {}

    def place(self, index: int | None, id: str | None) -> int:
        """Return which call a piece belongs to: by index, but a new id opens a new call; by id; else the last."""
        if id and (known := self._by_key.get(("id", id))) is not None:
            return known
        if index is not None and (known := self._by_key.get(("index", index))) is not None:
            if not id or not self._calls[known]["id"]:
                return known
        elif not id and index is None and self._calls:
            return len(self._calls) - 1
        self._calls.append({"id": id or "", "name": "", "arguments": ""})
        position = len(self._calls) - 1
        if index is not None:
            self._by_key["index", index] = position
        if id:
            self._by_key["id", id] = position
        return position

    def add(self, position: int, *, name: str | None = None, text: str = "", id: str | None = None) -> None:
        call = self._calls[position]
        call["name"] = call["name"] or name or ""
        call["id"] = call["id"] or id or ""
        call["arguments"] += text

    def done(self) -> tuple[ToolCall, ...]:
        """Return the calls; one without an id gets one, so that its answer can name it."""
        return tuple(
            ToolCall(id=call["id"] or f"call_{n}", name=call["name"], arguments=arguments(call["arguments"]))
            for n, call in enumerate(self._calls)
        )

    def __bool__(self) -> bool:
        return bool(self._calls)
