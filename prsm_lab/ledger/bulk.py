"""Questions that wait in providers' own batches: which batch, under which id, and what became of it.

A batch is written down as 'submitting' before it is sent, with the inferences that it asks; so that whoever is killed
leaves behind what another process needs to find it, and nothing that waits is submitted again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from prsm_lab.ledger import owners, rows
from prsm_lab.types import Options

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from prsm_lab.ledger.store import Ledger
    from prsm_lab.types import JSON, Inference

_OPEN: Final = """
SELECT id, run_id, provider, origin, model, wire, owner, remote_id, state, created FROM bulk
WHERE run_id = ? AND state IN ('submitting', 'waiting', 'cancelling') ORDER BY created, id
"""
_ONE: Final = """
SELECT id, run_id, provider, origin, model, wire, owner, remote_id, state, created FROM bulk WHERE id = ?
"""
_ADD: Final = """
INSERT INTO bulk (id, run_id, provider, origin, model, wire, owner, remote_id, state, created, deadline)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_ITEM: Final = "INSERT INTO bulk_item (bulk_id, inference_id, question) VALUES (?, ?, ?)"
_ITEMS: Final = """
SELECT item.inference_id, item.question, asked.status, asked.requested_model, asked.request, asked.created,
       asked.answer, asked.digest
FROM bulk_item item LEFT JOIN inference asked ON asked.id = item.inference_id WHERE item.bulk_id = ?
"""
_SUBMITTED: Final = "UPDATE bulk SET remote_id = ?, state = 'waiting', checked = ? WHERE id = ?"
_SAY: Final = "UPDATE bulk SET state = ?, checked = ?, detail = coalesce(?, detail) WHERE id = ?"
_ADOPT: Final = "UPDATE bulk SET owner = ? WHERE id = ? AND owner = ? AND state = 'submitting'"
_REMOTES: Final = "SELECT remote_id FROM bulk WHERE provider = ? AND remote_id IS NOT NULL"


class Bulk(NamedTuple):
    """One batch at a provider."""

    id: str
    run_id: str
    provider: str
    origin: str
    model: str
    """The catalogue's name."""
    wire: str
    """The provider's."""
    owner: str
    remote_id: str | None
    """The provider's id; None: it is being submitted, or that was never answered."""
    state: str
    """submitting, waiting, cancelling (by us), ended, lost."""
    created: float
    """Unix time, seconds."""


class Item(NamedTuple):
    """One question of a batch, and what the ledger knows of it."""

    inference_id: str
    question: bytes
    requested_model: str = ""
    options: Options = Options()
    sample: int = 0
    created: float = 0.0
    answer: Inference | None = None
    """The answer, where it was fetched before."""


class _Asked(msgspec.Struct):
    options: Options = Options()
    sample: int = 0


_asked = msgspec.json.Decoder(_Asked)


class Bulks:
    """The batches that a ledger knows; to be used on the engine's loop, where the ledger lives."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def waiting(self, run: str) -> list[Bulk]:
        """Return the batches of a run that have not ended, oldest first."""
        return [_bulk(row) for row in self._ledger.connection.execute(_OPEN, (run,)).fetchall()]

    def get(self, id: str) -> Bulk | None:
        """Return a batch as it stands in the ledger."""
        row = self._ledger.connection.execute(_ONE, (id,)).fetchone()
        return None if row is None else _bulk(row)

    def items(self, id: str) -> list[Item]:
        """Return a batch's questions, with the answers that were fetched already."""
        found = []
        for row in self._ledger.connection.execute(_ITEMS, (id,)).fetchall():
            if row["status"] is None:  # killed before the questions were written: it was not sent either
                found.append(Item(row["inference_id"], bytes(row["question"])))
                continue
            answer = rows.inference(row) if row["status"] == "completed" else None
            asked = _asked.decode(row["request"])
            found.append(Item(
                row["inference_id"], bytes(row["question"]), row["requested_model"], asked.options, asked.sample,
                row["created"], answer,
            ))  # fmt: skip
        return found

    def remotes(self, provider: str) -> set[str]:
        """Return the provider's ids of all batches that were confirmed."""
        return {row["remote_id"] for row in self._ledger.connection.execute(_REMOTES, (provider,)).fetchall()}

    def claim(
        self, run: str, asked: Mapping[Bulk, Sequence[tuple[str, bytes]]], seen: Collection[str], deadline: float | None
    ) -> bool:
        """Write batches down that are about to be submitted, unless another process was faster with some of this run.

        Args:
            run: The run's id.
            asked: The batches, with each one's inference ids and questions.
            seen: Batches of the run that the caller knows of.
            deadline: Unix time after which it is not waited for.

        Returns:
            False if there are batches that the caller does not know of: nothing was written.
        """
        with self._ledger.connection.transaction("bulk") as file:
            if any(row["id"] not in seen for row in file.execute(_OPEN, (run,)).fetchall()):
                return False
            for bulk, items in asked.items():
                file.execute(_ADD, (*bulk, deadline))
                file.executemany(_ADD_ITEM, [(bulk.id, *item) for item in items])
        return True

    def adopt(self, bulk: Bulk) -> bool:
        """Take over a batch whose process died while it submitted; False: another one was faster."""
        with self._ledger.connection.transaction("bulk") as file:
            taken = file.execute(_ADOPT, (owners.this_process(), bulk.id, bulk.owner))
        return bool(taken.rowcount == 1)

    def submitted(self, id: str, remote_id: str) -> None:
        """Write down what the provider calls a batch: from now on it waits."""
        with self._ledger.connection.transaction("bulk") as file:
            file.execute(_SUBMITTED, (remote_id, time.time(), id))

    def say(self, id: str, state: str, detail: JSON | None = None) -> None:
        """Write down how a batch stands."""
        with self._ledger.connection.transaction("bulk") as file:
            file.execute(_SAY, (state, time.time(), None if detail is None else rows.text(detail), id))


def mine(bulk: Bulk) -> bool:
    """Is this process the one that submits it?"""
    return bulk.owner == owners.this_process()


def orphaned(bulk: Bulk) -> bool:
    """Has the process that submits it died?"""
    return not owners.alive(bulk.owner, bulk.created)


def new(id: str, run: str, provider: str, origin: str, model: str, wire: str) -> Bulk:
    """Return a batch that this process is about to submit."""
    return Bulk(id, run, provider, origin, model, wire, owners.this_process(), None, "submitting", time.time())


def _bulk(row: object) -> Bulk:
    return Bulk(**{name: row[name] for name in Bulk._fields})  # type: ignore[index]
