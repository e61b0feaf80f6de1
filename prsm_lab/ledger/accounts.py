"""What a share server keeps beside the answers: keys, seats of requests in flight, credits, idempotency keys.

A connection of its own whose commits cost no disk flush. A killed process loses nothing; a power cut may lose the last
settlements of credits, never an answer.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from prsm_lab.errors import InternalError, NotFoundError
from prsm_lab.ledger.database import words
from prsm_lab.ledger.owners import alive
from prsm_lab.types import Key, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prsm_lab.ledger.database import Database, Row

IDEMPOTENCY_SECONDS: Final = 24 * 3600.0

_encode = msgspec.json.encode

_ADD = """
INSERT INTO api_key (id, digest, person, tier, limits, scopes, models, credits, preferences, created, expires)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SEAT = "INSERT INTO seat (id, person, key_id, amount, owner, created) VALUES (?, ?, ?, ?, ?, ?)"
_STANDING = """
SELECT (SELECT count(*) FROM seat WHERE person = ?) AS ongoing,
       (SELECT credits FROM api_key WHERE id = ?) AS credits,
       (SELECT coalesce(sum(amount), 0.0) FROM seat WHERE key_id = ?) AS reserved
"""
_CHARGE = "UPDATE api_key SET credits = credits - ? WHERE id = ? AND credits IS NOT NULL"


class Taken(NamedTuple):
    """What became of the wish for a seat."""

    seated: bool
    ongoing: int
    """Requests of this person in flight, this one left out."""
    left: float | None
    """USD that the key could still reserve; None: not metered."""


class Accounts:
    """The share server's tables; made by `Ledger.accounts`."""

    def __init__(self, connection: Database, owner: str, *, borrowed: bool = False) -> None:
        self.connection = connection
        """For look-ups; changes go through `transaction`."""
        self._owner = owner
        self._borrowed = borrowed
        self._owed: dict[str, tuple[Key, float]] = {}
        connection.relax()

    @contextmanager
    def transaction(self, about: str = "") -> Iterator[Database]:
        """Check and change in one step, whoever else has the ledger open; `about`: whose figures."""
        try:
            with self.connection.transaction(about):
                yield self.connection
        except self.connection.FAULTS as fault:
            raise InternalError(
                f"The ledger could not be written ({words(fault)}); nothing was sent. Try again.",
                details={"kind": "ledger"},
            ) from fault

    # ------------------------------------------------------------------------------------------------- keys

    def add(self, key: Key, digest: bytes) -> None:
        """Keep a key by its digest."""
        with self.transaction() as file:
            file.execute(_ADD, (
                key.id, digest, key.person, key.tier, _encode(key.limits).decode(), _encode(key.scopes).decode(),
                None if key.models is None else _encode(key.models).decode(), key.credits,
                None if key.preferences is None else _encode(key.preferences).decode(), key.created, key.expires,
            ))  # fmt: skip

    def find(self, id: str) -> tuple[Key, bytes] | None:
        """Return a key and the digest of its secret."""
        row = self.connection.execute("SELECT * FROM api_key WHERE id = ?", (id,)).fetchone()
        return None if row is None else (_key(row), row["digest"])

    def key(self, id: str) -> Key:
        """Return a key by its id.

        Raises:
            NotFoundError: If there is none.
        """
        found = self.find(id)
        if found is None:
            raise NotFoundError(f"No key {id!r}.", details={"parameter": "key_id"})
        return found[0]

    def all(self) -> list[Key]:
        """List all keys, newest first."""
        return [_key(row) for row in self.connection.execute("SELECT * FROM api_key ORDER BY created DESC, id")]

    def revoke(self, id: str) -> Key:
        """End a key for good."""
        self.key(id)
        self._set(id, "UPDATE api_key SET revoked = coalesce(revoked, ?) WHERE id = ?", time.time())
        return self.key(id)

    def top_up(self, id: str, amount: float) -> Key:
        """Add USD to a metered key."""
        self.key(id)
        self._set(id, "UPDATE api_key SET credits = coalesce(credits, 0.0) + ? WHERE id = ?", amount)
        return self.key(id)

    def prefer(self, id: str, preferences: dict[str, Any]) -> None:
        """Keep a key's preferences."""
        self._set(id, "UPDATE api_key SET preferences = ? WHERE id = ?", _encode(preferences).decode())

    def used(self, id: str, when: float) -> None:
        """Note when a key was used last."""
        self._set(id, "UPDATE api_key SET last_used = ? WHERE id = ?", when)

    def _set(self, id: str, statement: str, value: object) -> None:
        with self.transaction() as file:
            file.execute(statement, (value, id))

    # ------------------------------------------------------------------------------------------ seats, credits

    def take(self, id: str, key: Key, amount: float) -> Taken:
        """Reserve a seat and money for a request, if there is both.

        Args:
            id: The inference's.
            key: Who asks.
            amount: The most that it can cost, USD.

        Raises:
            InternalError: If the ledger cannot be written.
        """
        self._settle()
        try:
            with self.transaction(key.person) as file:
                taken = self._take(file, id, key, amount)
                if not taken.seated and self._swept(file, key.person):
                    taken = self._take(file, id, key, amount)
        except InternalError:
            self._owed[id] = (key, 0.0)  # the commit may have arrived although its answer did not
            raise
        return taken

    def _take(self, file: Database, id: str, key: Key, amount: float) -> Taken:
        ongoing, has, reserved = file.execute(_STANDING, (key.person, key.id, key.id)).fetchone()
        most, left = key.limits.concurrent, None if key.credits is None else has - reserved
        seated = (most is None or ongoing < most) and (left is None or amount <= left)
        if seated:
            file.execute(_SEAT, (id, key.person, key.id, amount, self._owner, time.time()))
        return Taken(seated, ongoing, left)

    def _swept(self, file: Database, person: str) -> bool:
        """Free a person's seats of processes that are gone: what they had in flight nobody will settle."""
        rows = file.execute("SELECT id, owner, created FROM seat WHERE person = ?", (person,)).fetchall()
        gone = [(row["id"],) for row in rows if not alive(row["owner"], row["created"])]
        if gone:
            file.executemany("DELETE FROM seat WHERE id = ?", gone)
        return bool(gone)

    def free(self, id: str, key: Key, charge: float) -> None:
        """Give a seat back and pay for what was used; where the ledger is out of reach, as soon as it is back."""
        self._owed[id] = (key, charge)
        with suppress(InternalError):
            self._settle()

    def _settle(self) -> None:
        """Free the seats that are owed, one transaction each: it is about one person."""
        for id, (key, charge) in list(self._owed.items()):  # noqa: A001 -- the inference's
            with self.transaction(key.person) as file:
                freed = file.execute("DELETE FROM seat WHERE id = ?", (id,)).rowcount
                if freed and charge and key.credits is not None:  # a charge that was committed is not made again
                    file.execute(_CHARGE, (charge, key.id))
            del self._owed[id]

    # ------------------------------------------------------------------------------------------- idempotency

    def claim(self, person: str, key: str, asked: bytes, inference_id: str) -> tuple[bytes, str] | None:
        """Claim an idempotency key; return what was asked under it and by which inference, if it was taken."""
        now = time.time()
        with self.transaction(f"{person} {key}") as file:
            file.execute("DELETE FROM idempotency WHERE created < ?", (now - IDEMPOTENCY_SECONDS,))
            row = file.execute(
                "SELECT asked, inference_id FROM idempotency WHERE person = ? AND key = ?", (person, key)
            ).fetchone()
            if row is not None:
                return row["asked"], row["inference_id"]
            file.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)", (person, key, asked, inference_id, now))
        return None

    def reclaim(self, person: str, key: str, old: str, new: str) -> bool:
        """Hand a key whose question failed to another try; False if somebody else was faster."""
        with self.transaction() as file:
            changed = file.execute(
                "UPDATE idempotency SET inference_id = ? WHERE person = ? AND key = ? AND inference_id = ?",
                (new, person, key, old),
            )
            return bool(changed.rowcount == 1)

    def close(self) -> None:
        """Close the connection, unless it is the ledger's own (in memory there is only one)."""
        if not self._borrowed:
            self.connection.close()


def _key(row: Row) -> Key:
    return Key(
        id=row["id"],
        person=row["person"],
        tier=row["tier"],
        limits=msgspec.json.decode(row["limits"], type=Limits),
        scopes=tuple(msgspec.json.decode(row["scopes"])),
        models=None if row["models"] is None else tuple(msgspec.json.decode(row["models"])),
        credits=row["credits"],
        preferences=None if row["preferences"] is None else msgspec.json.decode(row["preferences"]),
        created=row["created"],
        expires=row["expires"],
        revoked=row["revoked"],
        last_used=row["last_used"],
    )
