"""The server's map: which address is whose. One short way: guard, router, one handler."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route, Router

from prsm_lab.errors import NotFoundError
from prsm_lab.server import hosting, inferences, openai, reports, runs, streams
from prsm_lab.server.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from prsm_lab.server.house import House
    from prsm_lab.server.visit import Visit

    Handler = Callable[[Visit], Awaitable[ASGIApp]]

ROUTES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("POST", "/v1/inference", inferences.create),
    ("POST", "/v1/inference/stream", streams.stream),
    ("POST", "/v1/chat/completions", openai.chat),
    ("POST", "/v1/inference/batch", inferences.batch),
    ("POST", "/v1/inference/check", inferences.check),
    ("GET", "/v1/inference", inferences.listed),
    ("GET", "/v1/inference/analytics", reports.analytics),
    ("GET", "/v1/inference/performance", reports.performance),
    ("GET", "/v1/inference/providers", reports.get_providers),
    ("PUT", "/v1/inference/providers", reports.put_providers),
    ("GET", "/v1/inference/{id}", inferences.get),
    ("GET", "/v1/models", reports.models),
    ("GET", "/v1/models/{id:path}", reports.model),
    ("POST", "/v1/models", hosting.announce),
    ("PUT", "/v1/models/{id:path}", hosting.receive),
    ("DELETE", "/v1/models/{id:path}", hosting.delete),
    ("POST", "/v1/runs", runs.begin),
    ("POST", "/v1/runs/recall", runs.recall),
    ("POST", "/v1/runs/receipts", runs.receipts),
    ("GET", "/v1/runs", runs.runs),
    ("GET", "/v1/runs/{id:path}", runs.replay),
    ("GET", "/v1/keys/me", reports.my_key),
    ("GET", "/v1/keys", reports.list_keys),
    ("POST", "/v1/keys", reports.new_key),
    ("DELETE", "/v1/keys/{id}", reports.revoke_key),
    ("POST", "/v1/keys/{id}/rotate", reports.rotate_key),
)
"""Method, path, handler: all that needs a key. `openapi` describes each, a test compares the two lists."""

_KINDS: Final = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_PAGE: Final = files("prsm_lab.server").joinpath("page")


def make(house: House) -> ASGIApp:
    """Build the server's ASGI application."""
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in ROUTES:
        by_path.setdefault(path, {})[method] = handler
    routes = [Route(path, _Address(handlers), methods=list(handlers)) for path, handlers in by_path.items()]
    routes += [Route(path, _Open(handler), methods=["GET"]) for path, handler in _OPEN.items()]
    return Guard(Router(routes, redirect_slashes=False, default=_nothing), house)


class _Address:
    """A handler as ASGI, without a framework's layers between."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers["GET" if scope["method"] == "HEAD" else scope["method"]]
        visit: Visit = scope["visit"]
        await (await handler(visit))(scope, receive, send)


class _Open:
    """An address that needs no key."""

    def __init__(self, handler: Callable[[Scope], Response]) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._handler(scope)(scope, receive, send)


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFoundError("There is nothing at this address; /docs lists what there is.")


def _health(_: Scope) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


def _page(scope: Scope) -> Response:
    """The playground; names are looked up in the folder's own list, so no path of a visitor touches the disk."""
    name = scope.get("path_params", {}).get("name", "index.html")
    found = next((entry for entry in _PAGE.iterdir() if entry.name == name and entry.is_file()), None)
    if found is None:
        raise NotFoundError("There is nothing at this address; /docs lists what there is.")
    return Response(found.read_bytes(), media_type=_KINDS.get(name.rpartition(".")[2], "application/octet-stream"))


def _docs(_: Scope) -> Response:
    from prsm_lab.server import docs

    return Response(docs.page(), media_type="text/html")


def _openapi(_: Scope) -> Response:
    from prsm_lab.server import openapi

    return Response(openapi.encoded(), media_type="application/json")


_OPEN: Final[dict[str, Callable[[Scope], Response]]] = {
    "/healthz": _health,
    "/": _page,
    "/page/{name}": _page,
    "/docs": _docs,
    "/openapi.json": _openapi,
}
"""Addresses that need no key."""
