"""The ledger in one SQLite file, or in memory.

SQLite before 3.51.3 can corrupt a WAL file when two processes checkpoint and write at once (its "WAL-reset
bug"); the window is small, and `prsm-lab ledger check` finds the damage.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prsm_lab.errors import InternalError
from prsm_lab.ledger import migrations, queries

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_SECONDS: Final = 30.0


class SQLite(sqlite3.Connection):
    """A connection with what `database.Database` asks for beside SQLite's own methods."""

    name = "in memory"
    FAULTS: tuple[type[Exception], ...] = (sqlite3.DatabaseError,)
    REMEDY = "Free disk space or close the program that holds the file, then go on."
    FIND = queries.FIND.format(listed="SELECT unhex_(value) FROM json_each(:questions)")
    LISTED = "SELECT value FROM json_each(:ids)"

    @contextmanager
    def transaction(self, about: str = "") -> Iterator[SQLite]:  # noqa: ARG002 -- one writer at a time holds all
        """Begin, commit or roll back; whoever else has the file open waits."""
        self.execute("BEGIN IMMEDIATE")  # never upgrade a snapshot: that fails without waiting
        try:
            yield self
        except BaseException:
            self._roll_back()
            raise
        try:
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self.in_transaction:  # SQLite itself has rolled back when the disk is full
            self.execute("ROLLBACK")

    def relax(self) -> None:
        """In WAL mode a commit then costs no disk flush; another program may hold the file for a while."""
        self.execute("PRAGMA synchronous = NORMAL")
        self.execute("PRAGMA busy_timeout = 10000")  # ms that another program may hold the file

    def walk(self, statement: str) -> Iterator[sqlite3.Row]:
        """Iterate over a result, row by row from the file."""
        return iter(self.execute(statement))

    def problems(self) -> list[str]:
        """Return what SQLite's own check finds."""
        return [str(row[0]) for row in self.execute("PRAGMA integrity_check") if row[0] != "ok"]

    def compact(self) -> None:
        """Make the file smaller."""
        self.execute("VACUUM")


def _write_ahead(connection: SQLite) -> None:
    """Switch to write-ahead logging; SQLite does not wait for another process that switches a new file just now."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as fault:
            if "locked" not in str(fault) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def connect(path: str) -> SQLite:
    """Open a file, or `:memory:`."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=SQLite
    )
    connection.row_factory = sqlite3.Row
    if path != ":memory:":
        connection.name = path
    try:
        _write_ahead(connection)
        for pragma in (
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            "PRAGMA trusted_schema = OFF",
            "PRAGMA cell_size_check = ON",
            "PRAGMA mmap_size = 0",  # as fast when measured; a mapped file counts as memory, and its faults kill
        ):
            connection.execute(pragma)
        migrations.migrate(connection, path)
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError as fault:
        connection.close()
        raise InternalError(
            f"{path} is damaged or no ledger ({fault}). It was left as it is: move it away, or point PRSM_LEDGER to "
            "another file; `prsm-lab ledger check` tells more.",
            details={"kind": "ledger"},
        ) from fault
    return connection
