"""Time and memory of comparisons: `contrast` on many paired rows, each test in a process of its own.

    python tests/benchmarks/contrasts.py [rows ...]        (default: 10000 100000)

The aim: a bootstrap of 10,000 draws on 10,000 paired rows under 3 s, in bounded memory. The base of memory is taken
when data and libraries are there.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

import prsm_lab as lab
from prsm_lab import columns

WAYS = ("mcnemar", "permutation", "wilcoxon", "bootstrap", "clustered bootstrap", "summarize", "summarize bootstrap")


def megabytes() -> float:
    """Peak of resident memory so far; `ru_maxrss` is in KiB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def results(rows: int) -> pd.DataFrame:
    """Two variants of as many rows, with a mark and a right or wrong each."""
    rng = np.random.default_rng(0)
    parts = []
    for model, shift in (("gpt-4.1-mini", 0.0), ("gpt-4.1", 0.03)):
        empty = columns.results([None] * rows, asked=[model] * rows)
        answers = {
            "response": "x",
            "inference_id": [f"{model}{n}" for n in range(rows)],
            "cost": 0.001,
            "cached": False,
        }
        scores = {"score_mark": rng.normal(shift, 1, rows), "score_right": (rng.random(rows) < 0.5 + shift) * 1.0}
        inputs = pd.DataFrame({"q": [f"q{n}" for n in range(rows)], "doc": np.arange(rows) // 10})
        parts.append(pd.concat([inputs, empty.assign(**answers, **scores)], axis=1))
    return pd.concat(parts)


def measure(rows: int, how: str) -> dict[str, object]:
    """Compare so many rows, in this process."""
    given = results(rows)
    lab.contrast(results(20), test="bootstrap", draws=20)
    base, began = megabytes(), time.perf_counter()
    if how.startswith("summarize"):
        lab.summarize(given, interval="bootstrap" if "bootstrap" in how else "auto")
    else:
        options = {"cluster": "doc"} if "clustered" in how else {}
        score = "right" if how == "mcnemar" else "mark"
        lab.contrast(given, scores=score, test=how.removeprefix("clustered "), draws=10_000, **options)
    seconds = time.perf_counter() - began
    return {"how": how, "rows": rows, "seconds": round(seconds, 2), "peak_mb_above_base": round(megabytes() - base)}


def main() -> None:
    """Measure each number of rows in each way and print a frame."""
    if len(sys.argv) > 1 and sys.argv[1] == "--one":
        print(json.dumps(measure(int(sys.argv[2]), sys.argv[3])))
        return
    found = []
    for rows in [int(one) for one in sys.argv[1:]] or [10_000, 100_000]:
        for how in WAYS:
            told = subprocess.run(
                [sys.executable, "-P", __file__, "--one", str(rows), how], capture_output=True, text=True, check=True
            )
            found.append(json.loads(told.stdout))
    print(pd.DataFrame(found).to_string(index=False))


if __name__ == "__main__":
    main()
