"""Money that several processes may not spend twice: budgets, what was spent of them, and what is held for knocks.

A *share* is a budget over one period. A knock is held at its worst case before it is sent, settled on its bill, and
released if nothing was billed; sums are kept beside the holds, so that a check reads one row a share. A connection of
its own, like the accounts': a killed process loses nothing, a power cut may lose the last settlements, which then count
as held by a process that is gone, at their worst case.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab.errors import InternalError
from prsm_lab.ledger.database import words
from prsm_lab.ledger.owners import alive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prsm_lab.ledger.database import Database

UNCAPPED: Final = "uncapped"
"""The period whose `spent` is what a run had paid when it went on without its cap."""
_LOCK: Final = "purse"
_STANDING: Final = "SELECT spent, reserved FROM purse WHERE name = ? AND period = ?"
_OPEN: Final = "INSERT INTO purse (name, period, spent, reserved) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING"
_HOLD: Final = "INSERT INTO hold (id, name, period, usd, owner, created) VALUES (?, ?, ?, ?, ?, ?)"
_RESERVE: Final = "UPDATE purse SET reserved = reserved + ? WHERE name = ? AND period = ?"
_SETTLE: Final = """
UPDATE purse SET spent = spent + ?, reserved = CASE WHEN reserved - ? < 1e-12 THEN 0 ELSE reserved - ? END
WHERE name = ? AND period = ?
"""
_PAID_BY_RUN: Final = "SELECT coalesce(sum(cost), 0) FROM inference WHERE run_id = ?"
_PAID_BY_RUNS: Final = """
SELECT coalesce(sum(cost), 0) FROM inference
WHERE run_id = ? OR run_id IN (SELECT name FROM purse WHERE period = ?)
"""
_MEMBER: Final = "SELECT 1 FROM purse WHERE name = ? AND period = ?"
_BEGUN: Final = "SELECT 1 FROM run WHERE id = ?"
_ADD: Final = "UPDATE purse SET spent = spent + ? WHERE name = ? AND period = ?"
_CLOSE: Final = "DELETE FROM purse WHERE name = ? AND period = ?"
_PAID_SINCE: Final = "SELECT coalesce(sum(cost), 0) FROM inference WHERE created >= ?"
_BILL: Final = "SELECT cost FROM inference WHERE id = ? AND status = 'completed'"


class Share(NamedTuple):
    """A budget over one period, as a knock meets it."""

    name: str
    """`client`, a kernel's mark, a run's id, or what several runs share."""
    period: str
    """Of a budget that begins anew: its date; else empty."""
    usd: float
    since: float | None
    """Unix time at which the period began: what was paid since counts; None: it is a run's, whose own answers count."""


class Standing(NamedTuple):
    """How a share stands."""

    spent: float
    reserved: float


class Short(NamedTuple):
    """Why a knock may not be sent."""

    share: Share
    standing: Standing


class Budget(NamedTuple):
    """What may be spent, as it was set."""

    usd: float
    per: str


class Purse:
    """The budgets of one ledger; made by `Ledger.purse`."""

    def __init__(self, connection: Database, owner: str, *, borrowed: bool = False) -> None:
        self._connection = connection
        self._owner = owner
        self._borrowed = borrowed
        connection.relax()

    # ------------------------------------------------------------------------------------------- what is allowed

    def allow(self, name: str, budget: Budget | None) -> None:
        """Set a budget that every process of this ledger keeps to, or take it away."""
        with self._transaction() as file:
            file.execute("DELETE FROM budget WHERE name = ?", (name,))
            if budget is not None:
                file.execute("INSERT INTO budget VALUES (?, ?, ?, ?)", (name, budget.usd, budget.per, time.time()))

    def allowed(self, name: str) -> Budget | None:
        """Return a budget, if there is one."""
        row = self._connection.execute("SELECT usd, per FROM budget WHERE name = ?", (name,)).fetchone()
        return None if row is None else Budget(row["usd"], row["per"])

    # ------------------------------------------------------------------------------------------------- knocks

    def reserve(self, id: str, shares: Sequence[Share], usd: float) -> Short | None:
        """Hold money for a knock in every share, or in none.

        Args:
            id: The knock's.
            shares: The budgets that it must keep to.
            usd: Its worst case.

        Returns:
            The share that has not so much left; None: it is held.

        Raises:
            InternalError: If the ledger cannot be written; nothing may be sent then.
        """
        with self._transaction() as file:
            short = self._short(file, shares, usd)
            if short is not None and self._swept(file):
                short = self._short(file, shares, usd)
            if short is None:
                for share in shares:
                    file.execute(_HOLD, (id, share.name, share.period, usd, self._owner, time.time()))
                    file.execute(_RESERVE, (usd, share.name, share.period))
        return short

    def settle(self, id: str, charge: float | None) -> None:
        """Turn what is held for a knock into what it cost; None: its bill is not known, its worst case counts."""
        with self._transaction() as file:
            for row in file.execute("SELECT name, period, usd FROM hold WHERE id = ?", (id,)).fetchall():
                _pay(file, row, row["usd"] if charge is None else charge)
            file.execute("DELETE FROM hold WHERE id = ?", (id,))

    def standing(self, share: Share) -> Standing:
        """Return what was spent of a share and what is held."""
        with self._transaction() as file:
            return _standing(file, share)

    def forget(self, share: Share) -> None:
        """Begin a share anew: a run that asks everything again."""
        with self._transaction() as file:
            file.execute("DELETE FROM hold WHERE name = ? AND period = ?", (share.name, share.period))
            file.execute(_CLOSE, (share.name, share.period))
            file.execute(_OPEN, (share.name, share.period, 0.0))

    def leave(self, name: str) -> None:
        """A run, or several of one share, goes on without its cap: what it pays is not counted, until `come_back`.

        Raises:
            InternalError: If the ledger cannot be written.
        """
        if self._connection.execute(_STANDING, (name, "")).fetchone() is None:  # it never had one
            return
        with self._transaction() as file:
            file.execute(_OPEN, (name, UNCAPPED, file.execute(_PAID_BY_RUNS, (name, name)).fetchone()[0]))

    def come_back(self, name: str) -> None:
        """It has a cap again: what it paid without one counts.

        Raises:
            InternalError: If the ledger cannot be written.
        """
        with self._transaction() as file:
            mark = file.execute(_STANDING, (name, UNCAPPED)).fetchone()
            if mark is not None:
                paid = file.execute(_PAID_BY_RUNS, (name, name)).fetchone()[0]
                file.execute(_ADD, (paid - mark["spent"], name, ""))
                file.execute(_CLOSE, (name, UNCAPPED))

    def join(self, share: Share, run: str, *, paid_counts: bool = True) -> None:
        """Let a run spend from a share of several.

        A member is a row of its own, whose period is the share's name.

        Args:
            share: The share.
            run: The run's id.
            paid_counts: Whether what the run paid before it joined counts as well.

        Raises:
            InternalError: If the ledger cannot be written.
        """
        with self._transaction() as file:
            if file.execute(_MEMBER, (run, share.name)).fetchone() is not None:
                return
            file.execute(_OPEN, (run, share.name, 0.0))
            if paid_counts and file.execute(_BEGUN, (run,)).fetchone() is not None:  # else it has paid nothing
                paid = file.execute(_PAID_BY_RUN, (run,)).fetchone()[0]
                file.execute(_ADD, (paid, share.name, share.period))  # a share that is not open yet counts its members

    def close(self) -> None:
        """Close the connection, unless it is the ledger's own."""
        if not self._borrowed:
            self._connection.close()

    # -------------------------------------------------------------------------------------------------- helpers

    @contextmanager
    def _transaction(self) -> Iterator[Database]:
        try:
            with self._connection.transaction(_LOCK):
                yield self._connection
        except self._connection.FAULTS as fault:
            raise InternalError(
                f"The ledger could not be written ({words(fault)}), and a budget is set: what it cannot count is "
                f"not sent. {self._connection.REMEDY}",
                details={"kind": "ledger", "not_sent": True},
            ) from fault

    def _short(self, file: Database, shares: Sequence[Share], usd: float) -> Short | None:
        for share in shares:
            standing = _standing(file, share)
            if standing.spent + standing.reserved + usd > share.usd:
                return Short(share, standing)
        return None

    def _swept(self, file: Database) -> bool:
        """Settle what processes held that are gone: on the answer, if it came; else the worst must be assumed."""
        gone = [row for row in file.execute("SELECT * FROM hold").fetchall() if not alive(row["owner"], row["created"])]
        for row in gone:
            bill = file.execute(_BILL, (row["id"].partition("#")[0],)).fetchone()
            _pay(file, row, row["usd"] if bill is None or bill["cost"] is None else bill["cost"])
            file.execute("DELETE FROM hold WHERE id = ? AND name = ?", (row["id"], row["name"]))
        return bool(gone)


def _standing(file: Database, share: Share) -> Standing:
    """A share's sums; one that is met for the first time begins with what the ledger knows was paid."""
    place = (share.name, share.period)
    row = file.execute(_STANDING, place).fetchone()
    if row is None:
        paid = (
            file.execute(_PAID_BY_RUNS, (share.name, share.name)) if share.since is None
            else file.execute(_PAID_SINCE, (share.since,))
        ).fetchone()[0]  # fmt: skip
        file.execute(_OPEN, (*place, paid))
        row = file.execute(_STANDING, place).fetchone()
    return Standing(row["spent"], row["reserved"])


def _pay(file: Database, row: object, charge: float) -> None:
    hold: dict[str, float] = {name: row[name] for name in ("name", "period", "usd")}  # type: ignore[index]
    file.execute(_SETTLE, (charge, hold["usd"], hold["usd"], hold["name"], hold["period"]))
