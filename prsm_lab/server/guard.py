"""The door: which requests come in at all, who asks, and what every answer carries.

A web page open in the same browser can reach a server on this machine. So the host must be ours (DNS rebinding), no
foreign page may ask (CSRF), and a key is needed even here. Keys travel in headers only, never in cookies or addresses.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from prsm_lab.errors import (
    AuthenticationError,
    CancelledError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    PRSMError,
    RateLimitError,
)
from prsm_lab.server import keys, outside
from prsm_lab.server.visit import Visit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from prsm_lab.server.house import House
    from prsm_lab.types import Key

log = logging.getLogger("prsm_lab.server")

OPEN: Final = frozenset({"/healthz", "/", "/docs", "/openapi.json"})
"""Paths that need no key: they tell nothing but that this is a share server."""
FAILURES: Final = 10
FAILURE_SECONDS: Final = 60.0
USED_EVERY: Final = 60.0
_OURS: Final = b"authorization, x-api-key, content-type, idempotency-key"
_THEIRS: Final = re.compile(rb"x-stainless-[a-z-]{1,40}|openai-(organization|project|beta)")
_SAFE: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class HostError(InvalidRequestError):
    """A request for another host that reached us: the sign of DNS rebinding."""

    status = 421


class OriginError(AuthenticationError):
    """Another site's page asks."""

    status = 403


class Guard:
    """ASGI: checks, lets in, and dresses every answer."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app = app
        self._house = house
        self._failures: dict[str, list[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began, request_id, state = time.perf_counter(), f"req_{secrets.token_hex(8)}", _State()
        headers = dict(scope["headers"])
        self._house.counts["requests"] += 1

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                state.status = message["status"]
                extra = [*_SAFE, (b"content-security-policy", _POLICY), (b"x-request-id", request_id.encode())]
                message["headers"] = [*message["headers"], *extra, *self._cors(headers), *await self._limits(state)]
            await send(message)

        try:
            await self._admit(scope, receive, dressed, headers, state)
        except CancelledError:
            pass  # nobody is there to be told
        except PRSMError as error:
            if state.status is None:
                await _envelope(error, scope, state)(scope, receive, dressed)
        except HTTPException as refused:
            answer = _envelope(_of_router(refused), scope, state)
            answer.headers.update(refused.headers or {})  # which methods the address has
            await answer(scope, receive, dressed)
        except Exception:  # the edge: what nobody foresaw is one line to the client and a traceback in the log
            log.exception("request %s failed", request_id)
            if state.status is not None:
                raise
            fault = InternalError(f"The share server failed; its log tells more under {request_id}.")
            await _envelope(fault, scope, state)(scope, receive, dressed)
        finally:
            took = (time.perf_counter() - began) * 1000
            who = state.key.hint if state.key else "-"
            log.info("%s %s %s %s %.1f ms", scope["method"], _printable(scope["path"]), state.status, who, took)

    async def _admit(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes], state: _State
    ) -> None:
        self._check_host(headers)
        path = _path(scope)
        if self._check_origin(headers) and scope["method"] == "OPTIONS":
            await Response(status_code=204)(scope, receive, send)
            return
        if not path:
            await _to_page(scope)(scope, receive, send)
            return
        if path not in OPEN and not path.startswith("/page/"):
            state.key = self._holder(scope)
            scope["visit"] = Visit(scope, receive, send, self._house, state.key)
        scope["app"] = self  # the router then raises a refused method instead of answering in its own words
        await self._app(scope, receive, send)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self._house.hosts:
            raise HostError(
                f"This server does not answer for the host {_printable(host)!r}. If a proxy shows it under that name, "
                "its owner says so: lab.serve(hosts=[…]), prsm-lab serve --allow-host …",
                details={"kind": "host"},
            )

    def _check_origin(self, headers: dict[bytes, bytes]) -> bool:
        """Refuse foreign pages; True where a listed one asks."""
        origin = headers.get(b"origin")
        if origin is None:
            if headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site"):
                raise OriginError("Another site's page may not ask this server.", details={"kind": "origin"})
            return False
        said = origin.decode("latin-1").lower()
        if said in self._house.origins:
            return True
        scheme, _, host = said.partition("://")
        if scheme not in ("http", "https") or host not in self._house.hosts:
            raise OriginError("Another site's page may not ask this server.", details={"kind": "origin"})
        return False

    def _holder(self, scope: Scope) -> Key:
        given = _key(scope["headers"])
        key = keys.holder(self._house.accounts, given) if given else None
        if key is None:
            if given:  # who sends none does not guess
                self._count_failure(scope["client"][0] if scope.get("client") else "-")
            raise AuthenticationError(
                "No good API key came with this request. Send it as `Authorization: Bearer pk_…` (behind a proxy that "
                "uses that header itself, as `X-API-Key`); the server's owner makes one with share.new_key(name).",
                details={"parameter": "Authorization", "expected_type": "Bearer pk_…"},
            )
        if key.last_used is None or time.time() - key.last_used > USED_EVERY:
            self._house.accounts.used(key.id, time.time())
        return key

    def _count_failure(self, peer: str) -> None:
        """Refuse who guesses. A good key is never refused for it: behind a proxy all come from one address."""
        now = time.monotonic()
        recent = [when for when in self._failures.get(peer, ()) if now - when < FAILURE_SECONDS]
        if len(recent) >= FAILURES:
            raise RateLimitError(
                "Too many wrong keys came from this address.", retry_after=FAILURE_SECONDS, details={"kind": "keys"}
            )
        if len(self._failures) > 10_000:
            self._failures.clear()
        self._failures[peer] = [*recent, now]

    async def _limits(self, state: _State) -> list[tuple[bytes, bytes]]:
        if state.key is None:
            return []
        try:
            standing = await self._house.admission.standing(state.key)
        except InternalError:
            return []  # an answer that is paid for arrives also where its limits cannot be read
        wait = b"0" if state.retry_after is None else str(state.retry_after).encode()
        if standing.limit is None:
            limit, remaining = b"unlimited", b"unlimited"
        else:
            limit, remaining = str(standing.limit).encode(), str(standing.remaining).encode()
        return [
            (b"x-ratelimit-limit", limit),
            (b"x-ratelimit-remaining", remaining),
            (b"x-ratelimit-reset", str(int(standing.reset + 0.999)).encode()),
            (b"x-ratelimit-retry-after", wait),
        ]

    def _cors(self, headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        origin = headers.get(b"origin")
        if origin is None or origin.decode("latin-1").lower() not in self._house.origins:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"vary", b"origin"),
            (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
            (b"access-control-allow-headers", _headers_allowed(headers.get(b"access-control-request-headers", b""))),
            (b"access-control-expose-headers", b"retry-after, x-request-id, x-ratelimit-remaining"),
        ]


def _headers_allowed(asked: bytes) -> bytes:
    """Ours, and those that OpenAI's SDK sends along from a browser; they mean nothing here."""
    theirs = [name.strip() for name in asked.lower().split(b",") if _THEIRS.fullmatch(name.strip())]
    return b", ".join([_OURS, *theirs])


class _State:
    """What the door learns of a request while it passes."""

    def __init__(self) -> None:
        self.key: Key | None = None
        self.status: int | None = None
        self.retry_after: int | None = None


def _key(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """The one key that was sent. jupyter-server-proxy puts Jupyter's own token into Authorization: X-API-Key wins."""
    own = [value for name, value in headers if name == b"x-api-key"]
    bearers = [value for name, value in headers if name == b"authorization"]
    if own:
        return own[0].strip() if len(own) == 1 else b"-"
    if not bearers:
        return None
    kind, _, key = bearers[0].partition(b" ")
    return key.strip() if len(bearers) == 1 and kind.lower() == b"bearer" else b"-"


def _path(scope: Scope) -> str:
    """The path within this server; empty for the prefix without its slash.

    Some proxies take the prefix off, others pass the whole path on: then uvicorn has put it in front twice.
    """
    prefix = scope.get("root_path", "")
    path: str = scope["path"].removeprefix(prefix)
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path.removeprefix(prefix)
        scope["path"] = prefix + path
    return path


def _to_page(scope: Scope) -> Response:
    """`/lab` becomes `/lab/`, from where the page's relative addresses lead here. Relative: a proxy may add to it."""
    return Response(status_code=308, headers={"location": scope["root_path"].rpartition("/")[2] + "/"})


def _envelope(error: PRSMError, scope: Scope, state: _State) -> Response:
    visit = scope.get("visit")
    headers = {}
    if error.retry_after is not None:
        state.retry_after = max(1, int(error.retry_after + 0.999))
        headers["retry-after"] = str(state.retry_after)
    if error.status == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    openai = scope["path"].endswith("/chat/completions")
    if openai:
        from prsm_lab.server.openai import envelope

        body = envelope(outside.error(error))
    else:
        body = outside.document(error, whole=visit is not None and visit.whole)
    return Response(
        msgspec.json.encode(body, enc_hook=str), error.status, headers=headers, media_type="application/json"
    )


def _of_router(refused: HTTPException) -> PRSMError:
    if refused.status_code == 404:
        return NotFoundError("There is nothing at this address; /docs lists what there is.")
    error = InvalidRequestError(f"This address is not asked that way ({refused.detail}); /docs lists how.")
    error.status = refused.status_code  # type: ignore[misc]
    return error


def _printable(path: str) -> str:
    return path[:200].encode("unicode_escape").decode()
