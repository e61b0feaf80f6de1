"""Time and memory of scorers on many answers, each in a process of its own.

    python tests/benchmarks/scoring.py [rows ...]        (default: 10000 100000)

The aim: exact, contains, regex, numeric and choice together on 100,000 rows under 20 s, in memory proportional to the
frame. Half the answers are short, half are some sentences long. The base of memory is taken when data and libraries are
there; `frame_mb` is what the frame of results takes.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import pandas as pd

import prsm_lab as lab
from prsm_lab import columns

CHEAP = ("exact", "contains", "regex", "numeric", "choice")
WAYS = ("together", *CHEAP, "f1", "rouge_l", "bleu", "chrf", "json_valid", "length", "function of the row")
SLOW = {"embedding_similarity": 2_000}
"""Measured on fewer rows."""
LONG = (
    "Let us look at each option in turn. A good start: there are {n} boxes of 12 pencils, so 12 x {n} = {m} pencils in "
    "all. I think A is wrong, since it counts the boxes; C and D are incorrect as well. The answer is (B), {m} pencils."
)


def megabytes() -> float:
    """Peak of resident memory so far; `ru_maxrss` is in KiB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def results(rows: int) -> pd.DataFrame:
    """Answers, and what is right as text."""
    texts = [LONG.format(n=n, m=12 * n) if n % 2 else f"{12 * n:,} pencils" for n in range(rows)]
    empty = columns.results([None] * rows, asked=["gpt-4.1-mini"] * rows)
    answers = pd.DataFrame({"answer": [str(12 * n) for n in range(rows)], "letter": ["B"] * rows})
    return pd.concat([answers, empty.assign(response=pd.array(texts, dtype="string"))], axis=1)


def scored(found: pd.DataFrame, how: str) -> pd.DataFrame:
    """Score in one way; `choice` has a reference of its own."""
    if how == "function of the row":
        return lab.score(found, lambda row: row["response"] == row["answer"])
    if how == "together":
        return lab.score(lab.score(found, CHEAP[:-1]), "choice", reference="letter")
    return lab.score(found, how, reference="letter" if how == "choice" else "answer")


def measure(rows: int, how: str) -> dict[str, object]:
    """Score so many rows, in this process."""
    rows = min(rows, SLOW.get(how, rows))
    found = results(rows)
    scored(found.iloc[:20], how)
    base, began = megabytes(), time.perf_counter()
    scored(found, how)
    seconds = time.perf_counter() - began
    return {
        "how": how, "rows": rows, "seconds": round(seconds, 2), "us_per_row": round(seconds / rows * 1e6, 1),
        "frame_mb": round(found.memory_usage(deep=True).sum() / 2**20),
        "peak_mb_above_base": round(megabytes() - base),
    }  # fmt: skip


def main() -> None:
    """Measure each number of rows in each way and print a frame."""
    if len(sys.argv) > 1 and sys.argv[1] == "--one":
        print(json.dumps(measure(int(sys.argv[2]), sys.argv[3])))
        return
    found = []
    for rows in [int(one) for one in sys.argv[1:]] or [10_000, 100_000]:
        for how in (*WAYS, *SLOW):
            told = subprocess.run(
                [sys.executable, "-P", __file__, "--one", str(rows), how], capture_output=True, text=True, check=True
            )
            found.append(json.loads(told.stdout))
    print(pd.DataFrame(found).to_string(index=False))


if __name__ == "__main__":
    main()
