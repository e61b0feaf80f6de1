"""Vectors of questions in memory, a shelf for each scope: read from the ledger in pieces when one is first looked at.

The search is exact. Where there are many, it first looks at the part of each vector in a few directions along which
most of them lie: with the length of the rest it bounds the cosine from above (Cauchy and Schwarz), and only those whose
bound reaches the threshold are multiplied in full. What other processes add is read at the next look-up; what they
evict is noticed when it would be served.
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


LEAST: Final = 4_096
"""From so many entries on the bound is worth its memory, a quarter more."""
DIRECTIONS: Final = 96
SLACK: Final = 1e-3
"""Of the bound, for rounding."""


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
        self._basis: Vectors | None = None
        self._parts: Vectors | None = None
        self.reading: asyncio.Task[None] | None = None

    @property
    def bytes(self) -> int:
        """Memory of the vectors."""
        return int(self._vectors.nbytes + (0 if self._parts is None else self._parts.nbytes))

    def put(self, ids: list[str], vectors: Vectors) -> None:
        """Add entries at the end."""
        n, more = len(self.ids), len(ids)
        self._vectors = _grown(self._vectors, n, n + more)
        self._vectors[n : n + more] = vectors
        self.ids += ids
        if self._basis is None and n + more >= LEAST and self.width > 2 * DIRECTIONS:
            self._basis = _directions(self._vectors[: n + more : (n + more) // LEAST])
            n, vectors = 0, self._vectors[: n + more]
        if self._basis is not None:
            made = _parts(vectors, self._basis)
            self._parts = _grown(made if self._parts is None else self._parts, n, n + len(made))
            self._parts[n : n + len(made)] = made

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
        vector = np.asarray(vector, np.float32)
        likely = self._likely(vector, threshold)
        near = _product(self._vectors[: len(self.ids)] if likely is None else self._vectors[likely], vector)
        found = np.flatnonzero(near >= np.float32(threshold))
        if len(found) > most + len(self._gone):
            found = found[np.argpartition(near[found], -most - len(self._gone))[-most - len(self._gone) :]]
        found = found[np.argsort(-near[found], kind="stable")]
        places = found if likely is None else likely[found]
        pairs = ((float(min(near[n], 1.0)), self.ids[place]) for n, place in zip(found, places, strict=True))
        return [pair for pair in pairs if pair[1] not in self._gone][:most]

    def _likely(self, vector: Vectors, threshold: float) -> Any:
        """Places whose bound reaches the threshold; None: too many, or not known."""
        import numpy as np

        if self._parts is None or self._basis is None:
            return None
        bound = _product(self._parts[: len(self.ids)], _parts(vector[None], self._basis)[0])
        likely = np.flatnonzero(bound >= np.float32(threshold - SLACK))
        return likely if len(likely) < len(self.ids) // 8 else None


def _product(rows: Vectors, vector: Vectors) -> Vectors:
    """Their products, in this thread: those of BLAS wait for each other on a busy one (p95 8 ms, this: 2)."""
    import numpy as np

    found: Vectors = np.einsum("ij,j->i", rows, vector)
    return found


def _grown(held: Vectors, used: int, wanted: int) -> Vectors:
    import numpy as np

    if wanted <= len(held):
        return held
    grown = np.zeros((max(2 * len(held), wanted), held.shape[1]), np.float32)
    grown[:used] = held[:used]
    return grown


def _directions(sample: Vectors) -> Vectors:
    """Orthonormal directions along which most of the vectors lie, by subspace iteration."""
    import numpy as np

    basis = np.random.default_rng(0).standard_normal((sample.shape[1], DIRECTIONS)).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(sample.T @ (sample @ basis))
    return np.ascontiguousarray(basis, np.float32)


def _parts(vectors: Vectors, basis: Vectors) -> Vectors:
    """Each vector along the directions, and the length of what is left of it."""
    import numpy as np

    along = vectors @ basis
    rest = np.sqrt(np.maximum((vectors**2).sum(axis=1) - (along**2).sum(axis=1), 0))
    return np.hstack([along, rest[:, None]]).astype(np.float32)


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
