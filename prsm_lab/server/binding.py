"""Where a server listens, and by which names it is known."""

from __future__ import annotations

import ipaddress
import re
import socket
import warnings
from typing import TYPE_CHECKING, Final

from prsm_lab.addresses import loopback
from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = re.compile(r"(/[\w.~@:+=,-]+)*", re.ASCII)
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9a-f:.]+\])(:\d+)?", re.ASCII)


def check(host: str, *, expose: bool, secure: bool) -> None:
    """Refuse an address that the network can reach, unless that is meant."""
    if loopback(host):
        return
    if not expose:
        raise InvalidRequestError(
            f"host={host!r} would show this server to the network; pass expose=True if that is meant.",
            details={"parameter": "host"},
        )
    if not secure:
        warnings.warn(
            f"The share server is bound to {host} and speaks plain HTTP: keys and prompts cross the network in the "
            "open. Pass certfile= and keyfile=, or put it behind a proxy that speaks TLS.",
            stacklevel=4,
        )


def bound(host: str, port: int) -> socket.socket:
    """Return a listening socket; a port is never silently another one."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named, so that asyncio knows its connections for TCP and sends small pieces at once (TCP_NODELAY).
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as fault:
        raise InvalidRequestError(
            f"Port {port} on {host} cannot be had ({fault.strerror}); choose another, or 0 for a free one.",
            details={"parameter": "port"},
        ) from None
    listener.set_inheritable(False)
    return listener


def names(listener: socket.socket, more: Sequence[str]) -> frozenset[str]:
    """Return the hosts that mean this server: its own address and this machine's names for itself."""
    address, port = listener.getsockname()[:2]
    own = {"127.0.0.1", "localhost", "[::1]", f"[{address}]" if ":" in address else address}
    if ipaddress.ip_address(address).is_unspecified:  # every address of this machine
        own |= {socket.gethostname().lower(), *_addresses()}
    usual = own if port in (80, 443) else set()
    return frozenset({f"{name}:{port}" for name in own} | usual | {_named(name) for name in more})


def _named(host: str) -> str:
    """A host as a `Host` header has it, not an address with scheme and path."""
    if not _HOST.fullmatch(host.lower()):
        raise InvalidRequestError(
            f"hosts names values of the Host header (hub.example.org, or with its port hub.example.org:8000), not "
            f"{host!r:.80}.",
            details={"parameter": "hosts"},
        )
    return host.lower()


def prefix(root_path: str) -> str:
    """Return the prefix under which a proxy shows the server, as `/lab`; none as an empty text.

    >>> prefix("/lab/"), prefix("lab"), prefix("/")
    ('/lab', '/lab', '')

    Raises:
        InvalidRequestError: If it is no path.
    """
    path = root_path.strip("/")
    path = f"/{path}" if path else ""
    if not _PREFIX.fullmatch(path):
        raise InvalidRequestError(
            f"root_path must be a path such as /lab or /user/ana/proxy/8899, not {root_path!r:.80}.",
            details={"parameter": "root_path"},
        )
    return path


def _addresses() -> set[str]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {f"[{entry[4][0]}]" if entry[0] == socket.AF_INET6 else str(entry[4][0]) for entry in found}


def raise_file_limit() -> None:
    """A thousand streams need two files each, theirs and the provider's."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096 <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
