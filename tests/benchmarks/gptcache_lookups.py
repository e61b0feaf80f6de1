"""Look-ups in GPTCache, with the vectors that `lookups.py` asks its own cache for. It is run by that benchmark, in an
environment of GPTCache's own, since GPTCache installs with pip, at run time, whatever it finds missing:

    python -m venv OWN
    OWN/bin/pip install gptcache faiss-cpu sqlalchemy        (tried: 0.1.44, 1.15.1, 2.1.9 on Python 3.11)
    OWN/bin/python gptcache_lookups.py GROUP                 (in a folder with known.npy and asked.npy: vectors, a line each)

It prints rows as JSON. `GROUP` entries are inserted at once. Here its pip is refused, and says so. Its database, index
and map are files in the folder. It is used as it comes, but for three things: it would keep no more than 1000 entries;
an embedding is a vector given to it, so that no model is measured; and it calls a match what we do, a cosine of 0.8.
Its SQLite has a rollback journal and waits for the disk at each commit, and reading an answer commits too; our ledger
has a write-ahead log that does not wait.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np


def refuse(command: str, **_: object) -> None:
    """Stand where GPTCache calls pip: nothing may be installed by a benchmark."""
    sys.exit(f"GPTCache wants to run `{command}`: install it in this environment yourself, nothing was installed.")


subprocess.check_call = refuse  # before GPTCache is imported, as it looks for packages at imports too

from gptcache import Cache, Config  # noqa: E402
from gptcache.adapter.api import get  # noqa: E402
from gptcache.manager import CacheBase, VectorBase, get_data_manager  # noqa: E402
from gptcache.processor.pre import get_prompt  # noqa: E402
from gptcache.similarity_evaluation import SearchDistanceEvaluation  # noqa: E402


def question(n: int) -> str:
    """The text of an entry."""
    return f"What is number {n}?"


def reworded(n: int) -> str:
    """What is asked by meaning."""
    return f"Tell me number {n}."


def times(work, looks: int) -> dict[str, float]:
    """Median and 95th percentile of some calls, in ms; as in `lookups.py`, which cannot be imported here."""
    taken = []
    for n in range(looks):
        began = time.perf_counter()
        work(n)
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50_ms": float(np.quantile(taken, 0.5)), "p95_ms": float(np.quantile(taken, 0.95))}


def fill(cache: Cache, entries: int, group: int) -> dict[str, float]:
    """Write all entries, by GPTCache's own way for many; return the time of one."""
    began = time.perf_counter()
    for start in range(0, entries, group):
        rows = range(start, min(start + group, entries))
        cache.import_data([question(n) for n in rows], [str(n) for n in rows])
    return {"p50_ms": (time.perf_counter() - began) * 1000 / entries}


def exact(entries: int, looks: int, group: int) -> list[dict[str, object]]:
    """Look up by the same text: its map, which is in memory and is pickled whole now and then."""
    cache = Cache()
    manager = get_data_manager(data_path="map", max_size=entries)
    cache.init(pre_embedding_func=get_prompt, data_manager=manager)
    lines = [{"what": f"GPTCache: insert into its map in memory, {group} at a time", **fill(cache, entries, group)}]
    assert all(get(question(n), cache_obj=cache) == str(n) for n in range(looks))
    lines.append({"what": "GPTCache: exact, in its map", **times(lambda n: manager.search(question(n)), looks)})
    lines.append({"what": "GPTCache: exact, a whole get", **times(lambda n: get(question(n), cache_obj=cache), looks)})
    return lines


def semantic(known: np.ndarray, asked: np.ndarray, group: int) -> list[dict[str, object]]:
    """Look up by meaning: faiss for the vectors, SQLite for what they belong to."""
    entries, looks = len(known), len(asked)
    given = {question(n): known[n] for n in range(entries)} | {reworded(n): asked[n] for n in range(looks)}
    cache = Cache()
    index = VectorBase("faiss", dimension=known.shape[1], index_path="index")
    manager = get_data_manager(CacheBase("sqlite"), index, max_size=entries + looks)
    # It scores 4 less the squared distance, and wants this share of 4: a cosine of 0.8 is a squared distance of 0.4.
    cache.init(pre_embedding_func=get_prompt, embedding_func=lambda text, **_: given[text], data_manager=manager,
               similarity_evaluation=SearchDistanceEvaluation(), config=Config(similarity_threshold=0.9))  # fmt: skip
    lines = [{"what": f"GPTCache: insert of an answer and vector, {group} at a time", **fill(cache, entries, group)}]
    nearest = (asked @ known.T).argmax(axis=1)
    assert all(get(reworded(n), cache_obj=cache) == str(nearest[n]) for n in range(looks))

    def search(n: int) -> tuple[float, int]:
        return manager.search(asked[n])[0]  # it looks for one unless told otherwise

    lines.append({"what": "GPTCache: by meaning: search, faiss's own number of threads", **times(search, looks)})
    import faiss  # here: were it missing, GPTCache would have said so by now

    faiss.omp_set_num_threads(1)  # threads wait for each other on a busy machine: this favours GPTCache there
    lines.append({"what": "GPTCache: by meaning: search, one thread", **times(search, looks)})
    lines.append({"what": "GPTCache: by meaning: search, read what was asked, note the time of it",
                  **times(lambda n: manager.get_scalar_data(search(n)), looks)})  # fmt: skip
    lines.append({"what": "GPTCache: by meaning: a whole get, which reports the hit too",
                  **times(lambda n: get(reworded(n), cache_obj=cache), looks)})  # fmt: skip
    lines.append({"what": "GPTCache: insert of one, with its own commit",  # last, since it adds to the entries
                  **times(lambda n: manager.save("again", "again", known[n]), looks)})  # fmt: skip
    lines.append({"what": "GPTCache: write the index to its file, as at every 20th put",
                  **times(lambda _: manager.flush(), 5)})  # fmt: skip
    return lines


def main() -> None:
    """Measure and print."""
    known, asked, group = np.load("known.npy"), np.load("asked.npy"), int(sys.argv[1])
    print(json.dumps(exact(len(known), len(asked), group) + semantic(known, asked, group)))


if __name__ == "__main__":
    main()
