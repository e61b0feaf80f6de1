"""Are these bytes weights? The heads of safetensors and GGUF files, read by us before a library does.

Neither format can carry code; what calls itself one may be a pickle, or lie about its sizes.
"""

from __future__ import annotations

import json
import math
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from pathlib import Path

MOST_HEADER: Final = 100 * 2**20
"""Bytes; the safetensors library has the same limit."""
MOST_TENSORS: Final = 200_000
_SIZES: Final = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4,
    "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_KEY: Final = 2**16
_LONGEST_TEXT: Final = 16 * 2**20
_MOST_ITEMS: Final = 20_000_000


def refused(name: str, why: str, kind: str = "weights") -> InvalidRequestError:
    """Say which file is not let in, and why."""
    return InvalidRequestError(f"{name} is refused: {why}.", details={"kind": kind, "file": name})


# ------------------------------------------------------------------------------------------------- safetensors


def check_safetensors(path: Path) -> int:
    """Check the head of a safetensors file against its size; return how many numbers it holds.

    Raises:
        InvalidRequestError: If it is none: a pickle, a header that lies, tensors that overlap or leave holes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        if len(first) < 8:
            raise refused(path.name, "it is too short for safetensors")
        length = struct.unpack("<Q", first)[0]
        if not 2 <= length <= min(MOST_HEADER, size - 8):
            raise refused(path.name, f"its header claims {length:,} bytes of {size:,}: no safetensors file")
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError) as fault:
        raise refused(path.name, f"its header is no JSON ({str(fault)[:80]})") from None
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise refused(path.name, "its header is no table of tensors")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise refused(path.name, "its metadata is not of texts")
    spans = sorted(_span(path.name, name, tensor) for name, tensor in header.items())
    end = 0
    for begin, stop, _ in spans:
        if begin != end:
            raise refused(path.name, "its tensors overlap or leave holes")
        end = stop
    if not spans or end != size - 8 - length:
        raise refused(path.name, "its tensors do not fill the file")
    return sum(numbers for _, _, numbers in spans)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made


def _span(file: str, name: str, tensor: object) -> tuple[int, int, int]:
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise refused(file, f"tensor {name!r:.60} is not described")
    kind, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    whole = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [None]
    if kind not in _SIZES or len(offsets) != 2 or not all(type(n) is int and 0 <= n < 2**62 for n in whole):
        raise refused(file, f"tensor {name!r:.60} has an unknown type or shape")
    numbers = math.prod(shape)
    if offsets[1] - offsets[0] != numbers * _SIZES[kind]:
        raise refused(file, f"tensor {name!r:.60} has another size than its shape")
    return offsets[0], offsets[1], numbers


# -------------------------------------------------------------------------------------------------------- GGUF


class Gguf(NamedTuple):
    """What a GGUF file says of itself."""

    architecture: str
    context: int | None
    template: str | None
    tensors: int


def check_gguf(path: Path) -> Gguf:
    """Check the head of a GGUF file, and read what it says of itself.

    Raises:
        InvalidRequestError: If it is none, of a version that nobody writes any more, or lies about its sizes.
    """
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise refused(path.name, "it does not begin as GGUF files do")
        reader = _Reader(file, path.name, path.stat().st_size)
        version, tensors, pairs = reader.number("I"), reader.number("Q"), reader.number("Q")
        if version not in (2, 3):
            raise refused(path.name, f"version {version} of GGUF is not read")
        if not 0 < tensors <= MOST_TENSORS or pairs > _LONGEST_KEY:
            raise refused(path.name, f"it claims {tensors:,} tensors and {pairs:,} facts")
        facts: dict[str, Any] = {}
        for _ in range(pairs):
            name = reader.text(_LONGEST_KEY)
            if name in facts:
                raise refused(path.name, f"the fact {name!r:.60} stands twice")
            facts[name] = reader.value(reader.number("I"))
        offsets = sorted(reader.tensor() for _ in range(tensors))
        left = reader.size - file.tell()
    if any(one == other for one, other in pairwise(offsets)) or offsets[-1] >= max(left, 1):
        raise refused(path.name, "its tensors overlap or lie beyond its end")
    architecture, template = facts.get("general.architecture"), facts.get("tokenizer.chat_template")
    if not isinstance(architecture, str) or not (template is None or isinstance(template, str)):
        raise refused(path.name, "it names no architecture, or its template is no text")
    context = facts.get(f"{architecture}.context_length")
    return Gguf(architecture, context if isinstance(context, int) else None, template, tensors)


class _Reader:
    """Numbers and texts of a file that may be cut, or lie."""

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        self._file = file
        self._name = name
        self.size = size

    def _take(self, length: int) -> bytes:
        found = self._file.read(length)
        if len(found) != length:
            raise refused(self._name, "it ends in the middle of its header")
        return found

    def number(self, kind: str) -> Any:
        return struct.unpack(f"<{kind}", self._take(struct.calcsize(kind)))[0]

    def text(self, most: int = _LONGEST_TEXT) -> str:
        length = self.number("Q")
        if length > most:
            raise refused(self._name, f"a text of its header claims {length:,} bytes")
        return self._take(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            raise refused(self._name, f"its header holds a value of unknown kind {kind}")
        inner, count = self.number("I"), self.number("Q")
        if count > _MOST_ITEMS:
            raise refused(self._name, f"a list of its header claims {count:,} items")
        if inner in _SCALARS:
            self._take(count * struct.calcsize(_SCALARS[inner]))
        elif inner == _STRING:
            for _ in range(count):
                self.text()
        else:
            raise refused(self._name, "its header holds a list of lists")
        return None

    def tensor(self) -> int:
        self.text(256)
        dimensions = self.number("I")
        if not 0 < dimensions <= 4:
            raise refused(self._name, f"a tensor of {dimensions} dimensions")
        self._take(8 * dimensions + 4)
        offset: int = self.number("Q")
        return offset
