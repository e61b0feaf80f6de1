"""What a share server costs: ours beside a bare ASGI pass-through and LiteLLM's proxy, in one run.

    python tests/benchmarks/server.py [--n 1000] [--rounds 3] [--hold 1000] [--litellm PYTHON] [--json FILE]

Every contender, the emulated provider and the load generator are processes of their own; rounds go from contender to
contender, so that a busy moment hits all alike. CPU is user + system of the contender's process tree, read before and
after the measured part: what the generator and the provider use is not in it. Ours has keys, tier limits, credits and
a ledger file on (the cache is off: every request reaches the provider); LiteLLM has one master key and no database.
Quote the ratios: absolute figures move with the machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import gateways

CHAT, SEED, SEED_STREAM = "/v1/chat/completions", "/v1/inference", "/v1/inference/stream"
BUSY = 16
"""Requests at once where CPU is compared."""
STREAMS = 20
DRIP = {"fault": "drip", "seconds": 0.02}
"""The provider's pieces come 20 ms apart, each alone: nothing can be joined."""
STALL = {"fault": "stall", "pieces": 2}
HOLD_SECONDS = 60.0
FIGURES = {
    "cpu_us": "CPU µs a request",
    "cpu_us_alone": "the same, one at a time",
    "added_p50_ms": "added p50 ms, one at a time",
    "added_p95_ms": "added p95 ms",
    "per_s": f"requests/s, {BUSY} at once",
    "stream_us": "CPU µs a stream event",
    "first_ms": "first token passed on, p50 ms",
    "first_p95_ms": "p95 ms",
    "first_busy_ms": f"p50 ms beside {STREAMS} streams",
}
MOST_CPU, MOST_ADDED = 1 / 8, 1 / 4
"""Goals of the share server: its share of what LiteLLM's proxy takes."""
MOST_MB, MOST_FIRST_MS = 300.0, 5.0


class Run:
    """All contenders at work, and what was found of each, round by round."""

    def __init__(self, given, folder):
        self.given = given
        self.provider = gateways.Provider(folder)
        self.started = {"pass-through": gateways.passthrough, "prsm-lab serve": gateways.ours}
        if given.litellm:
            self.started["LiteLLM proxy"] = gateways.litellm
        self.folder = folder
        self.gateways = {}
        self.found = {}
        self.direct = []
        self.tag = 0

    def __enter__(self):
        for name, start in self.started.items():
            self.gateways[name] = start(self.provider, self.folder, self.given.litellm)
        return self

    def __exit__(self, *_):
        for process in (*self.gateways.values(), self.provider):
            process.stop()

    def round(self):
        """Measure everything once, contender by contender."""
        self.provider.rules()
        alone = max(10, self.given.n // 5)
        direct, _ = self.asked(self.provider, CHAT, alone, 1)
        base = direct["found"]
        self.direct.append(statistics.median(base))
        for name, path, gateway in self.doors():
            self.provider.rules()
            busy, cpu = self.asked(gateway, path, self.given.n, BUSY)
            single, cpu_alone = self.asked(gateway, path, alone, 1)
            figures = {
                "cpu_us": cpu / self.given.n * 1e6, "cpu_us_alone": cpu_alone / alone * 1e6,
                "per_s": self.given.n / busy["wall"],
                "added_p50_ms": statistics.median(single["found"]) - statistics.median(base),
                "added_p95_ms": late(single["found"]) - late(base),
            }  # fmt: skip
            self.found.setdefault(name, []).append(figures | self.streamed(gateway, path))

    def doors(self):
        """The routes that are measured: the share server has two."""
        for name, gateway in self.gateways.items():
            yield name, CHAT, gateway
            if name == "prsm-lab serve":
                yield f"{name}, {SEED}", SEED, gateway

    def asked(self, target, path, n, c):
        """Ask n questions, c at once; return the answers' times and the CPU seconds of the target."""
        return self.measured(target, kind="ask", path=path, n=n, c=c)

    def streamed(self, gateway, path):
        """Long streams, piece by piece: CPU an event, and how long the first token stays inside."""
        path = SEED_STREAM if path == SEED else path
        self.provider.rules(DRIP)
        count = max(2, self.given.n // 25)
        busy, cpu = self.measured(gateway, kind="stream", path=path, n=count, c=STREAMS, topic=gateways.LONG)
        events = sum(stream["events"] for stream in busy["found"])
        beside = self.passed_on(busy)
        single, _ = self.measured(gateway, kind="stream", path=path, n=count, c=1)
        quiet = self.passed_on(single)
        return {
            "stream_us": cpu / events * 1e6, "first_ms": statistics.median(quiet), "first_p95_ms": late(quiet),
            "first_busy_ms": statistics.median(beside),
        }  # fmt: skip

    def passed_on(self, report):
        """Milliseconds between the provider's first byte and the client's first token; one clock serves both."""
        sent = {entry["prompt"]: entry["first_byte"] for entry in self.provider.log_entries()}
        return [(stream["first"] - sent[stream["prompt"]]) * 1000 for stream in report["found"]]

    def measured(self, target, **plan):
        self.tag += 1
        generator = gateways.load(target, tag=f"{self.tag}", **plan)
        try:
            before = target.cpu()
            report = gateways.told(generator)
            used = target.cpu() - before
        finally:
            generator.stop()
        if report["faults"]:
            raise RuntimeError(f"{target.process.args[:4]}, {plan}: {report['faults']}")
        return report, used

    def held(self):
        """Memory with so many streams open; how many of them had spoken."""
        for name, gateway in self.gateways.items():
            self.provider.rules(STALL)
            idle = gateway.rss()
            generator = gateways.load(
                gateway, kind="hold", path=CHAT, n=self.given.hold, c=0, tag="", seconds=HOLD_SECONDS
            )
            report = gateways.told(generator)
            figures = {"idle_mb": idle, "held_mb": gateway.rss(), **report}
            gateways.tell(generator)
            generator.stop()
            yield name, figures


def late(times):
    return statistics.quantiles(times, n=20)[-1]


def table(found, direct):
    """Print the median of the rounds, least and most beside it."""
    print(f"\nDirect p50 {statistics.median(direct):.2f} ms\n")
    print("| | " + " | ".join(FIGURES.values()) + " |\n|" + "---|" * (len(FIGURES) + 1))
    for name, rounds in found.items():
        print(f"| {name} | " + " | ".join(spread([one[figure] for one in rounds]) for figure in FIGURES) + " |")


def spread(values):
    digits = 0 if max(values) >= 100 else 2
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({least:,.{digits}f}-{most:,.{digits}f})"


def ratios(found):
    """Print each round's ratios to the pass-through and to LiteLLM: these are what to quote."""
    for other in ("pass-through", "LiteLLM proxy"):
        for name in (name for name in found if other in found and name.startswith("prsm-lab")):
            said = [f"{FIGURES[figure]} {spread(shares(found, name, other, figure))}" for figure in FIGURES]
            print(f"\n{name} / {other}: " + "; ".join(said))


def shares(found, name, other, figure):
    """One contender's figure over another's, round by round."""
    return [mine[figure] / theirs[figure] for mine, theirs in zip(found[name], found[other], strict=True)]


def goals(found, held):
    """Print which goals this run reached, by the median of its rounds."""
    mine, other = "prsm-lab serve", "LiteLLM proxy"
    reached = [("first token passed on, ms", [one["first_ms"] for one in found[mine]], MOST_FIRST_MS)]
    if other in found:
        reached.append(("CPU a request over LiteLLM's", shares(found, mine, other, "cpu_us"), MOST_CPU))
        reached.append(("added p50 over LiteLLM's", shares(found, mine, other, "added_p50_ms"), MOST_ADDED))
    if held:
        reached.append((f"MB with {held[mine]['spoke']} streams", [held[mine]["held_mb"]], MOST_MB))
    print()
    for what, values, most in reached:
        verdict = "reached" if statistics.median(values) <= most else "MISSED"
        print(f"goal: {what} at most {most:g}: {spread(values)}, {verdict}")


def memory(held, wanted):
    """Print what open streams take."""
    print(f"\n| | RSS MB idle | RSS MB with {wanted} streams | of them spoke | faults |\n|---|---|---|---|---|")
    for name, one in held.items():
        print(f"| {name} | {one['idle_mb']:.0f} | {one['held_mb']:.0f} | {one['spoke']} | {one['faults'] or '-'} |")


def main():
    """Run everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1000, help="requests a cell")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hold", type=int, default=1000, help="streams held open at once; 0: none")
    parser.add_argument("--litellm", help="a Python with litellm[proxy] installed")
    parser.add_argument("--json", type=Path, help="write all figures of all rounds there")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing that was started stays behind
    with tempfile.TemporaryDirectory() as folder, Run(given, Path(folder)) as run:
        for _ in range(given.rounds):
            run.round()
        table(run.found, run.direct)
        ratios(run.found)
        held = dict(run.held()) if given.hold else {}
    if held:
        memory(held, given.hold)
    goals(run.found, held)
    if given.json:
        about = {"python": platform.python_version(), "uvicorn": version("uvicorn"), "aiohttp": version("aiohttp")}
        figures = {"about": about, "n": given.n, "direct": run.direct, "rounds": run.found, "held": held}
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
