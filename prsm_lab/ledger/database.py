"""What the ledger asks of a database: one SQLite file, or a PostgreSQL server.

The statements of this room are spelled so that both understand them, with SQLite's placeholders. What differs (schema,
pragmas, locks, how a list is bound) is in `sqlite` and `postgres`, one class each.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from prsm_lab.errors import InternalError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from prsm_lab.settings import Secret


class DatabaseFault(InternalError):
    """The database cannot be reached, or refused; its message never holds the address's password."""

    words: str = ""
    """What the database said, without what to do about it."""


def words(fault: Exception) -> str:
    """Return what the database said."""
    return fault.words if isinstance(fault, DatabaseFault) else str(fault)


class Row(Protocol):
    """A line of a result: values by name and by number."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def keys(self) -> Any: ...


class Database(Protocol):
    """An open connection, in autocommit but for `transaction`."""

    name: str
    """Where it is, for messages: a path, or an address without user and password."""
    FAULTS: tuple[type[Exception], ...]
    """What its statements raise when the database is at fault."""
    REMEDY: str
    """What a person can do about it."""
    FIND: str
    """`queries.FIND` with this database's way to bind a list."""
    LISTED: str
    """The texts of the JSON list `:ids`, as rows."""

    def execute(self, statement: str, values: Any = ..., /) -> Any:
        """Run one statement; the result has `fetchone`, `fetchall`, `rowcount`, and can be iterated over."""
        ...

    def executemany(self, statement: str, values: Any, /) -> Any:
        """Run one statement over many rows of values."""
        ...

    def transaction(self, about: str = "", /) -> AbstractContextManager[Any]:
        """Begin; commit at the end, roll back if anything is raised.

        Args:
            about: Whose figures are checked and then changed. Transactions about the same one never overlap, whichever
                process they run in; "" is for rows that nobody else changes.
        """
        ...

    def relax(self) -> None:
        """From now on a commit need not wait for the disk."""
        ...

    def walk(self, statement: str) -> Iterator[Row]:
        """Iterate over a result that may be larger than memory."""
        ...

    def problems(self) -> list[str]:
        """Return what the database itself finds damaged."""
        ...

    def compact(self) -> None:
        """Give freed space back."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def connect(address: Path | Secret | None) -> Database:
    """Open a ledger's database and bring its tables to this version.

    Args:
        address: A file; the URL of a PostgreSQL database; None: in memory.

    Raises:
        InternalError: If it is no ledger, is damaged, was written by a newer version, or cannot be reached.
        InvalidRequestError: If the packages for a server are not installed.
    """
    from prsm_lab.ledger import sqlite

    if address is None or isinstance(address, Path):
        return sqlite.connect(":memory:" if address is None else str(address))
    if find_spec("psycopg") is None:
        raise InvalidRequestError(
            'A PostgreSQL ledger needs psycopg: pip install "prsm-lab[server]".', details={"parameter": "ledger"}
        )
    from prsm_lab.ledger import postgres

    return postgres.Postgres(address)
