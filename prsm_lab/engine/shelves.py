"""Vectors of questions in memory, a shelf for each scope: read from the ledger in pieces when one is first looked at.

The search is exact: a product with every vector, as one call of numpy. What other processes add is read at the next
look-up; what they evict is noticed when it would be served.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from prsm_lab.embeddings import Vectors
    from prsm_lab.ledger.lookalikes import Lookalikes

PIECE: Final = 2_000
"""Entries that are read at a time; others get on with their work in between."""
PATIENCE: Final = 0.25
"""Seconds for which a look-up waits for a shelf that is being read; then it searches what is there."""
MOST_BYTES: Final = 600_000_000
"""Of all shelves together; the one that was not looked at for longest goes, and is read again when it is needed."""


class Shelf:
    """The vectors of one scope.

    Args:
        width: Numbers of a vector.
    """

    def __init__(self, width: int) -> None:
        import numpy as np

        self.width, self.last = width, 0
        self.ids: list[str] = []
        self._gone: set[str] = set()
        self._vectors: Vectors = np.zeros((64, width), np.float32)
        self.reading: asyncio.Task[None] | None = None

    @property
    def bytes(self) -> int:
        """Memory of the vectors."""
        return int(self._vectors.nbytes)

    def put(self, ids: list[str], vectors: Vectors) -> None:
        """Add entries at the end."""
        import numpy as np

        n, more = len(self.ids), len(ids)
        if n + more > len(self._vectors):
            grown = np.zeros((max(2 * len(self._vectors), n + more), self.width), np.float32)
            grown[:n] = self._vectors[:n]
            self._vectors = grown
        self._vectors[n : n + more] = vectors
        self.ids += ids

    def drop(self, id: str) -> None:
        """Take one away; its place stays empty until the shelf is read anew."""
        self._gone.add(id)

    def search(self, vector: Any, threshold: float, most: int) -> list[tuple[float, str]]:
        """Return the nearest entries, at least so similar, the nearest first.

        Args:
            vector: Of length 1.
            threshold: Least cosine.
            most: So many at most.

        >>> import numpy as np
        >>> shelf = Shelf(2)
        >>> shelf.put(["a", "b"], np.array([[1, 0], [0.6, 0.8]], np.float32))
        >>> [(round(float(near), 2), id) for near, id in shelf.search(np.array([0, 1], np.float32), 0.5, 3)]
        [(0.8, 'b')]
        """
        import numpy as np

        if not self.ids:
            return []
        near = self._vectors[: len(self.ids)] @ np.asarray(vector, np.float32)
        found = np.flatnonzero(near >= np.float32(threshold))
        if len(found) > most + len(self._gone):
            found = found[np.argpartition(near[found], -most - len(self._gone))[-most - len(self._gone) :]]
        found = found[np.argsort(-near[found], kind="stable")]
        pairs = ((float(min(near[n], 1.0)), self.ids[n]) for n in found)
        return [pair for pair in pairs if pair[1] not in self._gone][:most]


class Shelves:
    """All shelves of an engine; to be used on its loop.

    Args:
        book: Where entries are kept.
    """

    def __init__(self, book: Lookalikes) -> None:
        self._book = book
        self._shelves: dict[tuple[bytes, bool], Shelf] = {}

    def clear(self) -> None:
        """Forget what is in memory."""
        self._shelves.clear()

    async def of(self, key: bytes, *, wide: bool, width: int) -> Shelf:
        """Return a scope's shelf, with what was added to it since; one that is large is complete a little later.

        Args:
            key: The scope.
            wide: Whether it is one without the model.
            width: Numbers of a vector.
        """
        place = (key, wide)
        shelf = self._shelves.pop(place, None)
        if shelf is None or shelf.width != width:
            shelf = Shelf(width)
        self._shelves[place] = shelf  # the last looked at is the last
        if shelf.reading is None and self._read(shelf, place):
            shelf.reading = asyncio.create_task(self._rest(shelf, place))
        if shelf.reading is not None:
            await asyncio.wait({shelf.reading}, timeout=PATIENCE)
        return shelf

    def _read(self, shelf: Shelf, place: tuple[bytes, bool]) -> bool:
        """Read one piece; is there more?"""
        import numpy as np

        rows = self._book.newer(place[0], wide=place[1], after=shelf.last, limit=PIECE)
        fit = [(one, vector) for _, one, vector in rows if len(vector) == 2 * shelf.width]
        if fit:
            packed = np.frombuffer(b"".join(vector for _, vector in fit), "<f2").reshape(len(fit), shelf.width)
            shelf.put([one for one, _ in fit], packed.astype(np.float32))
        if rows:
            shelf.last = rows[-1][0]
        return len(rows) == PIECE

    async def _rest(self, shelf: Shelf, place: tuple[bytes, bool]) -> None:
        try:
            while self._read(shelf, place):  # noqa: ASYNC110 -- nothing is waited for: others get their turn
                await asyncio.sleep(0)
            self._trim(place)
        finally:
            shelf.reading = None

    def _trim(self, present: tuple[bytes, bool]) -> None:
        total = sum(shelf.bytes for shelf in self._shelves.values())
        for place in list(self._shelves):
            if total <= MOST_BYTES:
                return
            if place != present:
                total -= self._shelves.pop(place).bytes


def packed(vector: Any) -> bytes:
    """Return a vector as the ledger keeps it.

    >>> packed([1.0, 0.0]).hex()
    '003c0000'
    """
    import numpy as np

    return np.asarray(vector, "<f2").tobytes()
