"""Look-ups in a cache of many entries: exact, by meaning, and what a plain product by numpy takes.

    python tests/benchmarks/lookups.py [entries] [--gptcache PYTHON]        (default: 100000)

All entries are in one scope, the worst case, and their vectors are drawn around 200 directions, as questions have
topics. The aims: search p95 at most 5 ms, insert at most 1 ms, a start that does not wait for everything. The time of
embedding stands apart. Figures are of this process: `busy` says what else the machine does.

GPTCache installs packages when it runs, so it is in an environment of its own, and in a process of its own:

    python -m venv OWN && OWN/bin/pip install gptcache faiss-cpu sqlalchemy
    python tests/benchmarks/lookups.py --gptcache OWN/bin/python

It is asked for the same vectors as often: see `gptcache_lookups.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
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


def near(known: np.ndarray) -> np.ndarray:
    """Unit vectors close to some of those known: what is asked."""
    rng = np.random.default_rng(1)
    asked = [known[n] + 0.01 * rng.standard_normal(WIDTH).astype(np.float32)
             for n in rng.integers(len(known), size=LOOKS)]  # fmt: skip
    return np.stack([vector / np.linalg.norm(vector) for vector in asked])


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


async def measure(known: np.ndarray, asked: np.ndarray, folder: Path) -> list[dict[str, object]]:
    """All look-ups, in a ledger file."""
    ledger = Ledger.open(folder / "ledger.db")
    book = Lookalikes(ledger)
    insert = await fill(ledger, book, known)
    lines: list[dict[str, object]] = [{"what": "insert of an answer", "p50_ms": insert["answer_ms"]},
                                      {"what": "insert of an entry, beside its answer", "p50_ms": insert["entry_ms"]}]  # fmt: skip

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
    assert len(shelf.ids) == len(known)

    async def whole(vector: np.ndarray) -> None:
        there = await shelves.of(SCOPE, wide=False, width=WIDTH)
        found = there.search(vector, 0.8, 5)
        book.asked([one for _, one in found])

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


def gptcache(python: str, known: np.ndarray, asked: np.ndarray, folder: Path) -> list[dict[str, object]]:
    """The same look-ups in GPTCache, by another Python; its files are left in the folder."""
    np.save(folder / "known.npy", known)
    np.save(folder / "asked.npy", asked)
    child = Path(__file__).resolve().with_name("gptcache_lookups.py")
    python = os.path.abspath(shutil.which(python) or python)  # it starts in the folder; links lead out of a venv
    done = subprocess.run([python, child, str(GROUP)], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("entries", type=int, nargs="?", default=100_000)
    parser.add_argument("--gptcache", help="a Python with gptcache, faiss-cpu and sqlalchemy installed")
    given = parser.parse_args()
    busy = os.getloadavg()[0]  # before this process adds to it
    known = vectors(given.entries)
    asked = near(known)
    with tempfile.TemporaryDirectory() as folder:
        lines = asyncio.run(measure(known, asked, Path(folder)))
    minilm = embeddings.load()
    lines.append(
        {"what": "embedding of one question (minilm)", **times(lambda n: minilm([f"What is number {n}?"]), 100)}
    )
    if given.gptcache:
        with tempfile.TemporaryDirectory() as folder:
            lines += gptcache(given.gptcache, known, asked, Path(folder))
    print(f"{given.entries:,} entries, busy: load {busy:.1f} on {os.cpu_count()} cores")
    print(pd.DataFrame(lines).round(3).to_string(index=False))
    if not given.gptcache:
        print("GPTCache is left out: --gptcache PYTHON compares with it.")


if __name__ == "__main__":
    main()
