"""Answers found by meaning: their vectors, what was found and served, and what no cache may serve any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from prsm_lab.ledger import queries, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.ledger.database import Row
    from prsm_lab.ledger.store import Ledger
    from prsm_lab.types import Inference

_NEWER: Final = "SELECT n, inference_id, vector FROM lookalike WHERE {key} = ? AND n > ? ORDER BY n LIMIT ?"
_BY_SCOPE: Final = _NEWER.format(key="scope")
_BY_WIDE: Final = _NEWER.format(key="wide")
_ASKED: Final = "SELECT inference_id, asked FROM lookalike WHERE inference_id IN ({listed})"
_ANSWER: Final = """
SELECT answer, digest, created FROM inference
WHERE id = :id AND status = 'completed' AND source_id IS NULL
  AND (person = :person OR (person IS NULL AND CAST(:person AS TEXT) IS NULL) OR (:person = '*' AND person IS NOT NULL))
"""
_REFUSE: Final = "INSERT INTO cache_refused (inference_id, created) VALUES (?, ?) ON CONFLICT (inference_id) DO NOTHING"
_REPORT: Final = "UPDATE lookalike_hit SET reported = ? WHERE inference_id = ?"
_EVICT: Final = "DELETE FROM lookalike WHERE inference_id = ?"
_HIT: Final = """
SELECT * FROM lookalike_hit WHERE CAST(:id AS TEXT) IS NULL OR inference_id = :id ORDER BY created DESC, inference_id
LIMIT :limit
"""
_COUNTS: Final = """
SELECT embedder, namespace, count(*) AS entries FROM lookalike GROUP BY embedder, namespace ORDER BY embedder, namespace
"""
_SAVED: Final = """
SELECT hit.embedder, hit.namespace, count(*) AS served, sum(source.cost) AS saved
FROM inference JOIN inference AS source ON source.id = inference.source_id
LEFT JOIN lookalike_hit AS hit ON hit.inference_id = inference.id AND hit.outcome = 'served'
WHERE inference.person IS NULL GROUP BY hit.embedder, hit.namespace
"""
_REFUSE_ALL: Final = """
INSERT INTO cache_refused (inference_id, created)
SELECT id, CAST(? AS DOUBLE PRECISION) FROM inference
WHERE status = 'completed' AND source_id IS NULL AND person IS NULL
ON CONFLICT (inference_id) DO NOTHING
"""
_SET: Final = (
    "INSERT INTO cache_setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_SETTINGS: Final = "SELECT name, value FROM cache_setting"


class Entry(NamedTuple):
    """What is kept of a question, so that others find it by meaning."""

    inference_id: str
    embedder: str
    namespace: str
    scope: bytes
    wide: bytes
    asked: str
    vector: bytes


class Hit(NamedTuple):
    """What was found for a question, and what came of it; as the table's columns."""

    inference_id: str
    matched_id: str
    asked: str
    matched: str
    similarity: float
    threshold: float
    embedder: str
    namespace: str
    outcome: str
    reason: str | None
    embed_ms: float
    search_ms: float
    person: str | None
    created: float
    reported: float | None = None


class Lookalikes:
    """The part of a ledger that a cache by meaning lives in; to be used on the engine's loop.

    Args:
        ledger: Where it is kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, entry: Entry) -> None:
        """Queue an entry; it is committed with the answer that it belongs to."""
        self._ledger.add(queries.LOOKALIKE, entry)

    def note(self, hit: Hit) -> None:
        """Queue what was found."""
        self._ledger.add(queries.LOOKALIKE_HIT, hit)

    def newer(self, key: bytes, *, wide: bool, after: int, limit: int) -> list[tuple[int, str, bytes]]:
        """Return entries of a scope in their order: number, inference, vector.

        Args:
            key: The scope.
            wide: Whether it is one without the model.
            after: Those with a larger number only.
            limit: So many at most.
        """
        found = self._ledger.connection.execute(_BY_WIDE if wide else _BY_SCOPE, (key, after, limit))
        return [(row["n"], row["inference_id"], bytes(row["vector"])) for row in found]

    def asked(self, ids: Sequence[str]) -> dict[str, str]:
        """Return what entries asked; those that were evicted are missing."""
        file = self._ledger.connection
        found = file.execute(_ASKED.format(listed=file.LISTED), {"ids": rows.text(list(ids))})
        return {row["inference_id"]: row["asked"] for row in found}

    def answer(self, id: str, *, person: str | None, since: float | None) -> Inference | None:
        """Return an entry's answer if it may be served.

        Args:
            id: The inference's.
            person: Whose it must be; None: the owner's; `EVERYBODY`: any key's.
            since: It must have been asked at this Unix time or later.
        """
        row = self._ledger.connection.execute(_ANSWER, {"id": id, "person": person}).fetchone()
        if row is None or (since is not None and row["created"] < since):
            return None
        found = rows.inference(row)
        return None if found is None or found.finish_reason in ("length", "content_filter", None) else found

    def hits(self, limit: int, id: str | None = None) -> list[Hit]:
        """Return what was found, the latest first; `id`: for one question only."""
        found = self._ledger.connection.execute(_HIT, {"id": id, "limit": limit})
        return [_hit(row) for row in found]

    def report(self, id: str, source: str | None, *, when: float) -> None:
        """Evict the entry that a hit served, or keep an exact one from being served again.

        Args:
            id: The inference that was answered from the cache.
            source: Whose answer an exact hit served; None: the hit was by meaning.
            when: Unix time.
        """
        with self._ledger.connection.transaction("cache") as file:
            if source is not None:
                file.execute(_REFUSE, (source, when))
                file.execute(_EVICT, (source,))
            for hit in self.hits(1, id):
                file.execute(_EVICT, (hit.matched_id,))
                file.execute(_REPORT, (when, id))

    def refuse_all(self, when: float) -> int:
        """Keep all of the owner's answers until now from being served by a cache; return how many."""
        with self._ledger.connection.transaction("cache") as file:
            return int(file.execute(_REFUSE_ALL, (when,)).rowcount)

    def clear(self, *, namespace: str | None, embedder: str | None) -> int:
        """Forget entries; None: of all. Return how many."""
        where = {"namespace": namespace, "embedder": embedder}
        with self._ledger.connection.transaction("cache") as file:
            found = file.execute(_CLEAR, where)
            return int(found.rowcount)

    def counts(self) -> list[tuple[str, str, int]]:
        """Return the number of entries by embedder and namespace."""
        found = self._ledger.connection.execute(_COUNTS)
        return [(row["embedder"], row["namespace"], row["entries"]) for row in found]

    def served(self) -> dict[tuple[str | None, str | None], tuple[int, float | None]]:
        """Return how many answers were served to the owner and what they had cost, by embedder and namespace.

        Under `(None, None)` are exact hits.
        """
        found = self._ledger.connection.execute(_SAVED)
        return {(row["embedder"], row["namespace"]): (row["served"], row["saved"]) for row in found}

    def settings(self) -> dict[str, Any]:
        """Return what was set, by name."""
        found = self._ledger.connection.execute(_SETTINGS)
        return {row["name"]: msgspec.json.decode(row["value"]) for row in found}

    def set(self, name: str, value: Any) -> None:
        """Set something."""
        with self._ledger.connection.transaction("cache") as file:
            file.execute(_SET, (name, rows.text(value)))


_CLEAR: Final = """
DELETE FROM lookalike WHERE (CAST(:namespace AS TEXT) IS NULL OR namespace = :namespace)
AND (CAST(:embedder AS TEXT) IS NULL OR embedder = :embedder)
"""


def _hit(row: Row) -> Hit:
    return Hit(*(row[name] for name in Hit._fields))
