"""Care of a ledger: check it, thin it, take it elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.ledger import rows

if TYPE_CHECKING:
    from pathlib import Path

    from prsm_lab.ledger.store import Ledger

ANSWERS: Final = "SELECT id, answer, digest FROM inference WHERE status = 'completed'"
OLD: Final = """
DELETE FROM inference WHERE id IN (SELECT id FROM inference WHERE created < ? AND status <> 'running' LIMIT ?)
"""
AT_ONCE: Final = 5000
"""Rows that one transaction deletes: others wait no longer than that takes."""
EMPTY_RUNS: Final = (
    "DELETE FROM run WHERE created < ? AND NOT EXISTS (SELECT 1 FROM inference WHERE inference.run_id = run.id)"
)
PROMPTS: Final = "DELETE FROM lookalike_hit WHERE created < ?"
ALL: Final = "SELECT * FROM inference ORDER BY created"


def check(ledger: Ledger) -> list[str]:
    """Return what is wrong with a ledger; an empty list means sound.

    SQLite's own check does not see a changed letter inside a text (60 of 60 single-byte flips passed), so each
    answer is compared with the digest that was written beside it.
    """
    problems = ledger.connection.problems()
    problems += [
        f"answer of {row['id']} was altered after it was written"
        for row in ledger.connection.walk(ANSWERS)
        if row["answer"] is None or rows.digest(row["answer"]) != row["digest"]
    ]
    return problems


def prune(ledger: Ledger, *, before: float) -> int:
    """Delete what was asked before a Unix time, and runs that have no answers left; return how many rows."""
    connection = ledger.connection
    deleted, last = 0, AT_ONCE
    while last == AT_ONCE:
        with connection.transaction():
            last = connection.execute(OLD, (before, AT_ONCE)).rowcount
        deleted += last
    with connection.transaction():
        connection.execute(EMPTY_RUNS, (before,))
        connection.execute(PROMPTS, (before,))
    connection.compact()
    return deleted


def export(ledger: Ledger, path: Path) -> int:
    """Write every inference as one JSON object a line; return how many."""
    count = 0
    with path.open("wb") as out:
        for row in ledger.connection.walk(ALL):
            record = rows.record(row, alive=True)
            out.write(msgspec.json.encode({"request": msgspec.Raw(row["request"].encode()), "record": record}) + b"\n")
            count += 1
    return count
