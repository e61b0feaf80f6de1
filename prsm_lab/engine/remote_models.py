"""A share server's models of one's own over HTTP: uploaded in parts, registered, deleted."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from prsm_lab.errors import ConflictError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

PART: Final = 8 * 2**20
"""Bytes of one request: proxies have limits of their own, and what is lost is sent again."""
MOST_LOST: Final = 5


class RemoteModels:
    """What `client.models` asks of a share server beyond its catalogue.

    Args:
        ask: Sends method, path and a JSON body with this client's key, and returns the answer's body.
        send: The same for bytes, once.
    """

    def __init__(self, ask: Callable[..., Awaitable[bytes]], send: Callable[..., Awaitable[bytes]]) -> None:
        self._ask = ask
        self._send = send

    async def upload(self, path: Path, name: str) -> str:
        """Upload a file; return the model's name. A connection that is lost goes on where it ended."""
        size, sha256 = await asyncio.to_thread(_digest, path)
        announced = {"name": name, "size": size, "sha256": sha256}
        found = _read(await self._ask("POST", "/v1/models", announced))
        lost = 0
        while found.hosted.status != "ready":
            content = await asyncio.to_thread(_part, path, found.hosted.received)
            place = f"/v1/models/local/{quote(name, safe='')}?offset={found.hosted.received}"
            try:
                found = _read(await self._send("PUT", place, content, {"Content-Type": "application/octet-stream"}))
                lost = 0
            except (ProviderError, ConflictError):
                lost += 1
                if lost > MOST_LOST:
                    raise
                await asyncio.sleep(min(0.1 * 2**lost, 2.0))
                found = _read(await self._ask("POST", "/v1/models", announced))
        return found.id

    async def register(self, name: str, base_url: str, **more: Any) -> list[str]:
        """Register a server's address; return the names of its models."""
        given = {field: value for field, value in more.items() if value is not None}
        return _read(await self._ask("POST", "/v1/models", {"name": name, "base_url": base_url, **given})).hosted.models

    async def delete(self, name: str) -> None:
        """Delete an uploaded model, or forget a server."""
        await self._ask("DELETE", f"/v1/models/{quote(name, safe='/')}")


class _Hosted(msgspec.Struct):
    status: str
    received: int = 0
    models: list[str] = []


class _Card(msgspec.Struct):
    id: str
    hosted: _Hosted


def _read(raw: bytes) -> _Card:
    try:
        return msgspec.json.decode(raw, type=_Card)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderError(
            "The share server answered something that is no model.", details={"kind": "malformed"}
        ) from None


def _digest(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _part(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PART)
