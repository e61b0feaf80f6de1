"""One HTTP request on its way through the server: who asks, what was sent, and whether they are still there."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs

import msgspec

from prsm_lab.documents import WHOLE
from prsm_lab.errors import AuthenticationError, CancelledError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.types import Receive, Scope, Send

    from prsm_lab.server.house import House
    from prsm_lab.types import JSON, Key

T = TypeVar("T")

BODY_SECONDS: Final = 30.0
MOST_FIELDS: Final = 50
"""Of an address' query."""


class TooLargeError(InvalidRequestError):
    """A body over the cap; it is not read."""

    status = 413


class MediaTypeError(InvalidRequestError):
    """A body that is not plain JSON: forms and text are what another site's page can send without being asked."""

    status = 415


class Visit:
    """A request whose key was found good."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, house: House, key: Key) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.house = house
        self.key = key
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }

    @property
    def whole(self) -> bool:
        """Does the client want whole values instead of the seed's documents?"""
        return WHOLE in self.headers.get("accept", "") or self.headers.get("x-prsm-accept") == WHOLE

    @property
    def person(self) -> str | None:
        """Whose inferences may be seen: one's own; None: everybody's."""
        return None if self.key.may("admin") else self.key.person

    def need(self, scope: str) -> None:
        """Refuse a key that lacks a scope."""
        if not self.key.may(scope):
            raise AuthenticationError(
                f"This key may not do that: it lacks the scope {scope!r}. Ask the server's owner.",
                details={"kind": "scope", "scope": scope},
            )

    def query(self) -> dict[str, str]:
        """Return the query's parameters; of a repeated one, the last."""
        text = self.scope["query_string"].decode("latin-1")
        try:
            return {name: values[-1] for name, values in parse_qs(text, max_num_fields=MOST_FIELDS).items()}
        except ValueError:
            raise InvalidRequestError(
                f"The address has more than {MOST_FIELDS} parameters.", details={"parameter": "query"}
            ) from None

    async def body(self) -> JSON:
        """Read the body as one JSON object.

        Raises:
            MediaTypeError: If it is not sent as plain `application/json`.
            TooLargeError: If it is over the cap; the rest is not read.
            InvalidRequestError: If it is no JSON object, or does not arrive in time.
        """
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" or "content-encoding" in self.headers:
            raise MediaTypeError("Send the body as application/json, not compressed.", details={"kind": "media_type"})
        raw = await self._read()
        try:
            body = msgspec.json.decode(raw)
            _check_names(raw.decode())
        except (msgspec.DecodeError, ValueError, RecursionError) as problem:
            raise InvalidRequestError(
                f"The body is no JSON: {str(problem)[:120]}.", details={"parameter": "body", "expected_type": "object"}
            ) from None
        if not isinstance(body, dict):
            raise InvalidRequestError(
                "The body must be one JSON object.", details={"parameter": "body", "expected_type": "object"}
            )
        return body

    async def _read(self) -> bytes:
        most = self.house.most_bytes
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            raise self._too_large()
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise CancelledError("The client left before its request was whole.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise self._too_large()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise InvalidRequestError(
                f"The body did not arrive within {BODY_SECONDS:.0f} s.", details={"kind": "slow_body"}
            ) from None

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"The body is larger than {self.house.most_bytes // 2**20} MB; send a batch in parts.",
            details={"kind": "too_large", "parameter": "body"},
        )

    async def gone(self) -> None:
        """Return when the client has left."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def unless_gone(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work for as long as the client waits for it: who leaves stops paying.

        Raises:
            CancelledError: If the client left.
        """
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(self.gone())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise CancelledError("The client left.")
            return await task
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that says a name twice: readers on the way may have believed the other value."""
    if len(dict(pairs)) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise InvalidRequestError(f"The body says {twice!r:.80} twice.", details={"parameter": twice[:80]})


_check_names: Final = json.JSONDecoder(object_pairs_hook=_once).decode
"""msgspec keeps the last of two equal names and tells nothing; a second look costs 4 µs for a small body."""
