"""Numbered steps from any older ledger file to this version's; `PRAGMA user_version` says where a file stands."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from typing import Final

from prsm_lab.errors import InternalError

STEPS: Final = (
    "schema.sql", "share.sql", "votes.sql", "purse.sql", "pace.sql", "bulk.sql", "turns.sql", "runs.sql", "grades.sql",
    "lookalikes.sql",
)  # fmt: skip
"""Script n brings a file from version n to n + 1, in one transaction that also sets `user_version`."""


def _step(connection: sqlite3.Connection, version: int) -> None:
    schema = files("prsm_lab.ledger").joinpath(STEPS[version]).read_text(encoding="utf-8")
    script = f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version + 1}; COMMIT;"
    connection.executescript(script)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring a file to this version.

    Raises:
        InternalError: If the file is newer than this code: it is only read by the version that wrote it.
    """
    connection.create_function("unhex_", 1, bytes.fromhex, deterministic=True)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        connection.close()
        raise InternalError(
            f"The ledger {path} was written by a newer prsm_lab (its version is {version}, this one knows "
            f"{len(STEPS)}). Upgrade with `pip install -U prsm-lab`, or point PRSM_LEDGER to another file.",
            details={"kind": "ledger"},
        )
    for step in range(version, len(STEPS)):
        try:
            _step(connection, step)
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if connection.execute("PRAGMA user_version").fetchone()[0] <= step:
                raise  # else another process was faster, and its tables are there
