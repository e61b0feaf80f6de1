"""What `lab.cache` does on the engine's loop, where the ledger lives."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.types import CachePolicy, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from prsm_lab.engine.caches import Caches
    from prsm_lab.engine.embedded import Embedded
    from prsm_lab.engine.verifying import Verdict
    from prsm_lab.ledger.carrying import Carried
    from prsm_lab.ledger.lookalikes import Hit

AT_ONCE: Final = 8
"""Pairs that are verified at the same time."""
MOST_HITS: Final = 100_000
"""The latest, of which `stats` is."""


async def answered(engine: Embedded) -> Any:
    """Return the latest questions of the ledger, with their answers."""
    from prsm_lab.ledger.asked import answered

    return answered(engine.ledger.connection, 5_000)


async def put(caches: Caches, name: str, value: Any) -> None:
    """Set something, for every process with this ledger."""
    caches.set(name, value)


async def verdicts(caches: Caches, pairs: Sequence[tuple[str, str]], model: str) -> list[Verdict]:
    """Ask a model whether pairs of questions mean the same; what it said of a pair already costs nothing again."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(first: str, second: str) -> Verdict:
        async with places:
            return await caches.verifier.verdict(first, second, model)

    return list(await asyncio.gather(*(one(*pair) for pair in pairs)))


async def enabled(caches: Caches, namespace: str, fields: dict[str, Any]) -> None:
    """Check what a namespace is to do, and set it."""
    asked = CachePolicy(key_strategy="semantic_similarity", namespace=namespace, **fields)
    caches.policy(Request(model="", messages=(), cache=asked))
    caches.set(f"namespace {namespace}", fields)


async def counted(caches: Caches) -> tuple[Any, Any, list[Hit]]:
    """Return what `stats` sums up."""
    return caches.book.counts(), caches.book.served(), caches.book.hits(MOST_HITS)


async def latest(caches: Caches, limit: int) -> list[Hit]:
    """Return what was found by meaning, the latest first."""
    return caches.book.hits(limit)


async def reported(engine: Embedded, id: str) -> None:
    """Evict what a wrong answer came from."""
    records = await engine.receipts([id])
    if not records:
        raise NotFoundError(f"No inference {id!r} in this ledger.", details={"parameter": "inference_id"})
    record = records[0]
    by_meaning = any(hit.outcome == "served" for hit in engine.caches.book.hits(1, id))
    if record.source is None:
        raise InvalidRequestError(
            f"The answer of {id!r} came from no cache: {record.model} gave it.", details={"parameter": "inference_id"}
        )
    engine.caches.book.report(id, None if by_meaning else record.source, when=time.time())


async def cleared(caches: Caches, namespace: str | None, embedder: str | None) -> int:
    """Forget entries."""
    count = caches.book.clear(namespace=namespace, embedder=embedder)
    caches.shelves.clear()
    return count + (caches.book.refuse_all(time.time()) if namespace is None and embedder is None else 0)


async def carried(way: Callable[[Any, Path], Carried], engine: Embedded, path: Path) -> Carried:
    """Export or restore."""
    found = way(engine.ledger, path)
    engine.caches.shelves.clear()
    return found


def summed(
    strategy: str,
    name: str | None,
    space: str | None,
    entries: int | None,
    served: tuple[int, float | None],
    found: list[Hit],
) -> dict[str, Any]:
    """Return a line of `stats`."""
    import numpy as np

    outcomes = Counter(hit.outcome for hit in found)
    exact = strategy == "exact"
    line: dict[str, Any] = {
        "strategy": strategy, "embedder": name, "namespace": space, "entries": entries,
        "served": served[0], "saved_usd": served[1],
    }  # fmt: skip
    for outcome in ("shadow", "gate", "verification"):
        line[outcome] = None if exact else outcomes[outcome]
    line["reported"] = None if exact else sum(hit.reported is not None for hit in found)
    for part in ("embed_ms", "search_ms"):
        times = [getattr(hit, part) for hit in found]
        line[f"{part}_p50"], line[f"{part}_p95"] = np.quantile(times, [0.5, 0.95]) if times else (None, None)
    return line
