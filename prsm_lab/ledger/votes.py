"""People's votes on answers, beside the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.types import Vote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prsm_lab.ledger.store import Ledger

_ADD: Final = """
INSERT INTO vote (id, a, b, winner, voter, seconds, created) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
_ALL: Final = "SELECT id, a, b, winner, voter, seconds, created FROM vote WHERE a = ? ORDER BY created, id"


class Ballots:
    """The votes that a ledger keeps; to be awaited on the engine's loop, where the ledger lives."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def add(self, vote: Vote) -> None:
        """Write a vote down; a second time changes nothing."""
        with self._ledger.connection.transaction("votes") as file:
            file.execute(_ADD, msgspec.structs.astuple(vote))

    async def take_back(self, id: str) -> None:
        """Forget a vote."""
        with self._ledger.connection.transaction("votes") as file:
            file.execute("DELETE FROM vote WHERE id = ?", (id,))

    async def on(self, answers: Iterable[str]) -> list[Vote]:
        """Return the votes between any two of these inferences, oldest first."""
        known, file = set(answers), self._ledger.connection
        rows = [row for id in known for row in file.execute(_ALL, (id,))]  # noqa: A001 -- of an inference
        found = [Vote(**{name: row[name] for name in Vote.__struct_fields__}) for row in rows if row["b"] in known]
        return sorted(found, key=lambda vote: (vote.created, vote.id))
