"""The questions of a run, packed: what they share is kept once, and of each only the texts of its messages.

A `Request` with its messages takes 600 bytes beside its text, which 100,000 rows would hold from the first to the last.
So one is made whenever it is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, overload

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from prsm_lab.types import Message, Request, Routing


T_co = TypeVar("T_co", covariant=True)


class ByPosition(Protocol[T_co]):
    """Values of a run's questions, each under its question's position."""

    def __getitem__(self, position: int, /) -> T_co: ...


class Questions(Sequence["Request | None"]):
    """Rows times ways, row by row; a row without a prompt is None.

    Args:
        templates: A question of each way, without its messages.
    """

    def __init__(self, templates: Sequence[Request]) -> None:
        self.templates = list(templates)
        """May be replaced by others of the same ways: every question then is of these."""
        self._packed: list[Any] = []
        self._shapes: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.lacking = 0
        """Rows without a prompt."""

    def add(self, messages: tuple[Message, ...] | None) -> None:
        """Add the next question by its messages."""
        self.lacking += messages is None
        self._packed.append(None if messages is None else self._pack(messages))

    def _pack(self, messages: tuple[Message, ...]) -> Any:
        """One user's text is kept as it is, several texts behind their roles, everything else whole."""
        for message in messages:
            if tuple(message) != ("role", "content") or not isinstance(message["content"], str):
                return messages
        if len(messages) == 1 and messages[0]["role"] == "user":
            return messages[0]["content"]
        roles = tuple(message["role"] for message in messages)
        return (self._shapes.setdefault(roles, roles), *(message["content"] for message in messages))

    def _messages(self, packed: Any) -> tuple[Message, ...]:
        if isinstance(packed, str):
            return ({"role": "user", "content": packed},)
        if not isinstance(packed[0], tuple):
            return packed  # type: ignore[no-any-return]
        return tuple({"role": role, "content": text} for role, text in zip(packed[0], packed[1:], strict=True))

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, position: int) -> Request | None: ...
    @overload
    def __getitem__(self, position: slice) -> list[Request | None]: ...
    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[n] for n in range(*position.indices(len(self)))]
        packed = self._packed[position]
        if packed is None:
            return None
        template = self.templates[position % len(self.templates)]
        return msgspec.structs.replace(template, messages=self._messages(packed))

    def __eq__(self, other: object) -> bool:
        """Are they of the same templates, and the same texts?"""
        return isinstance(other, Questions) and (self.templates, self._packed) == (other.templates, other._packed)

    __hash__ = None  # type: ignore[assignment]

    @property
    def asked(self) -> Picked:
        """Those that have a prompt."""
        if not self.lacking:
            return Picked(self, range(len(self)))
        return Picked(self, [n for n, packed in enumerate(self._packed) if packed is not None])

    def is_missing(self, position: int) -> bool:
        """Tell whether a row has no prompt."""
        return self._packed[position] is None

    # ------------------------------------------------------------------------------------------- what they are

    def digest(self) -> str:
        """Return what identifies a run: data, prompts, models and options all end in its questions."""
        try:
            return _hashed(b"[", b",", self._json(), b"]")
        except (UnicodeEncodeError, ValueError):  # a lone surrogate in a prompt is no reason to fail
            return _hashed(b"[", b", ", self._texts(), b"]")

    def _json(self) -> Iterator[bytes]:
        frames = [
            (_json(one.model), _json((one.options, _routed(one.routing), one.sample))[1:]) for one in self.templates
        ]
        ways = len(frames)
        for position, packed in enumerate(self._packed):
            if packed is not None:
                head, tail = frames[position % ways]
                yield b"[%b,%b,%b" % (head, _json(self._messages(packed)), tail)

    def _texts(self) -> Iterator[bytes]:
        for one in self.asked:
            told = repr((one.model, one.messages, one.options, one.routing, one.sample))
            yield told.encode("utf-8", "replace")

    def groups(self, is_open: Callable[[int], bool], *, dedup: bool) -> Groups:
        """Gather the questions that are open, equal ones together.

        Args:
            is_open: Tells whether a row has no outcome yet.
            dedup: Whether equal questions are asked once.
        """
        kinds: dict[Any, dict[Any, int]] = {}
        seen = [kinds.setdefault(_key(template), {}) for template in self.templates]
        found = Groups([], {})
        for position, packed in enumerate(self._packed):
            if packed is None or not is_open(position):
                continue
            first = position
            if dedup:
                is_text = isinstance(packed, str) or isinstance(packed[0], tuple)
                key = packed if is_text else _key(self[position])
                first = seen[position % len(seen)].setdefault(key, position)
            if first == position:
                found.firsts.append(position)
            else:
                found.others.setdefault(first, []).append(position)
        return found


class Picked(Sequence["Request"]):
    """Some of a run's questions, all with a prompt."""

    def __init__(self, questions: Questions, positions: Sequence[int]) -> None:
        self._questions, self._positions = questions, positions

    def __len__(self) -> int:
        return len(self._positions)

    def by_position(self, values: Sequence[T_co]) -> ByPosition[T_co]:
        """Return values of these questions so that each is found by its question's position."""
        if isinstance(self._positions, range):  # all of a run's questions
            return values
        return dict(zip(self._positions, values, strict=True))

    @overload
    def __getitem__(self, n: int) -> Request: ...
    @overload
    def __getitem__(self, n: slice) -> Picked: ...
    def __getitem__(self, n: Any) -> Any:
        if isinstance(n, slice):
            return Picked(self._questions, self._positions[n])
        return self._questions[self._positions[n]]


class Groups(NamedTuple):
    """Questions by their positions."""

    firsts: list[int]
    """Those that are asked."""
    others: dict[int, list[int]]
    """By the position of one that is asked: those that its answer fills as well."""

    def rows(self, first: int) -> list[int]:
        """Return the positions that the answer of one fills."""
        return [first, *self.others.get(first, ())]


def _routed(routing: Routing) -> Any:
    """A field of later is left out where it is not set: runs of older ledgers keep their ids."""
    if routing.task is not None:
        return routing
    return {name: value for name, value in msgspec.structs.asdict(routing).items() if name != "task"}


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


def _hashed(begin: bytes, between: bytes, parts: Iterator[bytes], end: bytes) -> str:
    digest = hashlib.sha256(begin)
    for n, part in enumerate(parts):
        digest.update(between + part if n else part)
    digest.update(end)
    return digest.hexdigest()[:16]


def _key(request: Request | None) -> Any:
    assert request is not None
    try:
        return _json((request.model, request.messages, request.options, request.sample))
    except (UnicodeEncodeError, ValueError):
        return repr((request.model, request.messages, request.options, request.sample))
