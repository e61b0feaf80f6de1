"""`prsm-lab demo`: three models, two prompts, one dataset, through the real SDKs; no key needed.

One model really runs, in this process; the other two are simulated by the emulator and labelled so.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab import datasets, emulator, frames, local, reporting
from prsm_lab.catalog import prices
from prsm_lab.client import Client
from prsm_lab.engine.plan import USUAL_COMPLETION
from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

PROMPTS: Final = {
    "plain": "{question}",
    "brief": "{question} Answer with only the name, nothing else.",
}
SIMULATED: Final = ("gpt-4.1-mini", "claude-haiku-4-5")
REAL: Final = "local/smollm2-135m"
LIVE: Final = {
    "openai": "gpt-5.4-nano",
    "anthropic": "claude-haiku-5-5",
    "huggingface": "meta-llama/Llama-3.1-8B-Instruct",
}
"""A cheap living model of each provider."""
MAX_TOKENS: Final = 48
LIVE_CAP_USD: Final = 0.05

CODE: Final = """import prsm_lab as lab

capitals = lab.datasets.load("capitals")
results = lab.compare(
    capitals, {"plain": "{question}", "brief": "{question} Answer with only the name, nothing else."},
    models=["gpt-5.4-nano", "claude-haiku-5-5"], max_tokens=48,      # with OPENAI_API_KEY and ANTHROPIC_API_KEY set
)
scored = lab.score(results, "contains")
lab.summarize(scored)
lab.plot.cost_quality(scored)"""


class Choice(NamedTuple):
    """What the demo was asked to do."""

    rows: int = 20
    out: Path = Path("prsm-lab-demo.html")
    live: bool = False
    yes: bool = False


def run(choice: Choice) -> int:
    """Run the demo; return the process's exit code."""
    return _live(choice) if choice.live else _offline(choice)


def _offline(choice: Choice) -> int:
    data = datasets.load("capitals").head(choice.rows)
    everything = datasets.load("capitals")
    models = [*_local_model(), *SIMULATED]
    references = dict(zip(everything["question"], everything["answer"], strict=True))
    with (
        emulator.start(seed=7, references=references, latency_scale=0.5) as provider,
        Client(providers=provider.providers()) as client,
    ):
        _say(f"Comparing {len(models)} models x {len(PROMPTS)} prompts over {len(data)} questions of 'capitals'.")
        _say(f"Simulated by the emulator (no key, no cost): {', '.join(SIMULATED)}.\n")
        scored = _compare(data, models, client)
    real = ", one of them a real language model that ran in this process" if REAL in models else ""
    lead = (
        f"{len(models)} models{real}, two prompts, {len(data)} questions. "
        f"Simulated by prsm_lab's emulator, at real list prices: {', '.join(SIMULATED)}."
    )
    _finish(scored, choice.out, reporting.Words("Which model, which prompt, at what cost?", lead, CODE))
    return 0


def _local_model() -> list[str]:
    """The real model, if its weights are to be had."""
    if find_spec("xllamacpp") is None:
        _say('No real model: it needs the extra "local" (pip install "prsm-lab[local]"). Going on with simulated ones.')
        return []
    try:
        known = (local.folder() / local.KNOWN["smollm2-135m"].file).exists()
        if not known:
            _say("Fetching SmolLM2-135M-Instruct (98 MB, Apache-2.0), once …")
        local.fetch("smollm2-135m")
        local.load("smollm2-135m")
    except PRSMError as problem:
        _say(f"No real model: {problem} Going on with simulated ones.")
        return []
    _say(f"Real, in this process: {REAL}.")
    return [REAL]


def _compare(data: pd.DataFrame, models: Sequence[str], client: Client) -> pd.DataFrame:
    results = frames.compare(
        data, PROMPTS, models=models, max_tokens=MAX_TOKENS, temperature=0, client=client, max_concurrency=8,
        timeout=120.0, on_unsupported="drop",
    )  # fmt: skip
    totals = results.attrs["prsm"]["totals"]
    if totals["reused"]:
        _say(f"{totals['reused']} of {totals['rows']} answers were known from an earlier run and not asked again.")
    return frames.score(results, "contains")


def _finish(scored: pd.DataFrame, out: Path, words: reporting.Words) -> None:
    _say("")
    _say(table(scored))
    out.write_text(reporting.page(scored, words), encoding="utf-8")
    _say(f"\nReport: {out.resolve()}")
    _say("Run it again: every answer is reused. With your own keys: prsm-lab demo --live")


def table(scored: pd.DataFrame) -> str:
    """Return the summary as a table of text."""
    headings, rows = reporting.figures_of(scored)
    widths = [max(len(row[n]) for row in [headings, *rows]) for n in range(len(headings))]
    names = headings.index("rows")

    def line(cells: Sequence[str]) -> str:
        padded = (c.ljust(w) if n < names else c.rjust(w) for n, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return "  ".join(padded).rstrip()

    rule = "  ".join("─" * width for width in widths)
    return "\n".join([line(headings), rule, *(line(row) for row in rows)])


def _live(choice: Choice) -> int:
    data = datasets.load("capitals").head(choice.rows)
    with Client() as client:
        models = [model for name, model in LIVE.items() if _has_key(name)]
        if not models:
            _say("No key is set: export OPENAI_API_KEY, ANTHROPIC_API_KEY or HF_TOKEN, then run it again.")
            return 1
        worst = _worst_case(data, models)
        _say(f"Asking {', '.join(models)}: {len(data) * len(PROMPTS) * len(models)} questions with your keys.")
        _say(f"At list price at most ${worst:.4f}; the demo's cap is ${LIVE_CAP_USD:.2f}.")
        if worst > LIVE_CAP_USD:
            _say("That is above the cap: ask fewer rows with --rows.")
            return 1
        if not choice.yes and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            _say("Nothing was asked.")
            return 1
        scored = _compare(data, models, client)
    lead = f"{len(models)} models, two prompts, {len(data)} questions, asked with your keys."
    _finish(scored, choice.out, reporting.Words("Which model, which prompt, at what cost?", lead, CODE))
    return 0


def _has_key(provider: str) -> bool:
    from prsm_lab.settings import access

    return access(provider).key is not None


def _worst_case(data: pd.DataFrame, models: Sequence[str]) -> float:
    """Bound the cost: every prompt and every completion at its limit; the unpriced count nothing and are said."""
    longest = max(len(question) for question in data["question"]) + max(len(prompt) for prompt in PROMPTS.values())
    completion = max(MAX_TOKENS, USUAL_COMPLETION)  # a reasoning model may think before it is brief
    total = 0.0
    for model in models:
        cost = prices.worst_case(longest, completion, prices.line(model))
        if cost is None:
            _say(f"No list price is known for {model}; it is not in the sum.")
        total += (cost or 0.0) * len(data) * len(PROMPTS)
    return total


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
