"""Limits per minute that several processes of one key share, and the pauses that they tell each other.

A connection of its own whose commits cost no disk flush: what a power cut loses is long past when power is back.
Opened only when a limit is set by hand, or when there is a pause to look for.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prsm_lab.errors import InternalError
from prsm_lab.ledger.database import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prsm_lab.ledger.database import Database

STALE_SECONDS: Final = 3600.0
"""Rows of routes that nobody asks any more go after so long."""
_COUNT: Final = "SELECT count(*), coalesce(sum(tokens), 0) FROM pace_hit WHERE route = ? AND at > ?"
_LIST: Final = "SELECT at, tokens FROM pace_hit WHERE route = ? AND at > ? ORDER BY at"
_FORGET: Final = "DELETE FROM pace_hit WHERE route = ? AND at <= ?"
_ADD: Final = "INSERT INTO pace_hit (id, route, at, tokens) VALUES (?, ?, ?, ?)"
_CORRECT: Final = "UPDATE pace_hit SET at = ?, tokens = ? WHERE route = ? AND at = ? AND id = ?"
_REST: Final = """
INSERT INTO pace_rest (route, until) VALUES (?, ?)
ON CONFLICT (route) DO UPDATE SET until = excluded.until WHERE excluded.until > pace_rest.until
"""


class PaceBook:
    """What the processes of one ledger tell each other of their routes; made by `Ledger.pace_book`."""

    def __init__(self, connection: Database) -> None:
        self._connection = connection
        connection.relax()

    def tidy(self, now: float) -> None:
        """Forget what is long past, of every route."""
        with self._transaction("pace") as file:
            file.execute("DELETE FROM pace_hit WHERE at < ?", (now - STALE_SECONDS,))
            file.execute("DELETE FROM pace_rest WHERE until < ?", (now - STALE_SECONDS,))

    def admit(
        self, route: str, id: str, at: float, tokens: int, *, rpm: int | None, tpm: int | None, window: float
    ) -> list[tuple[float, int]] | None:
        """Write a request down if it fits into the window that ends now.

        Args:
            route: Provider, model and a digest of the key.
            id: The request's.
            at: Unix time of now.
            tokens: Reserved for it.
            rpm: Most requests in a window; None: any number.
            tpm: Most tokens in a window; None: any number.
            window: Its length in seconds.

        Returns:
            None: it may be sent. Else what lies in the window, oldest first: when it was sent, and its tokens.

        Raises:
            InternalError: If the ledger cannot be written.
        """
        since = at - window
        with self._transaction(route) as file:
            file.execute(_FORGET, (route, since))
            requests, used = file.execute(_COUNT, (route, since)).fetchone()
            if (rpm is None or requests < rpm) and (tpm is None or used + tokens <= tpm):
                file.execute(_ADD, (id, route, at, tokens))
                return None
            return [(row["at"], row["tokens"]) for row in file.execute(_LIST, (route, since)).fetchall()]

    def correct(self, route: str, id: str, at: float, *, tokens: int, arrived: float) -> None:
        """Count what a request really used, from when it may have arrived.

        Raises:
            InternalError: If the ledger cannot be written.
        """
        with self._transaction(route) as file:
            file.execute(_CORRECT, (arrived, tokens, route, at, id))

    def rest(self, route: str, until: float) -> None:
        """Tell the others until when a route rests; a longer pause that they know of stays.

        Raises:
            InternalError: If the ledger cannot be written.
        """
        with self._transaction(route) as file:
            file.execute(_REST, (route, until))

    def resting(self, route: str) -> float:
        """Return the Unix time until which a route rests, as far as anybody was told; 0: nobody was.

        Raises:
            InternalError: If the ledger cannot be read.
        """
        try:
            row = self._connection.execute("SELECT until FROM pace_rest WHERE route = ?", (route,)).fetchone()
        except self._connection.FAULTS as fault:
            raise _unusable(fault) from fault
        return 0.0 if row is None else float(row["until"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _transaction(self, about: str) -> Iterator[Database]:
        try:
            with self._connection.transaction(about):
                yield self._connection
        except self._connection.FAULTS as fault:
            raise _unusable(fault) from fault


def _unusable(fault: Exception) -> InternalError:
    return InternalError(f"The ledger's shared pace cannot be used ({words(fault)}).", details={"kind": "ledger"})
