"""Whose turn it is to ask a run: of several calls, here or in other processes, one asks and all have its answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prsm_lab.ledger import owners

if TYPE_CHECKING:
    from prsm_lab.ledger.database import Row
    from prsm_lab.ledger.store import Ledger

_TAKEN: Final = "SELECT owner, holder, seen FROM turn WHERE run_id = ?"
_TAKE: Final = """
INSERT INTO turn (run_id, owner, holder, seen) VALUES (?, ?, ?, ?)
ON CONFLICT (run_id) DO UPDATE SET owner = excluded.owner, holder = excluded.holder, seen = excluded.seen
"""
_LEAVE: Final = "DELETE FROM turn WHERE run_id = ? AND holder = ?"
_at_work: Final[set[str]] = set()
"""Holders in this process: the turn of another one is free, which a full disk kept from being given back."""


class TurnBook:
    """The turns that a ledger keeps; to be used on the engine's loop, where the ledger lives."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def take(self, run: str, holder: str) -> str | None:
        """Take a run's turn, or say again that one is at work.

        Args:
            run: The run's id.
            holder: Who asks.

        Returns:
            None if it is the holder's; else the mark of the process whose it is.
        """
        with self._ledger.connection.transaction(f"turn {run}") as file:
            row = file.execute(_TAKEN, (run,)).fetchone()
            if row is not None and row["holder"] != holder and _works(row):
                return str(row["owner"])
            file.execute(_TAKE, (run, owners.this_process(), holder, time.time()))
        _at_work.add(holder)
        return None

    def leave(self, run: str, holder: str) -> None:
        """Give the turn back."""
        _at_work.discard(holder)
        with self._ledger.connection.transaction(f"turn {run}") as file:
            file.execute(_LEAVE, (run, holder))


def _works(row: Row) -> bool:
    if row["owner"] == owners.this_process():
        return row["holder"] in _at_work
    return owners.alive(row["owner"], row["seen"])
