"""The keys of a share server over HTTP: one's own, and all of them for an admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from prsm_lab.types import Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class RemoteKeys:
    """What `client.keys` asks of a share server.

    Args:
        ask: Sends method, path and body with this client's own key, and returns the answer's body.
    """

    def __init__(self, ask: Callable[..., Awaitable[bytes]]) -> None:
        self._ask = ask

    async def me(self) -> Key:
        """Return what this client's key may do, and what is left of it."""
        return msgspec.json.decode(await self._ask("GET", "/v1/keys/me"), type=Key)

    async def all(self) -> tuple[Key, ...]:
        """Return every key, newest first; needs the scope `admin`, as do the methods below."""
        return msgspec.json.decode(await self._ask("GET", "/v1/keys"), type=_Listed).data

    async def make(self, name: str, terms: dict[str, Any]) -> str:
        """Make a key and return it, this once."""
        return msgspec.json.decode(await self._ask("POST", "/v1/keys", {"name": name, **terms}), type=_Shown).key

    async def revoke(self, id: str) -> Key:
        """End a key for good."""
        return msgspec.json.decode(await self._ask("DELETE", f"/v1/keys/{quote(id, safe='')}"), type=Key)

    async def rotate(self, id: str) -> str:
        """End a key and return its successor, this once."""
        raw = await self._ask("POST", f"/v1/keys/{quote(id, safe='')}/rotate")
        return msgspec.json.decode(raw, type=_Shown).key


class _Listed(msgspec.Struct):
    data: tuple[Key, ...]


class _Shown(msgspec.Struct):
    key: str
