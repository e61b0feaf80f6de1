"""Bytes of an answer into typed fields, leniently: what we do not need may be anything."""

from __future__ import annotations

import json
import re
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
    try:
        # Lone surrogates are legal JSON that the strict decoder refuses. The standard one lets them pass, and
        # invalid bytes can be handed to it as such: what is text is then repaired where it is read.
        return msgspec.convert(json.loads(raw.decode("utf-8", "surrogateescape")), decoder.type)
    except (ValueError, msgspec.ValidationError, RecursionError):
        pass
    start = raw[:200].lstrip()
    if not start:
        raise faults.malformed(provider, "the body is empty")
    if start[:1] == b"<":
        raise faults.malformed(provider, "with an HTML page", hint="Is base_url right? A proxy may have answered.")
    raise faults.malformed(provider, f"its JSON cannot be read ({problem[:120]})")


def count(value: Any, *, least: int = 0) -> int | None:
    """A number of tokens, if it is one: a paid answer is not thrown away for its bookkeeping.

    >>> count(9.0), count(-1), count("3"), count(0, least=1)
    (9, None, None, None)
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None


def nested(counted: Any, *path: str) -> Any:
    """Follow names into objects that may lack, or be something else."""
    for name in path:
        counted = counted.get(name) if isinstance(counted, dict) else None
    return counted


def word(value: Any) -> str | None:
    """A string that says something, or None."""
    return value if isinstance(value, str) and value else None


_CUT = re.compile("[\ud800-\udfff]")


class Prose:
    """Text that arrives in pieces. A character that is cut between two of them is put together again."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._held = ""
        self.repaired = False

    def add(self, piece: str) -> str:
        """Take a piece, and return what can be shown of it."""
        if self._held or not (piece.isascii() or _CUT.search(piece) is None):
            piece, self._held = self._held + piece, ""
            if "\ud800" <= piece[-1:] <= "\udbff":
                piece, self._held = piece[:-1], piece[-1]
            joined = piece.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
            piece, mended = faults.repaired(joined)
            self.repaired |= mended
        if piece:
            self._pieces.append(piece)
        return piece

    def __str__(self) -> str:
        return "".join(self._pieces) + ("�" if self._held else "")

    def __bool__(self) -> bool:
        return bool(self._pieces)


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

    def place(self, index: int | None, id: str | None, name: str | None = None) -> int:
        """Return which call a piece belongs to.

        By id; by index, but a new id opens a new call, and so does a name after whole arguments; by order.
        """
        if id and (known := self._by_key.get(("id", id))) is not None:
            return known
        if index is not None and (known := self._by_key.get(("index", index))) is not None:
            if not (id and self._calls[known]["id"]) and not (name and not id and self._is_whole(known)):
                return known
        elif not id and index is None and self._calls and not name:
            return len(self._calls) - 1
        self._calls.append({"id": id or "", "name": "", "arguments": ""})
        position = len(self._calls) - 1
        if index is not None:
            self._by_key["index", index] = position
        if id:
            self._by_key["id", id] = position
        return position

    def _is_whole(self, position: int) -> bool:
        try:
            return isinstance(json.loads(self._calls[position]["arguments"]), dict)
        except ValueError:
            return False

    def add(self, position: int, *, name: str | None = None, text: str = "", id: str | None = None) -> None:
        """Write a piece down; the first name and id stay."""
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
