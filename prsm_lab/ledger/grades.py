"""How good models were measured to be, by task, beside the answers that it was measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.types import Grade

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prsm_lab.ledger.store import Ledger

_PUT: Final = """
INSERT INTO grade (task, model, value, low, high, n, failed, score, source, simulated, created)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task, model) DO UPDATE
SET value = excluded.value, low = excluded.low, high = excluded.high, n = excluded.n, failed = excluded.failed,
    score = excluded.score, source = excluded.source, simulated = excluded.simulated, created = excluded.created
"""
_ALL: Final = "SELECT * FROM grade ORDER BY task, model"
_FORGET: Final = """
DELETE FROM grade WHERE (CAST(:task AS TEXT) IS NULL OR task = :task)
  AND (CAST(:model AS TEXT) IS NULL OR model = :model)
"""


class GradeBook:
    """The measured qualities that a ledger keeps; to be used on the engine's loop, where the ledger lives."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put(self, grades: Iterable[Grade]) -> None:
        """Write what was measured; the last measurement of a model at a task stands."""
        with self._ledger.connection.transaction("grades") as file:
            file.executemany(_PUT, [msgspec.structs.astuple(grade) for grade in grades])

    def all(self) -> list[Grade]:
        """Return what was measured, by task and model."""
        return [
            Grade(**{**{name: row[name] for name in Grade.__struct_fields__}, "simulated": bool(row["simulated"])})
            for row in self._ledger.connection.execute(_ALL)
        ]

    def forget(self, task: str | None, model: str | None) -> int:
        """Forget what was measured at a task, of a model, or all; return how much it was."""
        with self._ledger.connection.transaction("grades") as file:
            count: int = file.execute(_FORGET, {"task": task, "model": model}).rowcount
        return count
