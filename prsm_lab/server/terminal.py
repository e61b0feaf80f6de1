"""`prsm-lab serve` and `prsm-lab keys`: the share server without a notebook, in one process or several.

Workers accept from one listening socket and share one ledger: keys, limits, credits and answers are the same whichever
worker is asked. A worker that dies is started again; none outlives its parent.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import NotFoundError
from prsm_lab.server import Terms, binding, keys, start
from prsm_lab.settings import limits_address

if TYPE_CHECKING:
    import argparse

    from prsm_lab.ledger.accounts import Accounts
    from prsm_lab.server.share import Share

LOOK_SECONDS: Final = 0.2
RESTART_SECONDS: Final = 1.0
"""A worker that dies at once is not started again in a tight loop."""


def serve(given: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    for file in given.router:
        _routes(file)
    if given.fd is not None:
        return _work(given, socket.socket(fileno=given.fd))
    binding.check(given.host, expose=given.expose, secure=given.certfile is not None)
    given.root_path = binding.prefix(given.root_path)
    listener = binding.bound(given.host, given.port)
    binding.names(listener, given.allow_host)  # what is wrong with them is said once, not by every worker
    if given.workers > 1:
        return _supervise(given, listener)
    return _work(given, listener, first=True)


def _routes(file: str) -> None:
    """Let questions name a router that was saved."""
    from prsm_lab.frames.router import load_router

    if not Path(file).is_file():
        raise NotFoundError(f"No file {file!r}: Router.save(path) writes one.", details={"parameter": "router"})
    load_router(file)


def _work(given: argparse.Namespace, listener: socket.socket, *, first: bool = False) -> int:
    """One process: the default client's engine behind the socket."""
    from prsm_lab.client import Client

    ended = _signalled()
    terms = Terms(
        binding.names(listener, given.allow_host), given.cors, given.root_path, given.certfile, given.keyfile,
        limits=limits_address(given.limits), share_cache=given.share_cache,
    )  # fmt: skip
    with Client(ledger=given.ledger) as client:
        share = start(client, listener, terms)
        if first:
            _greet(share, given)
        # A worker's standard input closes when its parent is gone, however it went: readable, like a signal.
        ends = [ended] if first else [ended, sys.stdin]
        while share.running and not select.select(ends, [], [], LOOK_SECONDS)[0]:
            pass
        share.stop()
    return 0


def _supervise(given: argparse.Namespace, listener: socket.socket) -> int:
    """Keep so many workers alive on one socket."""
    ended = _signalled()
    command = [sys.executable, "-m", "prsm_lab", *_options(given), "--fd", str(listener.fileno())]
    workers: list[subprocess.Popen[bytes]] = []
    address, port = listener.getsockname()[:2]
    scheme = "https" if given.certfile else "http"
    print(f"Share server on {scheme}://{address}:{port}{given.root_path} with {given.workers} workers", flush=True)
    try:
        while True:
            workers = [worker for worker in workers if worker.poll() is None]
            while len(workers) < given.workers:
                workers.append(_worker(command, listener, _places(given)))
            if select.select([ended], [], [], RESTART_SECONDS)[0]:
                break
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(10)
            worker.kill()
            worker.wait()
        listener.close()
    return 0


def _worker(command: list[str], listener: socket.socket, places: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=subprocess.PIPE, env={**os.environ, **places})


def _places(given: argparse.Namespace) -> dict[str, str]:
    """Where ledger and limits are: by environment, for their passwords would show in the list of processes."""
    named = {"PRSM_LEDGER": given.ledger, "PRSM_LIMITS": given.limits}
    return {name: place for name, place in named.items() if place is not None}


def _options(given: argparse.Namespace) -> list[str]:
    options = ["serve", "--root-path", given.root_path]
    for name in ("certfile", "keyfile"):
        if getattr(given, name) is not None:
            options += [f"--{name}", str(getattr(given, name))]
    options += ["--share-cache"] if given.share_cache else []
    for name, values in (("--allow-host", given.allow_host), ("--cors", given.cors), ("--router", given.router)):
        for value in values:
            options += [name, value]
    return options


def _signalled() -> socket.socket:
    """A socket that can be read once somebody asked us to end (Ctrl-C, SIGTERM)."""
    ended, written = socket.socketpair()
    written.setblocking(False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(written.detach())
    return ended


def _greet(share: Share, given: argparse.Namespace) -> None:
    print(f"Share server on {share.url}   (playground at /, API at /docs; Ctrl-C ends it)")
    print(share.curl)
    if given.new_key:
        print(f"PRSM_API_KEY={share.new_key(given.new_key, tier=given.tier)}   # {given.new_key}, shown this once")
    sys.stdout.flush()


# ------------------------------------------------------------------------------------------------------ keys


def manage(given: argparse.Namespace) -> int:
    """Make, list, revoke, rotate keys, or add credits, in the ledger's file; running servers see it at once."""
    from prsm_lab.ledger import Ledger
    from prsm_lab.settings import settings

    ledger = Ledger.open(settings(ledger=given.ledger).ledger)
    book = ledger.accounts()
    try:
        _ACTIONS[given.action](book, given)
    finally:
        book.close()
        ledger.close()
    return 0


def _new(book: Accounts, given: argparse.Namespace) -> None:
    models = given.models.split(",") if given.models else None
    print(keys.make(
        book, given.name, tier=given.tier, credits=given.credits, models=models, expires=given.expires,
        scopes=given.scopes.split(","),
    ))  # fmt: skip


def _list(book: Accounts, _: argparse.Namespace) -> None:
    line = "{:14} {:20} {:11} {:>10} {:20} {}"
    print(line.format("id", "name", "tier", "credits", "last used (UTC)", ""))
    for key in book.all():
        used = "never" if key.last_used is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(key.last_used))
        left = "–" if key.credits is None else f"{key.credits:.4f}"
        print(line.format(key.id, key.person, key.tier, left, used, "" if key.is_good(time.time()) else "ended"))


def _revoke(book: Accounts, given: argparse.Namespace) -> None:
    print(f"{book.revoke(given.name).hint} is revoked")


def _rotate(book: Accounts, given: argparse.Namespace) -> None:
    print(keys.rotate(book, given.name))


def _credit(book: Accounts, given: argparse.Namespace) -> None:
    print(f"{book.top_up(given.name, given.credits or 0.0).credits:.4f}")


_ACTIONS: Final[dict[str, Any]] = {"new": _new, "list": _list, "revoke": _revoke, "rotate": _rotate, "credit": _credit}
