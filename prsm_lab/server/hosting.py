"""Models of one's own over HTTP: `POST`, `PUT` and `DELETE` under `/v1/models`, for keys with the scope `admin`.

Weights are announced with size and checksum, then sent in one part or many; what broke off goes on where it ended.
They are written to disk as they come, checked and unpacked, and are `local/<name>` then. A server that speaks Chat
Completions is registered by its address until this server ends; its key stays in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from prsm_lab import catalog, checks, local, presets, settings
from prsm_lab.client import connecting, registry
from prsm_lab.errors import CancelledError, InvalidRequestError, NotFoundError
from prsm_lab.hosting.store import Hosted, Upload, check_name
from prsm_lab.server import replies
from prsm_lab.server.visit import MediaTypeError, TooLargeError

if TYPE_CHECKING:
    from starlette.responses import Response

    from prsm_lab.hosting.store import Part
    from prsm_lab.server.visit import Visit
    from prsm_lab.types import JSON

BYTES: Final = "application/octet-stream"
SILENT_SECONDS: Final = 30.0
"""After which an upload that sends nothing is let go of; it can go on."""
PART: Final = 2**20
FIELDS: Final = ("name", "size", "sha256", "base_url", "api_key", "preset", "insecure")
_PREFIX: Final = "local/"


async def announce(visit: Visit) -> Response:
    """`POST /v1/models`: announce an upload, send one whole, or register a server's address."""
    visit.need("admin")
    if visit.headers.get("content-type", "").partition(";")[0].strip().lower() == BYTES:
        return await _at_once(visit)
    body = await visit.body()
    for name in body:
        if name not in FIELDS:
            raise checks.unknown_option(name, FIELDS)
    if body.get("base_url") is not None:
        return await _registered(visit, body)
    for name in ("name", "size", "sha256"):
        if body.get(name) is None:
            raise checks.wrong(name, "integer" if name == "size" else "string", None)
    return await _begun(visit, body["name"], body["size"], body["sha256"])


async def receive(visit: Visit) -> Response:
    """`PUT /v1/models/{id}`: the next part of an upload."""
    visit.need("admin")
    name, offset = _own(visit), visit.query().get("offset", "0")
    if not offset.isdecimal() or len(offset) > 18:
        raise checks.wrong("offset", "integer of at least 0", offset)
    return await _received(visit, name, int(offset))


async def delete(visit: Visit) -> Response:
    """`DELETE /v1/models/{id}`."""
    visit.need("admin")
    id = visit.scope["path_params"]["id"]  # noqa: A001 -- the wire's word
    if id in visit.house.registered:
        del visit.house.registered[id]
        catalog.forget(id)
        await visit.house.reach.part(id)
    else:
        name = _own(visit)
        await asyncio.to_thread(_deleted, name)
    return replies.document({"id": id, "object": "model", "deleted": True})


def _deleted(name: str) -> None:
    local.unload(name)
    local.store().delete(name)
    catalog.forget("local", f"{_PREFIX}{name}")


def known(visit: Visit, id: str) -> JSON | None:
    """Return the card of a model of one's own, ready or on its way, or of a registered server."""
    if id in visit.house.registered:
        return _server(visit, id)
    store, name = local.store(), id.removeprefix(_PREFIX)
    found = store.find(name) or store.upload(name) if id.startswith(_PREFIX) else None
    return None if found is None else card(found)


def card(found: Hosted | Upload) -> JSON:
    """A model object as OpenAI's clients know it, with what is special of it."""
    more: JSON = {"status": "uploading", "size": found.size, "sha256": found.sha256}
    if isinstance(found, Upload):
        more["received"] = found.received
    else:
        more |= {"status": "ready", "kind": found.kind, "architecture": found.architecture, "context": found.context}
        more["loaded"] = local.is_loaded(found.name)
    return _card(f"{_PREFIX}{found.name}", "local", int(found.created), more)


def _card(id: str, owner: str, created: int, hosted: JSON) -> JSON:
    return {"id": id, "object": "model", "created": created, "owned_by": owner, "hosted": hosted}


def _own(visit: Visit) -> str:
    """The name of an uploaded model out of its id."""
    id = str(visit.scope["path_params"]["id"])  # noqa: A001 -- the wire's word
    if not id.startswith(_PREFIX):
        raise NotFoundError(f"{id[:80]!r} was not uploaded or registered here.", details={"parameter": "model"})
    try:
        return check_name(id.removeprefix(_PREFIX))
    except InvalidRequestError:
        raise NotFoundError("No such model.", details={"parameter": "model"}) from None


# ------------------------------------------------------------------------------------------------------ uploads


async def _begun(visit: Visit, name: Any, size: Any, sha256: Any) -> Response:
    if isinstance(size, int) and size > visit.house.most_model_bytes:
        raise TooLargeError(
            f"This server takes models of at most {visit.house.most_model_bytes:,} bytes.",
            details={"kind": "too_large", "parameter": "size"},
        )
    begin, most = local.store().begin, visit.house.most_model_bytes
    found: Any = await asyncio.to_thread(begin, name, size, sha256, by=visit.key.person, most_bytes=most)
    return _told(found)


async def _at_once(visit: Visit) -> Response:
    """The bytes in one request: `POST /v1/models?name=…&sha256=…`."""
    asked, length = visit.query(), visit.headers.get("content-length", "")
    for name in ("name", "sha256"):
        if name not in asked:
            raise checks.wrong(name, "string", None)
    if not length.isdecimal() or len(length) > 18:
        raise InvalidRequestError("Send Content-Length with the bytes.", details={"parameter": "Content-Length"})
    await _begun(visit, asked["name"], int(length), asked["sha256"])
    ready = local.store().find(asked["name"])
    if ready is not None:
        raise InvalidRequestError(
            f"{asked['name']!r} is here already, with these very bytes.", details={"parameter": "name"}
        )
    return await _received(visit, asked["name"], 0)


async def _received(visit: Visit, name: str, offset: int) -> Response:
    kind = visit.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != BYTES or "content-encoding" in visit.headers:
        raise MediaTypeError(f"Send the bytes as {BYTES}, not encoded.", details={"kind": "media_type"})
    store = local.store()
    with store.writing(name, offset) as part:
        await _written(visit, part)
    found = await asyncio.to_thread(store.finish, name, most_bytes=visit.house.most_model_bytes)
    if isinstance(found, Hosted):
        local.register(found)
    return _told(found)


async def _written(visit: Visit, part: Part) -> None:
    """Write the body to disk as it comes; whatever ends it, what came is kept."""
    waiting: list[bytes] = []
    more, gone = True, False
    while more and not gone:
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                message = await visit.receive()
        except TimeoutError:
            message = {"type": "http.disconnect"}
        gone, more = message["type"] == "http.disconnect", bool(message.get("more_body"))
        waiting.append(message.get("body", b""))
        if gone or not more or sum(map(len, waiting)) >= PART:
            await _flushed(part, waiting)
    if gone:
        raise CancelledError("The client left before its upload was whole.")


async def _flushed(part: Part, waiting: list[bytes]) -> None:
    content = b"".join(waiting)
    waiting.clear()
    try:
        await asyncio.to_thread(part.write, content)
    except InvalidRequestError as fault:
        raise TooLargeError(fault.message, details=fault.details) from None


def _told(found: Hosted | Upload) -> Response:
    return replies.document(card(found), 201 if isinstance(found, Hosted) else 202)


# ------------------------------------------------------------------------------------------- servers by address


async def _registered(visit: Visit, body: JSON) -> Response:
    """Look at a server, and ask it from now on."""
    text = {name: checks.text(body.get(name), name) for name in ("name", "base_url", "api_key", "preset")}
    key = settings.sealed(text.pop("api_key"))
    if body.get("size") is not None or body.get("sha256") is not None:
        raise InvalidRequestError("A model is uploaded or has a base_url, not both.", details={"parameter": "base_url"})
    insecure = body.get("insecure")
    if insecure is not None:
        checks.flag(insecure, "insecure")
    if text["preset"] is not None and presets.preset(text["preset"]) is None:
        raise checks.wrong("preset", f"one of {', '.join(presets.known())}", text["preset"])
    name = registry.check(text["name"], "server")
    if visit.house.reach is None:
        raise InvalidRequestError("This server mocks its providers: it asks nobody.", details={"parameter": "base_url"})
    if name not in visit.house.registered and name in visit.house.reach.names:
        raise InvalidRequestError(f"There is a provider {name!r} already.", details={"parameter": "name"})
    url = settings.address(str(text["base_url"]), name)
    await asyncio.to_thread(_check_place, url)
    access = await asyncio.to_thread(
        settings.access, name, api_key=key, base_url=url, insecure=bool(insecure), preset=text["preset"],
        environ={},  # this machine's own keys go to no address that came over the network
    )  # fmt: skip
    connection = await connecting.looked(access)
    catalog.forget(name)
    for model in connection.models:
        catalog.register(model, preset=access.preset)
    await visit.house.reach.put(access)
    visit.house.registered[name] = connection
    return replies.document(_server(visit, name), 201)


def _server(visit: Visit, name: str) -> JSON:
    connection = visit.house.registered[name]
    more = {"status": "connected", "base_url": connection.base_url, "models": [one.name for one in connection.models]}
    return _card(name, name, 0, more)


def _check_place(url: str) -> None:
    """Refuse addresses that only machines of a cloud talk to among themselves: they give keys to who asks."""
    host = urlsplit(url).hostname or ""
    found: list[str] = []
    with contextlib.suppress(OSError, UnicodeError):  # whoever asks it will say so
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    for address in found:
        place = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(place, "ipv4_mapped", None) or place
        if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified or str(mapped) == "fd00:ec2::254":
            raise InvalidRequestError(
                f"{host[:80]!r} is not an address that models are served at.", details={"parameter": "base_url"}
            )
