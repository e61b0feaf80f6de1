"""The share server: the notebook's own client over HTTP, for colleagues, curl, JavaScript, Go and OpenAI's clients.

`serve` starts it on the engine's loop; the rooms behind it are `guard` (who comes in), `admission` (how much they may
ask), one module for each family of routes, and `wire` (the connection's deadlines).
"""

from __future__ import annotations

import weakref
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.server import binding
from prsm_lab.settings import limits_address

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from prsm_lab.client import Client
    from prsm_lab.ledger.redis_windows import RedisWindows
    from prsm_lab.server.house import House
    from prsm_lab.server.share import Share
    from prsm_lab.settings import Secret

__all__ = ["serve"]

_serving: Final[weakref.WeakKeyDictionary[Client, Share]] = weakref.WeakKeyDictionary()
"""Which client is served by whom, so that a cell that is run again finds its server."""


def serve(  # noqa: PLR0913 -- one for each setting of a server
    client: Client | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    hosts: Sequence[str] = (),
    cors: Sequence[str] = (),
    root_path: str = "",
    certfile: str | None = None,
    keyfile: str | None = None,
    expose: bool = False,
    most_bytes: int = 16 * 2**20,
    limits: str | None = None,
    most_model_bytes: int = 16 * 2**30,
    share_cache: bool = False,
) -> Share:
    """Share a client over HTTP, with its providers, ledger and preferences, and return at once.

    A colleague sets `PRSM_API_URL` to the server's `url` and `PRSM_API_KEY` to a key of `share.new_key(name)`; every
    function then works unchanged. Run again for the same client, it returns the server that runs already. The server
    ends with `share.stop()`, the kernel or the process. A forked child has no part in it and makes its own client.

    Args:
        client: The client to share; default the process-wide one.
        host: Address to bind; others than this machine's need `expose=True`.
        port: 0: a free one.
        hosts: More values of the `Host` header that mean this server: what colleagues see in their browser when it is
            behind a proxy (`hub.example.org`, with its port where that is not 80 or 443).
        cors: Sites whose pages may ask (`https://app.example.org`); none by default.
        root_path: Prefix under which a proxy shows the server (`/lab`), whether it takes it off or passes it on.
        certfile: TLS certificate; with `keyfile`, the server speaks https.
        keyfile: The certificate's key.
        expose: Bind another address than this machine's own.
        most_bytes: Cap of a request's body.
        most_model_bytes: Cap of a model that an admin uploads, and of what it unpacks to.
        share_cache: Serve an answer that one key got to others that ask for a cache (`cache_config`), who then see what
            it matched. Never the answers of this client itself. Without it nobody gets another's.
        limits: A Redis URL for the rate limits (`redis://…`, extra `server`); default `PRSM_LIMITS`, then the ledger.

    Raises:
        InvalidRequestError: If the client is itself a remote one, the port is taken, a host is not this machine's
            and `expose` is not set, or `hosts` or `root_path` is none.
        InternalError: If Redis does not answer, or the client was made before a fork.

    >>> import prsm_lab as lab
    >>> share = lab.serve(lab.Client(mock_mode=True, ledger=":memory:"))
    >>> key = share.new_key("ana", tier="Basic", credits=5.0, expires="7d")
    >>> share.stop()
    """
    from prsm_lab.client import default_client

    place = limits_address(limits)
    del limits  # a verbose traceback from here on shows no password
    shared = client or default_client()
    running = _serving.get(shared)
    if running is not None and running.running:
        _check_same(running, port)
        return running
    engine: Any = shared.engine
    if not hasattr(engine, "ledger"):
        raise InvalidRequestError(
            "This client is itself remote: its answers come from a share server. Give colleagues that server's address."
        )
    engine.check_process()
    binding.check(host, expose=expose, secure=certfile is not None)
    listener = binding.bound(host, port)
    try:
        names, prefix = binding.names(listener, hosts), binding.prefix(root_path)
    except BaseException:
        listener.close()
        raise
    terms = Terms(names, cors, prefix, certfile, keyfile, most_bytes, place, most_model_bytes, share_cache)
    return start(shared, listener, terms)


def start(client: Client, listener: socket.socket, terms: Terms) -> Share:
    """Serve a client on a socket that listens already."""
    try:
        share = portal.call(_made(client, listener, terms))
    except BaseException:
        listener.close()
        raise
    share.start()
    _serving[client] = share
    binding.raise_file_limit()
    return share


class Terms(NamedTuple):
    """How a server is to be run."""

    hosts: frozenset[str]
    cors: Sequence[str] = ()
    root_path: str = ""
    certfile: str | None = None
    keyfile: str | None = None
    most_bytes: int = 16 * 2**20
    limits: Secret | None = None
    """URL of the Redis that keeps the rate limits; None: the ledger does."""
    most_model_bytes: int = 16 * 2**30
    share_cache: bool = False
    """An answer to one key may serve another from the cache."""


async def _made(client: Client, listener: socket.socket, terms: Terms) -> Share:
    """Build the server on the engine's loop, where its connections and events belong."""
    import uvicorn

    from prsm_lab.server import app, wire
    from prsm_lab.server.share import Share

    house = build(client, terms)
    try:
        await house.admission.ready()
    except BaseException:
        house.accounts.close()
        raise
    config = wire.config(app.make(house), terms)
    address, number = listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    url = f"{'https' if terms.certfile else 'http'}://{shown}:{number}{terms.root_path}"
    return Share(client.engine, house.accounts, house, uvicorn.Server(config), listener, url)


def build(client: Client, terms: Terms) -> House:
    """Put a server's means together from a client."""
    from prsm_lab import local
    from prsm_lab.ledger.windows import LedgerWindows
    from prsm_lab.server.admission import Admission
    from prsm_lab.server.house import House

    engine: Any = client.engine
    local.enlist()
    redis = None if terms.limits is None else _redis(terms.limits)
    accounts = engine.ledger.accounts()
    return House(
        engine=engine, accounts=accounts, admission=Admission(accounts, redis or LedgerWindows(accounts), engine),
        preferences=client.preferences, timeout=client.timeout, hosts=terms.hosts,
        origins=frozenset(origin.lower().rstrip("/") for origin in terms.cors), root_path=terms.root_path,
        most_bytes=terms.most_bytes, reach=client.reach, most_model_bytes=terms.most_model_bytes,
        share_cache=terms.share_cache,
    )  # fmt: skip


def _redis(address: Secret) -> RedisWindows:
    if find_spec("redis") is None:
        raise InvalidRequestError(
            'Rate limits in Redis need its client: pip install "prsm-lab[server]".', details={"parameter": "limits"}
        )
    from prsm_lab.ledger.redis_windows import RedisWindows

    return RedisWindows(address)


def _check_same(running: Share, port: int) -> None:
    if port and not running.url.split("/")[2].endswith(f":{port}"):
        raise InvalidRequestError(
            f"This client is served already at {running.url}; stop that server first, or leave port out.",
            details={"parameter": "port"},
        )
