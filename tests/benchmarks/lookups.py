"""Look-ups in a cache of many entries: exact, by meaning, and what a plain product by numpy takes.

    python tests/benchmarks/lookups.py [entries]        (default: 100000)

All entries are in one scope, the worst case, and their vectors are drawn around 200 directions, as questions have
topics. The aims: search p95 at most 5 ms, insert at most 1 ms, a start that does not wait for everything. The time of
embedding stands apart. Figures are of this process: `busy` says what else the machine does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from prsm_lab import embeddings
from prsm_lab.engine.shelves import Shelves, packed
from prsm_lab.ledger import Ledger, fingerprint
from prsm_lab.ledger.lookalikes import Entry, Lookalikes
from prsm_lab.types import Inference, Request

WIDTH, TOPICS, LOOKS, GROUP = 384, 200, 300, 200
SCOPE = b"s" * 16


def vectors(entries: int) -> np.ndarray:
    """Unit vectors around some directions."""
    rng = np.random.default_rng(7)
    topics = rng.standard_normal((TOPICS, WIDTH), dtype=np.float32)
    made = topics[rng.integers(TOPICS, size=entries)] + rng.standard_normal((entries, WIDTH), dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def question(n: int) -> Request:
    """One of the questions."""
    return Request(model="gpt-4.1-mini", messages=({"role": "user", "content": f"What is number {n}?"},))


def times(work, looks: int = LOOKS) -> dict[str, float]:
    """Median and 95th percentile of some calls, in ms."""
    taken = []
    for n in range(looks):
        began = time.perf_counter()
        work(n)
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50_ms": float(np.quantile(taken, 0.5)), "p95_ms": float(np.quantile(taken, 0.95))}


async def fill(ledger: Ledger, book: Lookalikes, known: np.ndarray) -> dict[str, float]:
    """Write answers with and without vectors; what the vectors add is the time of an insert."""
    spent = {True: 0.0, False: 0.0}
    for start in range(0, len(known), GROUP):
        rows = range(start, min(start + GROUP, len(known)))
        began = time.perf_counter()
        for n in rows:
            asked, id = question(n), f"inf_{n:026d}"  # noqa: A001 -- the seed's word
            ledger.start(id, asked, fingerprint(asked, ()), scope=None, created=time.time())
            ledger.finish(Inference(id=id, requested_model="gpt-4.1-mini", model="gpt-4.1-mini", provider="openai",
                                    content="42", finish_reason="stop"))  # fmt: skip
        ledger.flush()
        middle = time.perf_counter()
        for n in rows:
            book.add(Entry(f"inf_{n:026d}", "e", "", SCOPE, SCOPE, f"What is number {n}?", packed(known[n])))
        ledger.flush()
        spent[True] += time.perf_counter() - middle
        spent[False] += middle - began
    return {"answer_ms": spent[False] / len(known) * 1000, "entry_ms": spent[True] / len(known) * 1000}


async def measure(entries: int, folder: Path) -> list[dict[str, object]]:
    """All look-ups, in a ledger file."""
    known = vectors(entries)
    ledger = Ledger.open(folder / "ledger.db")
    book = Lookalikes(ledger)
    insert = await fill(ledger, book, known)
    rng = np.random.default_rng(1)
    asked = [known[n] + 0.01 * rng.standard_normal(WIDTH).astype(np.float32) for n in rng.integers(entries, size=LOOKS)]
    asked = [vector / np.linalg.norm(vector) for vector in asked]
    lines: list[dict[str, object]] = [{"what": "insert of an entry, beside its answer", "p50_ms": insert["entry_ms"]}]

    def single(n: int) -> None:
        book.add(Entry(f"inf_{n:026d}", "e", "", SCOPE, SCOPE, "again", packed(known[n])))
        ledger.flush()

    lines.append({"what": "insert of one, with its own commit", **times(single)})
    shelves = Shelves(book)
    began = time.perf_counter()
    shelf = await shelves.of(SCOPE, wide=False, width=WIDTH)
    lines.append({"what": f"first look-up after a start ({len(shelf.ids):,} read by then)",
                  "p50_ms": (time.perf_counter() - began) * 1000})  # fmt: skip
    if shelf.reading is not None:
        await shelf.reading
    lines.append(
        {"what": "until all are read, others working in between", "p50_ms": (time.perf_counter() - began) * 1000}
    )
    assert len(shelf.ids) == entries

    async def whole(vector: np.ndarray) -> None:
        there = await shelves.of(SCOPE, wide=False, width=WIDTH)
        near = there.search(vector, 0.8, 5)
        book.asked([one for _, one in near])

    taken = []
    for vector in asked:
        began = time.perf_counter()
        await whole(vector)
        taken.append((time.perf_counter() - began) * 1000)
    lines.append({"what": "by meaning: search", **times(lambda n: shelf.search(asked[n], 0.8, 5))})
    lines.append({"what": "by meaning: look for new entries, search, read what was asked",
                  "p50_ms": float(np.quantile(taken, 0.5)), "p95_ms": float(np.quantile(taken, 0.95))})  # fmt: skip
    lines.append({"what": "numpy: product and argmax", **times(lambda n: (known @ asked[n]).argmax())})
    keys = [fingerprint(question(n), ()) for n in range(LOOKS)]
    lines.append({"what": "exact", **times(lambda n: ledger.find([keys[n]]))})
    ledger.close()
    return lines


def main() -> None:
    """Measure and print."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        lines = asyncio.run(measure(entries, Path(folder)))
    minilm = embeddings.load()
    lines.append(
        {"what": "embedding of one question (minilm)", **times(lambda n: minilm([f"What is number {n}?"]), 100)}
    )
    print(f"{entries:,} entries, busy: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(pd.DataFrame(lines).round(3).to_string(index=False))
    if find_spec("gptcache") is None:
        print("GPTCache is not installed: nothing to compare with.")


if __name__ == "__main__":
    main()
