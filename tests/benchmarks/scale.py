"""Time and memory of many rows: a frame in memory, and parts on disk.

    python tests/benchmarks/scale.py [rows ...]        (default: 5000 100000)

Each measurement is a process of its own, so that its peak of resident memory is its own; its base is taken when the
data, the client and all imports are there and a few rows have been asked. Answers are mock mode's, without latency.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

import prsm_lab as lab

MODEL = "gpt-4.1-mini"


def megabytes() -> float:
    """Peak of resident memory so far; `ru_maxrss` is in KiB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(rows: int, how: str, folder: str) -> dict[str, object]:
    """Ask so many different rows, in this process."""
    data = pd.DataFrame({"q": [f"What is number {n}?" for n in range(rows)]})
    ledger = str(Path(folder) / "ledger.db")
    client = lab.Client(mock_mode=True, ledger=ledger, mock_responses={"*": {"content": "An answer of some words."}})
    options = {"model": MODEL, "client": client, "progress": False}
    lab.batch(["warm"] * 50, "{text}", **options)
    base, began = megabytes(), time.perf_counter()
    if how == "output":
        made = lab.batch(data, "{q}", output=Path(folder) / "out.parquet", **options)
    else:
        made = lab.batch(data, "{q}", **options)
    seconds = time.perf_counter() - began
    assert len(made) == rows
    frame = 0.0 if how == "output" else made.memory_usage(deep=True).sum() / 2**20
    return {
        "how": how, "rows": rows, "seconds": round(seconds, 2), "us_per_row": round(seconds / rows * 1e6),
        "peak_mb_above_base": round(megabytes() - base), "frame_mb": round(frame),
    }  # fmt: skip


def main() -> None:
    """Measure each number of rows in each way and print a frame."""
    if len(sys.argv) > 1 and sys.argv[1] == "--one":
        print(json.dumps(measure(int(sys.argv[2]), sys.argv[3], sys.argv[4])))
        return
    found = []
    for rows in [int(one) for one in sys.argv[1:]] or [5_000, 100_000]:
        for how in ("frame", "output"):
            with tempfile.TemporaryDirectory() as folder:
                told = subprocess.run(
                    [sys.executable, __file__, "--one", str(rows), how, folder],
                    check=True, capture_output=True, text=True, env={**os.environ, "PRSM_API_URL": ""},
                )  # fmt: skip
            found.append(json.loads(told.stdout.splitlines()[-1]))
            print(found[-1], file=sys.stderr, flush=True)
    print(pd.DataFrame(found).to_string(index=False))


if __name__ == "__main__":
    main()
