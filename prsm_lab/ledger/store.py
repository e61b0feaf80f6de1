"""The ledger: group commits of what happens, look-ups of what is known.

Everything runs on the engine's one loop. Rows are queued and committed in groups (`written` waits for that):
an answer is durable before anybody sees it, and a busy engine pays for one commit per few milliseconds, not
for one per row. Measured here: 784 commits a second with `synchronous=FULL`, so grouping makes FULL affordable.
"""

from __future__ import annotations

import asyncio
import itertools
import operator
import os
import sqlite3
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import InternalError, NotFoundError
from prsm_lab.ledger import owners, queries, rows
from prsm_lab.ledger.accounts import Accounts
from prsm_lab.ledger.database import connect, words
from prsm_lab.ledger.pace import PaceBook
from prsm_lab.ledger.purse import Purse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prsm_lab.errors import PRSMError
    from prsm_lab.ledger.database import Database, Row
    from prsm_lab.settings import Secret
    from prsm_lab.types import Attempt, Inference, PriceLine, Query, Record, Reply, Report, Request, Run

GROUP_SECONDS: Final = 0.005
"""The longest that a row waits for others to share its commit; where nobody shared the last one, it does not wait."""
LOOKUP: Final = 500

_before_fork: Final[list[Database]] = []
"""Connections of the parent process: here they must be neither used nor closed, which would end them there."""


class Ledger:
    """One SQLite file, memory, or a PostgreSQL database; made by `open`."""

    def __init__(self, connection: Database, address: Path | Secret | None) -> None:
        self._connection = connection
        self._address = address
        self._pid = os.getpid()
        self._owner = owners.this_process()
        self._queue: list[tuple[str, Any]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._last_commit = 0.0
        self._shared = False

    @property
    def path(self) -> Path | None:
        """The file; None: in memory, gone with the process, or in a database."""
        return self._address if isinstance(self._address, Path) else None

    @property
    def name(self) -> str:
        """Where it is, as a person may see it: without user and password."""
        return self._connection.name

    # --------------------------------------------------------------------------------------- open and close

    @classmethod
    def open(cls, address: Path | Secret | None) -> Ledger:
        """Open a ledger, make its tables if there are none.

        Where no file can be made or written, it warns once and works in memory: a ledger must never stand
        between a person and an answer. A database that cannot be reached is an error: several servers share it.

        Args:
            address: The file; the URL of a PostgreSQL database; None: in memory.

        Raises:
            InternalError: If it is no ledger, is damaged, was written by a newer version, or cannot be reached. It
                is left as it is.
        """
        if not isinstance(address, Path):
            return cls(connect(address), address)
        try:
            address.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = not address.exists()
            connection = connect(address)
            if made:
                address.chmod(0o600)
        except (OSError, sqlite3.OperationalError) as fault:
            warnings.warn(
                f"The ledger {address} cannot be written ({fault}). This session is kept in memory only: nothing can "
                "be resumed after it. Set PRSM_LEDGER or Client(ledger=…) to a writable file.",
                stacklevel=2,
            )
            return cls(connect(None), None)
        return cls(connection, address)

    def close(self) -> None:
        """Commit what is queued and close the connection."""
        try:
            self.flush()
        finally:
            self._connection.close()

    # ------------------------------------------------------------------------------------- what happens

    def start(self, id: str, request: Request, fingerprint: bytes, *, scope: str | None, created: float) -> None:
        """Queue the row of a question that is about to be asked."""
        self.add(queries.START, rows.opened(id, request, fingerprint, scope, created, self._owner))

    def finish(self, inference: Inference, *, price: PriceLine | None = None, source: str | None = None) -> None:
        """Queue an answer with its attempts; `source`: the inference whose answer was served again."""
        self.add(queries.FINISH, rows.completed(inference, price, source))
        for knock in rows.knocks(inference.id, inference.attempts):
            self.add(queries.ATTEMPT, knock)

    def fail(
        self, id: str, error: PRSMError, *, completed: float, attempts: Sequence[Attempt], partial: Reply | None
    ) -> None:
        """Queue a failure with its attempts and what had arrived."""
        self.add(queries.FAIL, rows.failed(id, error, completed, partial))
        for knock in rows.knocks(id, attempts):
            self.add(queries.ATTEMPT, knock)

    def begin(self, run: Run, fingerprints: Sequence[bytes], scope: str) -> None:
        """Queue a run and its questions; the same run begun again replaces its list."""
        known = self._has_items(run.id, fingerprints)
        self.add(queries.RUN, (run.id, run.name, scope, run.kind, run.created, rows.text(run.spec), run.data))
        if known:
            return
        self.add(queries.FORGET_ITEMS, (run.id,))
        for position, question in enumerate(fingerprints):
            self.add(queries.ITEM, (run.id, position, question))

    def _has_items(self, run: str, fingerprints: Sequence[bytes]) -> bool:
        """Is this a run's list already? Reading it takes a tenth of the time of writing it anew."""
        self._ready()
        kept = (row["question"] for row in self._connection.execute(queries.ITEMS, {"run": run}))
        return all(map(operator.eq, itertools.chain(kept, [None]), itertools.chain(fingerprints, [None])))

    def add(self, statement: str, values: tuple[Any, ...]) -> None:
        """Queue a row; `statement`: one of `queries.ORDER`."""
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
            if self._shared and due > 0:
                loop.call_later(due, self._commit_group)
            else:
                loop.call_soon(self._commit_group)
        await written

    def _commit_group(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._shared = len(waiting) > 1
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
            with self._connection.transaction() as connection:
                for statement, values in _grouped(self._queue):
                    connection.executemany(statement, values)
        except self._connection.FAULTS as fault:
            raise InternalError(
                f"The ledger {self.name} could not be written ({words(fault)}); {len(self._queue)} rows wait in "
                f"memory. {self._connection.REMEDY}",
                details={"kind": "ledger"},
            ) from fault
        self._queue.clear()
        self._last_commit = time.monotonic()

    # ----------------------------------------------------------------------------------------- what is known

    def find(
        self,
        fingerprints: Sequence[bytes],
        *,
        scope: str | None = None,
        since: float | None = None,
        person: str | None = None,
        whole: bool = True,
    ) -> dict[bytes, Inference]:
        """Return the latest good answer to each question that has one.

        Args:
            fingerprints: The questions.
            scope: Only answers that runs of this scope paid for; None: any.
            since: Only answers asked at or after this Unix time.
            person: Whose answers; None: the owner's own; `EVERYBODY`: any key's.
            whole: Leave out answers that were cut at a length limit or withheld by a filter: a cache never
                serves them, while a resumed run takes them as they are.
        """
        self._ready()
        known: dict[bytes, Inference] = {}
        statement = self._connection.FIND
        for part in _parts(fingerprints, LOOKUP):
            wanted = {"questions": rows.text([key.hex() for key in part]), "scope": scope, "since": since}
            wanted["person"] = person
            for row in self._connection.execute(statement, wanted):  # oldest first: the latest good one stays
                answer = rows.inference(row)
                if answer is None or (whole and answer.finish_reason in ("length", "content_filter")):
                    continue
                known[row["question"]] = answer
        return known

    def get(self, id: str, *, person: str | None = None) -> Record:
        """Return what is known of one inference.

        Args:
            id: The inference's.
            person: Only if this person asked it; None: whoever did.

        Raises:
            NotFoundError: If nothing is, or it is somebody else's: the two cannot be told apart.
        """
        self._ready()
        row = self._connection.execute(queries.GET, {"id": id, "person": person}).fetchone()
        if row is None:
            raise NotFoundError(f"No inference {id!r} in this ledger.", details={"parameter": "inference_id"})
        return rows.record(row, alive=_alive(row))

    def receipts(self, ids: Sequence[str], *, person: str | None = None) -> list[Record]:
        """Return what is known of inferences, with their attempts; see `ledger.receipts`."""
        self._ready()
        from prsm_lab.ledger.receipts import receipts

        return receipts(self._connection, ids, person=person, alive=_alive)

    def history(self, limit: int, *, person: str | None = None) -> list[Record]:
        """Return the latest inferences, newest first; `person`: only theirs."""
        self._ready()
        found = self._connection.execute(queries.HISTORY, {"person": person, "limit": limit}).fetchall()
        return [rows.record(row, alive=_alive(row)) for row in found]

    def accounts(self) -> Accounts:
        """Open the part that a share server keeps: keys, seats, limits, idempotency keys."""
        if self._address is None:
            return Accounts(self._connection, self._owner, borrowed=True)
        return Accounts(connect(self._address), self._owner)

    def questions(self, ids: Sequence[str]) -> dict[str, tuple[bytes, Request]]:
        """Return what was asked, by the inference's id: its fingerprint, and the request to ask it again."""
        self._ready()
        from prsm_lab.ledger.asked import questions

        return questions(self._connection, ids)

    def purse(self) -> Purse:
        """Open the part that keeps budgets."""
        if self._address is None:
            return Purse(self._connection, self._owner, borrowed=True)
        return Purse(connect(self._address), self._owner)

    def pace_book(self) -> PaceBook | None:
        """Open the part that processes with the same key share; None: in memory there is nobody to share with."""
        if self._address is None:
            return None
        book = PaceBook(connect(self._address))
        book.tidy(time.time())
        return book

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
        return found, [None if item["id"] is None else rows.record(item, alive=_alive(item)) for item in items]

    def usage(self, query: Query) -> Report:
        """Sum up a time span."""
        self._ready()
        from prsm_lab.ledger.usage import report

        return report(self._connection, query)

    # -------------------------------------------------------------------------------------------------- helpers

    @property
    def connection(self) -> Database:
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
        if self._address is None:
            raise InternalError("This in-memory ledger belongs to the process before the fork; make a new Client.")
        _before_fork.append(self._connection)
        self._connection = connect(self._address)
        self._pid = os.getpid()
        self._owner = owners.this_process()


def _alive(row: Row) -> bool:
    return row["status"] != "running" or owners.alive(row["owner"], row["created"])


def _grouped(queue: list[tuple[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Gather rows by statement, parents before children: few statements run over many rows each."""
    groups: dict[str, list[Any]] = {}
    for statement, values in queue:
        groups.setdefault(statement, []).append(values)
    return ((statement, groups[statement]) for statement in queries.ORDER if statement in groups)


def _parts(items: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
