"""Time to draw frames of many rows, and what a figure weighs in a notebook.

    python tests/benchmarks/plots.py [rows ...]        (default: 5000)

Each figure is drawn twice, the second is measured: the first import of plotly is not a figure's. Frames are made up,
seeded; answers have 60 words.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

import prsm_lab as lab
from prsm_lab import columns
from prsm_lab.types import Cost, Inference, Usage

MODELS = ("gpt-4.1-mini", "claude-haiku-4-5", "gpt-4o", "claude-sonnet-4-5", "own")


def results(rows: int) -> pd.DataFrame:
    """A scored comparison of five models."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{n}" for n in range(500)])
    made = [
        Inference(
            id=f"inf_{n}", requested_model=MODELS[n % 5], model=MODELS[n % 5], provider="p", finish_reason="stop",
            content=" ".join(rng.choice(words, 60)), latency_ms=float(rng.lognormal(6, 0.7)),
            usage=Usage(prompt_tokens=40, completion_tokens=80), cost=Cost(amount=float(rng.uniform(0, 0.01))),
        )
        for n in range(rows)
    ]  # fmt: skip
    found = columns.results(made, index=[n // 5 for n in range(rows)])
    found.insert(0, "question", [f"What is number {n // 5}, and what follows from it?" for n in range(rows)])
    return found.assign(score_exact=rng.integers(0, 2, rows).astype(float), score_rated=rng.uniform(0, 1, rows))


def receipts(rows: int) -> pd.DataFrame:
    """Knocks of a run, one in fifty of which failed."""
    rng = np.random.default_rng(0)
    started = pd.Timestamp("2026-11-26", tz="UTC") + pd.to_timedelta(np.sort(rng.uniform(0, 600, rows)), unit="s")
    return pd.DataFrame(
        {
            "inference_id": [f"inf_{n}" for n in range(rows)], "n": 0, "started": started, "status": "completed",
            "latency_ms": rng.lognormal(6, 0.7, rows), "requested_model": [MODELS[n % 5] for n in range(rows)],
            "error_code": np.where(rng.random(rows) < 0.02, "rate_limit_exceeded", None), "error": "wait",
            "cost": rng.uniform(0, 0.01, rows),
        }
    )  # fmt: skip


def main() -> None:
    """Draw each figure of each number of rows and print a frame."""
    found = []
    for rows in [int(one) for one in sys.argv[1:]] or [5_000]:
        scored, knocks = results(rows), receipts(rows)
        verdicts = pd.DataFrame({"a": MODELS[0], "b": np.random.default_rng(0).choice(MODELS[1:], rows), "winner": "a"})
        wide = lab.side_by_side(scored)
        drawn = {
            "scores (0/1)": lambda frame=scored: lab.plot.scores(frame, "exact"),
            "scores": lambda frame=scored: lab.plot.scores(frame, "rated"),
            "cost_quality": lambda frame=scored: lab.plot.cost_quality(frame),
            "latency": lambda frame=scored: lab.plot.latency(frame),
            "tokens": lambda frame=scored: lab.plot.tokens(frame),
            "timeline": lambda frame=knocks: lab.plot.timeline(frame),
            "wins": lambda frame=verdicts: lab.plot.wins(frame),
            "show": lambda frame=scored: lab.show(frame),
            "show (side by side)": lambda frame=wide: lab.show(frame, rows=100),
        }
        for name, draw in drawn.items():
            draw()
            began = time.perf_counter()
            made = draw()
            text = made.html() if name.startswith("show") else made.to_json()
            seconds = time.perf_counter() - began
            found.append({"what": name, "rows": rows, "seconds": round(seconds, 2), "kb": len(text) // 1024})
    print(pd.DataFrame(found).to_string(index=False))


if __name__ == "__main__":
    main()
