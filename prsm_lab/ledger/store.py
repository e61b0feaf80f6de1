"""The ledger's file: group commits of what happens, look-ups of what is known.

Everything runs on the engine's one loop. Rows are queued and committed in groups (`written` waits for that):
an answer is durable before anybody sees it, and a busy engine pays for one commit per few milliseconds, not
for one per row. Measured here: 784 commits a second with `synchronous=FULL`, so grouping makes FULL affordable.

SQLite before 3.51.3 can corrupt a WAL file when two processes checkpoint and write at once (its "WAL-reset
bug"); the window is small, and `prsm-lab ledger check` finds the damage.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import InternalError, NotFoundError
from prsm_lab.ledger import migrations, queries, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prsm_lab.errors import PRSMError
    from prsm_lab.types import Attempt, Inference, PriceLine, Query, Record, Reply, Report, Request, Run

GROUP_SECONDS: Final = 0.005
"""The longest that a row waits for others to share its commit."""
BUSY_SECONDS: Final = 30.0
LOOKUP: Final = 500


class Ledger:
    """One SQLite file, or memory; made by `open`."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self.path = path
        """The file; None: in memory, gone with the process."""
        self._pid = os.getpid()
        self._owner = f"{_boot_id()}:{self._pid}"
        self._queue: list[tuple[str, Any]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._last_commit = 0.0

    # --------------------------------------------------------------------------------------- open and close

    @classmethod
    def open(cls, path: Path | None) -> Ledger:
        """Open a ledger file, make it if there is none.

        Where no file can be made or written, it warns once and works in memory: a ledger must never stand
        between a person and an answer.

        Args:
            path: The file; None: in memory.

        Raises:
            InternalError: If the file is no ledger, is damaged, or was written by a newer version. It is left
                as it is.
        """
        if path is None:
            return cls(_connect(":memory:"), None)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = not path.exists()
            connection = _connect(str(path))
            if made:
                path.chmod(0o600)
        except (OSError, sqlite3.OperationalError) as fault:
            warnings.warn(
                f"The ledger {path} cannot be written ({fault}). This session is kept in memory only: nothing can be "
                "resumed after it. Set PRSM_LEDGER or Client(ledger=…) to a writable file.",
                stacklevel=2,
            )
            return cls(_connect(":memory:"), None)
        return cls(connection, path)

    def close(self) -> None:
        """Commit what is queued and close the file."""
        with contextlib.suppress(sqlite3.ProgrammingError):
            self.flush()
            self._connection.close()

    # ------------------------------------------------------------------------------------- what happens

    def start(self, id: str, request: Request, fingerprint: bytes, *, scope: str | None, created: float) -> None:
        """Queue the row of a question that is about to be asked."""
        self._add(queries.START, rows.opened(id, request, fingerprint, scope, created, self._owner))

    def finish(self, inference: Inference, *, price: PriceLine | None = None, source: str | None = None) -> None:
        """Queue an answer with its attempts; `source`: the inference whose answer was served again."""
        self._add(queries.FINISH, rows.completed(inference, price, source))
        for knock in rows.knocks(inference.id, inference.attempts):
            self._add(queries.ATTEMPT, knock)

    def fail(
        self, id: str, error: PRSMError, *, completed: float, attempts: Sequence[Attempt], partial: Reply | None
    ) -> None:
        """Queue a failure with its attempts and what had arrived."""
        self._add(queries.FAIL, rows.failed(id, error, completed, partial))
        for knock in rows.knocks(id, attempts):
            self._add(queries.ATTEMPT, knock)

    def begin(self, run: Run, fingerprints: Sequence[bytes], scope: str) -> None:
        """Queue a run and its questions; the same run begun again replaces its list."""
        self._add(queries.RUN, (run.id, run.name, scope, run.kind, run.created, rows.text(run.spec), run.data))
        self._add(queries.FORGET_ITEMS, (run.id,))
        for position, question in enumerate(fingerprints):
            self._add(queries.ITEM, (run.id, position, question))

    def _add(self, statement: str, values: tuple[Any, ...]) -> None:
        self._queue.append((statement, values))

    async def written(self) -> None:
        """Return when everything queued before this call is committed.

        Raises:
            InternalError: If it cannot be (disk full, file locked by another program); the rows stay queued.
        """
        if not self._queue:
            return
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append(written)
        if len(self._waiting) == 1:
            due = self._last_commit + GROUP_SECONDS - time.monotonic()
            if due > 0:
                loop.call_later(due, self._commit_group)
            else:
                loop.call_soon(self._commit_group)
        await written

    def _commit_group(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self.flush()
        except InternalError as fault:
            for written in waiting:
                if not written.done():  # one whose caller has gone is cancelled
                    written.set_exception(fault)
        else:
            for written in waiting:
                if not written.done():
                    written.set_result(None)

    def flush(self) -> None:
        """Commit what is queued, now, in one transaction."""
        if not self._queue:
            return
        self._check_process()
        try:
            self._connection.execute("BEGIN IMMEDIATE")  # never upgrade a snapshot: that fails without waiting
            try:
                for statement, values in _grouped(self._queue):
                    self._connection.executemany(statement, values)
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself has rolled back when the disk is full
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as fault:
            raise InternalError(
                f"The ledger {self.path or 'in memory'} could not be written ({fault}); {len(self._queue)} rows wait "
                "in memory. Free disk space or close the program that holds the file, then go on.",
                details={"kind": "ledger"},
            ) from fault
        self._queue.clear()
        self._last_commit = time.monotonic()

    # ----------------------------------------------------------------------------------------- what is known

    def find(
        self, fingerprints: Sequence[bytes], *, scope: str | None = None, since: float | None = None, whole: bool = True
    ) -> dict[bytes, Inference]:
        """Return the latest good answer to each question that has one.

        Args:
            fingerprints: The questions.
            scope: Only answers that runs of this scope paid for; None: any.
            since: Only answers asked at or after this Unix time.
            whole: Leave out answers that were cut at a length limit or withheld by a filter: a cache never
                serves them, while a resumed run takes them as they are.
        """
        self._ready()
        known: dict[bytes, Inference] = {}
        for part in _parts(fingerprints, LOOKUP):
            wanted = {"questions": rows.text([key.hex() for key in part]), "scope": scope, "since": since}
            for row in self._connection.execute(queries.FIND, wanted):  # oldest first: the latest good one stays
                answer = rows.inference(row)
                if answer is None or (whole and answer.finish_reason in ("length", "content_filter")):
                    continue
                known[row["question"]] = answer
        return known

    def get(self, id: str) -> Record:
        """Return what is known of one inference.

        Raises:
            NotFoundError: If nothing is.
        """
        self._ready()
        row = self._connection.execute(queries.GET, (id,)).fetchone()
        if row is None:
            raise NotFoundError(f"No inference {id!r} in this ledger.", details={"parameter": "inference_id"})
        return rows.record(row, alive=_alive(row["owner"]))

    def runs(self) -> list[Run]:
        """List runs, newest first, with how far they came."""
        self._ready()
        return [rows.run(row) for row in self._connection.execute(queries.RUNS)]

    def replay(self, run: str) -> tuple[Run, list[Record | None]]:
        """Return a run by id or name, and the state of each of its questions in order.

        Raises:
            NotFoundError: If there is no such run.
        """
        self._ready()
        row = self._connection.execute(queries.RUN_BY_NAME, {"run": run}).fetchone()
        if row is None:
            raise NotFoundError(f"No run {run!r} in this ledger; lab.runs() lists them.", details={"parameter": "run"})
        found = rows.run(row, data=True)
        items = self._connection.execute(queries.REPLAY, {"run": found.id, "scope": found.scope})
        return found, [None if i["id"] is None else rows.record(i, alive=_alive(i["owner"])) for i in items]

    def usage(self, query: Query) -> Report:
        """Sum up a time span."""
        self._ready()
        from prsm_lab.ledger.usage import report

        return report(self._connection, query)

    def recent(self, since: float) -> dict[tuple[str, str], tuple[int, int, float | None]]:
        """Return attempts, failures and median latency in ms of each (provider, model) since a Unix time."""
        self._ready()
        from prsm_lab.ledger.usage import recent

        return recent(self._connection, since)

    # -------------------------------------------------------------------------------------------------- helpers

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection, for the upkeep commands of this room."""
        self._ready()
        return self._connection

    def _ready(self) -> None:
        """See one's own writes: what is queued is committed before anything is looked up."""
        self._check_process()
        self.flush()

    def _check_process(self) -> None:
        if os.getpid() == self._pid:
            return
        if self.path is None:
            raise InternalError("This in-memory ledger belongs to the process before the fork; make a new Client.")
        self._connection = _connect(str(self.path))  # a connection must never be used on both sides of a fork
        self._pid = os.getpid()
        self._owner = f"{_boot_id()}:{self._pid}"


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        for pragma in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            "PRAGMA trusted_schema = OFF",
            "PRAGMA cell_size_check = ON",
            "PRAGMA mmap_size = 268435456",
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


def _grouped(queue: list[tuple[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Gather rows by statement, parents before children: few statements run over many rows each."""
    groups: dict[str, list[Any]] = {}
    for statement, values in queue:
        groups.setdefault(statement, []).append(values)
    return ((statement, groups[statement]) for statement in queries.ORDER if statement in groups)


def _parts(items: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _boot_id() -> str:
    """Tell this start of this machine from others, so that a reused process id is not taken for the owner."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import socket

        return socket.gethostname()


def _alive(owner: str) -> bool:
    boot, _, pid = owner.rpartition(":")
    if boot != _boot_id():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives, under another user
    return True
