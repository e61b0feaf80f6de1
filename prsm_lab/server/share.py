"""A running share server: started from a cell, stopped from a cell, gone with the kernel."""

from __future__ import annotations

import asyncio
import atexit
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from prsm_lab.engine import portal
from prsm_lab.errors import InternalError, InvalidRequestError
from prsm_lab.server import keys as keyring
from prsm_lab.types import Key

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from prsm_lab.ledger.accounts import Accounts
    from prsm_lab.protocols import Engine
    from prsm_lab.server.house import House

T = TypeVar("T")
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 8.0
CLOSING_SECONDS: Final = 1.0
"""What open streams get to say goodbye."""


class Share:
    """A share server at work; `stop()` ends it, and so does the end of the process.

    Its value in a cell shows the address, a curl to copy and live counts, never a key.
    """

    def __init__(
        self, engine: Engine, accounts: Accounts, house: House, server: Any, listener: socket.socket, url: str
    ) -> None:
        self.url = url
        """The address to give to colleagues, as `PRSM_API_URL`."""
        self._accounts = accounts
        self._house = house
        self._server = server
        self._listener = listener
        self._engine = engine
        self._pid = os.getpid()
        self._began = time.time()
        self.last_key: str | None = None
        """The beginning of the key that was made last."""
        self._job: portal.Job[None] | None = None
        self._cards: list[Callable[[], None]] = []
        self._watch: portal.Job[None] | None = None
        atexit.register(_stop_if_alive, weakref.ref(self))

    def start(self) -> None:
        """Serve on the engine's own loop; return when the first request would be answered."""
        self._job = portal.begin(self._server.serve(sockets=[self._listener]))
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            if self._job.wait(0.005):
                self._job.result()
                raise InternalError("The share server ended while it was starting.")
            if time.monotonic() > until:
                self.stop()
                raise InternalError(f"The share server did not start within {START_SECONDS:.0f} s.")

    @property
    def running(self) -> bool:
        """Is it answering?"""
        return self._job is not None and os.getpid() == self._pid and not self._job.wait(0)

    def stop(self) -> None:
        """End it: open streams get a last word, then all connections close. A second call does nothing."""
        if self._job is None or os.getpid() != self._pid:
            return
        if not self._job.wait(0):
            portal.call(self._close())
            self._job.wait(STOP_SECONDS)
            portal.call(self._house.admission.aclose())
        if self._watch is not None:
            self._watch.cancel()
        self._listener.close()
        self._accounts.close()
        self._job = None
        self._show()

    async def _close(self) -> None:
        self._house.closing.set()
        until = time.monotonic() + CLOSING_SECONDS
        while self._house.counts["open"] and time.monotonic() < until:  # noqa: ASYNC110 -- once, at the end
            await asyncio.sleep(0.02)
        jobs = list(self._house.jobs.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=CLOSING_SECONDS)
        self._server.should_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ------------------------------------------------------------------------------------------------- keys

    def new_key(
        self,
        name: str,
        *,
        tier: str = "Free",
        credits: float | None = None,
        models: Sequence[str] | None = None,
        expires: str | float | None = None,
        scopes: Sequence[str] = ("infer", "read"),
        limits: Mapping[str, int | None] | None = None,
    ) -> str:
        """Make a key for somebody and return it, this once: only a digest of it is kept.

        Args:
            name: Whose it is. A person's keys share limits and history.
            tier: `Free` (20 requests and 40,000 tokens a minute, 2 at once), `Basic`, `Pro`, `Enterprise`.
            credits: USD that it may spend; None: as much as the limits allow.
            models: Names of the models that may answer; None: all.
            expires: `"12h"`, `"7d"`, `"2w"`, or seconds from now; None: never.
            scopes: Of `infer`, `read`, `admin` (an admin sees everybody's inferences and makes keys).
            limits: For tier `Enterprise`: `requests_per_minute`, `tokens_per_minute`, `concurrent`.

        Raises:
            InvalidRequestError: Naming the parameter.
        """
        made = self._on_loop(
            lambda: keyring.make(
                self._accounts, name, tier=tier, credits=credits, models=models, expires=expires, scopes=scopes,
                limits=limits,
            )
        )  # fmt: skip
        self.last_key = f"pk_{made.split('_')[1]}_…"
        return made

    def keys(self) -> pd.DataFrame:
        """Return all keys as a frame, newest first: who, tier, what is left, when it was used last."""
        import pandas as pd

        rows = [key.to_dict() for key in self._on_loop(self._accounts.all)]
        made = pd.DataFrame([{k: v for k, v in row.items() if k != "limits"} | row["limits"] for row in rows])
        for name in ("created", "expires", "last_used"):
            if name in made:
                made[name] = pd.to_datetime(made[name], unit="s", utc=True)
        return made

    def revoke(self, key: str) -> None:
        """End a key for good, by its id or by the key itself; its open streams end within a second."""
        self._on_loop(lambda: self._accounts.revoke(Key.id_of(key)))

    def rotate(self, key: str) -> str:
        """End a key and return its successor: same person, tier, scopes, and what is left of its credits."""
        return self._on_loop(lambda: keyring.rotate(self._accounts, Key.id_of(key)))

    def top_up(self, key: str, credits: float) -> None:
        """Add USD to a key's credits."""
        self._on_loop(lambda: self._accounts.top_up(Key.id_of(key), credits))

    def _on_loop(self, work: Callable[[], T]) -> T:
        """The ledger's connections belong to the engine's loop."""
        if os.getpid() != self._pid:
            raise InvalidRequestError("This share server belongs to the process before the fork.")
        if not self.running:
            raise InvalidRequestError("This share server has stopped; start another with lab.serve().")

        async def run() -> T:
            return work()

        return portal.call(run())

    # ------------------------------------------------------------------------------------------------- showing

    @property
    def counts(self) -> dict[str, int]:
        """Requests and streams so far, and streams open now."""
        return dict(self._house.counts)

    @property
    def curl(self) -> str:
        """A command to copy; the key comes from the reader's environment."""
        lines = (
            f"curl {self.url}/v1/inference",
            '-H "Authorization: Bearer $PRSM_API_KEY"',
            "-H 'Content-Type: application/json'",
            """-d '{"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}'""",
        )
        return " \\\n  ".join(lines)

    def __repr__(self) -> str:
        state = "" if self.running else " (stopped)"
        return f"<Share {self.url}{state}>"

    def _repr_html_(self) -> str:
        from prsm_lab.server.card import card

        return card(self)

    def _ipython_display_(self) -> None:
        """Show the card, and keep its counts true while the server works."""
        from prsm_lab.server import card

        self._cards.append(card.show(self))
        if self._watch is None and self.running:
            self._watch = portal.begin(self._keep_current(card.REFRESH_SECONDS))

    def forget_cards(self) -> None:
        """Leave what is shown in cells as it is."""
        self._cards.clear()

    async def _keep_current(self, seconds: float) -> None:
        told = (self.counts, self.last_key)
        while True:
            await asyncio.sleep(seconds)
            if (now := (self.counts, self.last_key)) != told:
                told = now
                self._show()

    def _show(self) -> None:
        for update in self._cards:
            update()


def _stop_if_alive(reference: weakref.ref[Share]) -> None:
    share = reference()
    if share is not None:
        share.forget_cards()  # nobody listens to the kernel any more
        share.stop()
