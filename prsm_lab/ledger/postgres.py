"""The ledger in a PostgreSQL database, shared by servers on several machines.

Calls wait for the database on the engine's loop, as they do for a file. So every wait is bounded, twice: the server
ends a statement that takes too long, and the line itself gives up on a server that no longer answers at all.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import time
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumperUnknown

from prsm_lab.errors import InternalError, InvalidRequestError
from prsm_lab.ledger import queries
from prsm_lab.ledger.database import DatabaseFault

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from prsm_lab.settings import Secret

T = TypeVar("T")

CONNECT_SECONDS: Final = 3
REDIAL_SECONDS: Final = 3.0
"""After a connection that could not be made: so long no other is tried, that a loop is not held up all the time."""
ANSWER_SECONDS: Final = 12.0
"""The longest wait for any word of the server."""
PIECE: Final = 200
"""Rows that a large result is handed out in."""
_SESSION: Final = """
SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'; SET client_encoding = 'UTF8'
"""
_RELAX: Final = "SET synchronous_commit = off"
_RELAXED: Final = f"{_SESSION}; {_RELAX}"
_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"  # a snapshot taken before the lock would show old figures
_BEGIN_ABOUT: Final = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(%s)"
_UNREADABLE: Final = (
    "This is no PostgreSQL address: postgresql://user:password@host:5432/database, with special characters of the "
    "password percent-encoded (`@` as %40, `/` as %2F)."
)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.%-]*)(:\d+)?")
_DATABASE: Final = re.compile(r"/?[^@/]*")
_STEPS: Final = (
    "postgres.sql", "postgres_votes.sql", "postgres_purse.sql", "postgres_pace.sql", "postgres_bulk.sql",
    "postgres_turns.sql", "postgres_runs.sql", "postgres_grades.sql", "postgres_lookalikes.sql",
)  # fmt: skip
"""Script n brings a database from version n to n + 1."""
_STUCK: Final = (TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN)


class Row:
    """A line of a result: values by name and by number."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: dict[str, int], values: Sequence[Any]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: str | int) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> list[str]:
        """The columns' names."""
        return list(self._names)


class Postgres:
    """A connection with `database.Database`'s methods, which outlives restarts of the server between transactions."""

    FAULTS: tuple[type[Exception], ...] = (DatabaseFault,)
    REMEDY = "See whether the database answers (`psql`, its log), then go on."
    FIND = queries.FIND.format(
        listed="SELECT decode(value, 'hex') FROM json_array_elements_text(CAST(:questions AS JSON)) AS listed (value)"
    )
    LISTED = "SELECT value FROM json_array_elements_text(CAST(:ids AS JSON)) AS listed (value)"

    def __init__(self, address: Secret) -> None:
        self._address = address
        self.name = shown(address)
        """The address without user and password."""
        self._within = False
        self._relaxed = False
        self._redial = 0.0
        self._line = self._dialled()
        try:
            self._migrate()
        except BaseException:
            self._line.close()
            raise

    # ------------------------------------------------------------------------------------------------ statements

    def execute(self, statement: str, values: Any = ()) -> Any:
        """Run one statement; a look-up outside a transaction is repeated once where the connection was lost."""
        asked = _translated(statement)
        return self._safely(lambda: self._line.execute(asked, values), again=asked.lstrip().startswith("SELECT"))

    def executemany(self, statement: str, values: Sequence[Any]) -> Any:
        """Run one statement over many rows, in one round trip."""
        asked = _translated(statement)

        def run() -> Any:
            cursor = self._line.cursor()
            cursor.executemany(asked, values)
            return cursor

        return self._safely(run, again=False)

    @contextmanager
    def transaction(self, about: str = "") -> Iterator[Postgres]:
        """Begin, holding the lock of what it is about; commit or roll back."""
        self._begin(about)
        try:
            yield self
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._within = False

    def _begin(self, about: str) -> None:
        def begin() -> None:
            line = psycopg.ClientCursor(self._line)  # binds here: several statements then go in one message
            if about:
                line.execute(_BEGIN_ABOUT, (_number(about),))
            else:
                line.execute(_BEGIN)

        try:
            self._safely(begin, again=True)
        except BaseException:
            self._roll_back()
            raise
        self._within = True

    def _roll_back(self) -> None:
        """The server rolls back by itself where the line is lost."""
        if not self._lost():
            with contextlib.suppress(psycopg.Error):
                self._line.execute("ROLLBACK")
        self._lost()

    def walk(self, statement: str) -> Iterator[Row]:
        """Iterate over a result in pieces that the server hands out."""
        with self.transaction(), self._line.cursor(name="walk") as pieces:
            self._safely(lambda: pieces.execute(_translated(statement)), again=False)
            while page := self._safely(lambda: pieces.fetchmany(PIECE), again=False):
                yield from page

    def relax(self) -> None:
        """A commit then does not wait for the server's disk: its crash may lose the last half second."""
        self._relaxed = True
        self.execute(_RELAX)

    def problems(self) -> list[str]:
        """The server looks after its files itself."""
        return []

    def compact(self) -> None:
        """The server's autovacuum does that."""

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    # ------------------------------------------------------------------------------------------------- the line

    def _safely(self, work: Callable[[], T], *, again: bool) -> T:
        """Do something over the line; where it was lost and nothing is under way, over a new one."""
        try:
            return work()
        except psycopg.Error as fault:
            words = _words(fault)
            if not self._lost() or self._within or not again:
                raise self._fault(words) from None
        self._line = self._dialled()
        try:
            return work()
        except psycopg.Error as fault:
            raise self._fault(_words(fault)) from None

    def _lost(self) -> bool:
        """Is the line dead? One that waits for an answer that did not come is of no more use."""
        if not self._line.closed and self._line.info.transaction_status in _STUCK:
            self._line.close()
        return self._line.closed

    def _dialled(self) -> _Line:
        """Connect.

        Raises:
            DatabaseFault: If nobody answers. It is raised outside the handler of the driver's error, whose frames
                hold the password.
        """
        if time.monotonic() < self._redial:
            raise self._fault("it could not be reached a moment ago")
        line = _dial(self._address, _RELAXED if self._relaxed else _SESSION)
        if isinstance(line, str):
            self._redial = time.monotonic() + REDIAL_SECONDS
            raise self._fault(line)
        return line

    def _fault(self, words: str) -> DatabaseFault:
        fault = DatabaseFault(
            f"The ledger {self.name} cannot be used ({words}). {self.REMEDY}", details={"kind": "ledger"}
        )
        fault.words = words
        return fault

    def _migrate(self) -> None:
        """Make or renew the tables, one process at a time."""
        with self.transaction("migration"):
            known = self.execute("SELECT to_regclass('ledger_version') IS NOT NULL").fetchone()[0]
            if not known:
                self.execute("CREATE TABLE ledger_version (version INTEGER NOT NULL)")
                self.execute("INSERT INTO ledger_version VALUES (0)")
            version: int = self.execute("SELECT version FROM ledger_version").fetchone()[0]
            if version > len(_STEPS):
                raise InternalError(
                    f"The ledger {self.name} was written by a newer prsm_lab (its version is {version}, this one "
                    f"knows {len(_STEPS)}). Upgrade with `pip install -U prsm-lab`, or point PRSM_LEDGER elsewhere.",
                    details={"kind": "ledger"},
                )
            for step in _STEPS[version:]:
                script = files("prsm_lab.ledger").joinpath(step).read_text(encoding="utf-8")
                self._safely(functools.partial(psycopg.ClientCursor(self._line).execute, script), again=False)
            if version < len(_STEPS):
                self.execute("UPDATE ledger_version SET version = ?", (len(_STEPS),))


class _Line(psycopg.Connection[Any]):
    """A connection that waits for the server only so long."""

    def wait(self, gen: Any, *given: Any, **options: Any) -> Any:
        """Run one of the driver's exchanges with the server."""
        return super().wait(_bounded(gen, time.monotonic() + ANSWER_SECONDS), *given, **options)


def _bounded(exchange: Generator[Any, Any, T], until: float) -> Generator[Any, Any, T]:
    """Pass an exchange through; end it when nothing has come for too long (the driver asks again and again)."""
    try:
        wanted = next(exchange)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > until:
                exchange.close()
                raise psycopg.OperationalError(f"no answer within {ANSWER_SECONDS:.0f} s")
            wanted = exchange.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


class _Text(StrDumperUnknown):
    """Text as PostgreSQL can keep it: no NUL, no lone surrogates."""

    def dump(self, obj: str) -> bytes:
        return obj.replace("\x00", "\u2400").encode("utf-8", "backslashreplace")


def shown(address: Secret) -> str:
    """Return an address without user and password.

    Raises:
        InvalidRequestError: If it cannot be read. The message says nothing of it: a password with a bare `@` or `/`
            in it may be anywhere.

    >>> from prsm_lab.settings import Secret
    >>> shown(Secret("postgresql://ana:secret@db.example.org/lab?sslmode=require"))
    'postgresql://db.example.org/lab'
    """
    found = _read(address)
    if found is None:
        raise InvalidRequestError(_UNREADABLE, details={"parameter": "ledger"})
    return f"postgresql://{found}"


def _read(address: Secret) -> str | None:
    """Hosts, ports and database of an address; None: it cannot be read."""
    try:
        parts = urlsplit(address.reveal())
        conninfo_to_dict(address.reveal())
    except (ValueError, psycopg.Error):
        return None
    hosts = parts.netloc.rpartition("@")[2]
    readable = all(map(_HOST.fullmatch, hosts.split(","))) and _DATABASE.fullmatch(parts.path) and not parts.fragment
    return hosts + parts.path if readable else None


def _dial(address: Secret, session: str) -> _Line | str:
    """Return a connection, or why there is none: the driver's own error, with the password in its frames, ends here."""
    given: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": int(ANSWER_SECONDS * 1000), "keepalives_idle": 30,
        "application_name": "prsm-lab", **conninfo_to_dict(address.reveal()),
    }  # fmt: skip
    try:
        line = _Line.connect(autocommit=True, row_factory=_rows, **given)
        if line.info.parameter_status("server_encoding") != "UTF8":
            line.close()
            return "its encoding is not UTF8; make one with `createdb -E UTF8 -T template0`"
        line.adapters.register_dumper(str, _Text)
        line.execute(session)
    except psycopg.Error as fault:
        words, password = _words(fault), given.get("password")
        return words.replace(password, "…") if password else words
    return line


def _words(fault: psycopg.Error) -> str:
    """What the server said, in a line: the details that follow may hold whole rows."""
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]


def _rows(cursor: Any) -> Callable[[Sequence[Any]], Row]:
    names = {column.name: n for n, column in enumerate(cursor.description or ())}
    return lambda values: Row(names, values)


@functools.cache
def _translated(statement: str) -> Any:
    """Put SQLite's placeholders into the driver's: `?` and `:name` become `%s` and `%(name)s`."""
    escaped = statement.replace("%", "%%").replace("?", "%s")
    return re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", escaped)


def _number(about: str) -> int:
    """The lock's number: the same in every process."""
    return int.from_bytes(hashlib.blake2b(about.encode(), digest_size=8, key=b"prsm_lab").digest(), signed=True)
