"""What makes two questions the same: one digest over everything that shapes the answer."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prsm_lab.types import Options, Request, Routing

VERSION = 1
"""Part of every digest: raise it when a change here would make old digests mean something else."""

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=str).encode


def fingerprint(request: Request, origins: Sequence[str]) -> bytes:
    """Return 32 bytes that are equal exactly for questions whose answers may stand for each other.

    In it: model, messages, options, sample, who may answer, and where they really are. Not in it: run,
    deadlines, retries and the cache's own settings.

    Args:
        request: The question.
        origins: Where the providers that may answer really are (base URLs), so that an emulator's or another
            server's answer never passes for this one's.
    """
    messages: Sequence[Any] = request.messages
    if request.cache is not None and request.cache.key_strategy == "normalized":
        messages = [_normalized(message) for message in messages]
    asked = (VERSION, request.model, messages, _options(request.options), request.sample)
    return hashlib.sha256(_utf8((asked, _who(request.routing), origins))).digest()


def alike(request: Request, origins: Sequence[str]) -> Callable[[Request], bytes]:
    """Return `fingerprint` for questions that differ from one in messages and sample only; the rest is written once.

    Args:
        request: One of them.
        origins: As in `fingerprint`.
    """
    try:
        head = _encode((VERSION, request.model))[:-1]
        options = _encode(_options(request.options))
        tail = _encode((_who(request.routing), origins))[1:]
    except (UnicodeEncodeError, ValueError):
        return lambda asked: fingerprint(asked, origins)
    normalized = request.cache is not None and request.cache.key_strategy == "normalized"

    def quick(asked: Request) -> bytes:
        try:
            messages = _encode([_normalized(one) for one in asked.messages] if normalized else asked.messages)
        except (UnicodeEncodeError, ValueError):
            return fingerprint(asked, origins)
        return hashlib.sha256(b"[%b,%b,%b,%d],%b" % (head, messages, options, asked.sample, tail)).digest()

    return quick


def _utf8(content: object) -> bytes:
    try:
        return _encode(content)
    except (UnicodeEncodeError, ValueError):  # a lone surrogate in a prompt is no reason to fail
        return repr(content).encode("utf-8", "backslashreplace")


def _options(options: Options) -> dict[str, Any]:
    """Leave out what is not set, so that a new option does not change old digests."""
    return {name: value for name in options.__struct_fields__ if (value := getattr(options, name)) not in (None, ())}


def _who(routing: Routing) -> tuple[Any, ...]:
    """The parts of routing that decide who answers; retries and deadlines do not."""
    return (
        routing.provider,
        routing.primary,
        [(step.provider, step.model) for step in routing.fallback],
        routing.cost_optimization,
        routing.latency_optimization,
        routing.max_cost,
        routing.quality_threshold,
        routing.on_unsupported,
        *(() if routing.only is None else (routing.only,)),  # fields of later: older digests stay as they are
        *(() if routing.task is None else ({"task": routing.task},)),
    )


class Scopes(NamedTuple):
    """Where a question may find an answer by meaning."""

    text: str
    """The last user turn's: what is compared."""
    scope: bytes
    """Digest of everything else."""
    wide: bytes
    """The same without the model, and who may answer."""

    def of(self, embedder: str) -> Scopes:
        """Narrow them to one embedder's vectors."""
        mark = embedder.encode()
        return self._replace(scope=_short(self.scope + mark), wide=_short(self.wide + mark))


def scopes(request: Request, origins: Sequence[str], namespace: str) -> Scopes | None:
    """Return what must be equal where only the last user turn may differ; None if that is no text.

    In it, beside what is in `fingerprint`: whose question it is, and the namespace. Without the model, real providers
    may stand for each other, and nothing on this machine for them.

    Args:
        request: The question.
        origins: As in `fingerprint`.
        namespace: Of the cache.
    """
    turns = [n for n, message in enumerate(request.messages) if message.get("role") == "user"]
    text = request.messages[turns[-1]].get("content") if turns else None
    if not isinstance(text, str):
        return None
    rest = [*request.messages]
    rest[turns[-1]] = {**rest[turns[-1]], "content": None}
    asked = (VERSION, rest, _options(request.options), request.sample, request.answerer, namespace)
    near = sorted({_here(place) for place in origins})
    return Scopes(
        text,
        _short(_utf8((asked, request.model, _who(request.routing), origins))),
        _short(_utf8((asked, near, request.routing.only))),
    )


def _here(place: str) -> str:
    """What must be equal of a place where the model need not be: nothing of a real provider's."""
    return "" if place.startswith("https://") else "mock" if place.startswith("mock:") else place


def _short(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


_SPACE = re.compile(r"\s+")
_MARKS = re.compile(r"[^\w\s]")


def _normalized(message: dict[str, Any]) -> dict[str, Any]:
    """Fold case, blanks and punctuation of a message's text."""
    content = message.get("content")
    if not isinstance(content, str):
        return message
    folded = _SPACE.sub(" ", _MARKS.sub(" ", content.casefold())).strip()
    return {**message, "content": folded}
