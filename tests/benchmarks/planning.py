"""What a plan costs: `python tests/benchmarks/planning.py` prints microseconds, each the best of five rounds.

Nothing is called; figures of one machine and one run. `candidates` is planned once for a run's questions of a kind,
`ordered` for each question.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from prsm_lab import catalog
from prsm_lab.engine import plan, routers, signals
from prsm_lab.engine.balance import Member, pick
from prsm_lab.engine.explaining import explained
from prsm_lab.engine.speeds import stalest
from prsm_lab.ledger.usage import Speed
from prsm_lab.statistics import guarantees
from prsm_lab.types import Grade, Options, Request, Routing, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable

ORIGINS: Final = {"openai": "o", "anthropic": "a", "huggingface": "h", "local": "l"}
KINDS: Final = {
    "one model": {},
    "two fallbacks": {"fallback": (Strategy(provider="anthropic"), Strategy(provider="huggingface"))},
    "cost optimisation": {"cost_optimization": True, "quality_threshold": 0.8},
    "at a task": {"cost_optimization": True, "quality_threshold": 0.8, "task": "sums"},
    "latency optimisation": {"latency_optimization": True, "quality_threshold": 0.8},
}
ROUNDS: Final = 5


def microseconds(act: Callable[[], object], times: int) -> float:
    """Return the best round's time for one call."""
    act()
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(times):
            act()
        rounds.append((time.perf_counter() - began) / times)
    return min(rounds) * 1e6


def grades() -> dict[tuple[str, str], Grade]:
    """A measurement of every model."""
    made = [
        Grade(task="sums", model=model.name, value=0.9, low=0.85, high=0.95, n=100, failed=0, score="s", source="mine",
              simulated=False, created=0.0)
        for model in catalog.all_models()
    ]  # fmt: skip
    return {(one.task, one.model): one for one in made}


def main() -> None:
    """Print the table."""
    known = {(model.provider, model.id): float(n) for n, model in enumerate(catalog.all_models())}
    facts = plan.Facts(lambda target: False, known, grades())
    print(f"{'':24}{'candidates':>12}{'ordered':>12}{'explained':>12}   µs, {len(catalog.all_models())} models")
    for name, routing in KINDS.items():
        text = "What is the capital of France? " * 4
        request = Request(
            model="gpt-4.1", messages=({"role": "user", "content": text},), options=Options(max_tokens=200),
            routing=Routing(**routing),
        )  # fmt: skip
        targets = plan.candidates(request, ORIGINS, facts.grades)
        print(
            f"{name:24}"
            f"{microseconds(lambda r=request: plan.candidates(r, ORIGINS, facts.grades), 200):12.1f}"
            f"{microseconds(lambda r=request, t=targets: plan.ordered(t, r, facts), 500):12.1f}"
            f"{microseconds(lambda r=request: explained(r, ORIGINS, facts), 100):12.1f}"
        )
    speeds = {place: Speed(0.0, tuple(np.arange(200.0)), ()) for place in known}
    print(f"{'p95 of 200 answers':24}{microseconds(lambda: speeds[next(iter(speeds))].figure(live=False), 500):12.1f}")
    print(f"{'stalest of all':24}{microseconds(lambda: stalest(known, speeds, 1e9, 0.0), 500):12.1f}")
    members = [Member(weight=1.0 + n, asked=n) for n in range(8)]
    print(f"{'one of 8 keys':24}{microseconds(lambda: pick(members, 0.0), 2000):12.1f}")
    rule = routers.Rule(kind="predictive", cheap="a", strong="b", signal="prompt", threshold=0.5,
                        weights=tuple((n, 0.1) for n in range(signals.BUCKETS)))  # fmt: skip
    router = routers.Known(rule, None, dict(rule.weights))
    for words in (20, 500):
        text = "word " * words
        print(f"{f'foretell {words} words':24}{microseconds(lambda t=text: routers.foretold(router, t), 200):12.1f}")
    rng = np.random.default_rng(0)
    rows = rng.random(1000) < 0.8, rng.random(1000) < 0.9, rng.random(1000)
    steps = rng.random(150)
    took = microseconds(lambda: guarantees.keeping(*rows, quality=0.95, confidence=0.9, thresholds=steps), 20)
    print(f"{'calibrate 1,000 rows':24}{took:12.1f}")


if __name__ == "__main__":
    main()
