"""Pure: an estimate of what a router's questions cost, put together from those of its two models.

A predictive router is asked for each question, which is free: what its models will get is known. A cascade asks the
cheap model everything, and the strong one what the cheap one does not answer well: that share is the one found on rows
held out when the router was made, with Wilson's 95 % interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from prsm_lab.engine import routers
from prsm_lab.frames import sizing
from prsm_lab.statistics.intervals import share_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.engine.routers import Known
    from prsm_lab.types import Inference

Figures = dict[str, Any]
Share = tuple[float | None, float | None, float | None]
SUMS = (
    "prompt_tokens",
    "cost_low",
    "cost_expected",
    "cost_high",
    "cost_worst",
    "batch_cost_expected",
    "seconds_expected",
)


class Leg(NamedTuple):
    """What one model is asked."""

    model: str
    asked: sizing.Questions
    answers: Sequence[Inference | None]
    """Those that are known, `samples` to a question."""
    samples: int
    share: Share = (1.0, 1.0, 1.0)
    """Of these questions, those that it will really be asked: low end, mean (None: nobody knows), high end."""


def legs(known: Known, asked: sizing.Questions, answers: Sequence[Inference | None], samples: int) -> list[Leg]:
    """Return what each of a router's models will be asked.

    Args:
        known: The router.
        asked: The questions.
        answers: Those that the router has given, `samples` to a question.
        samples: Answers to a question.
    """
    rule = known.rule
    if rule.kind == "cascade":
        still = [asked.messages[n // samples] for n, answer in enumerate(answers) if answer is None]
        cheap = [question for question in still for _ in range(rule.samples)]
        return [
            Leg(rule.cheap, sizing.counted(cheap), [None] * len(cheap), 1),
            Leg(rule.strong, sizing.counted(still), [None] * len(still), 1, _escalated(known)),
        ]
    chosen = [routers.chosen(known, messages) for messages in asked.messages]
    found = []
    for model in (rule.cheap, rule.strong):
        places = [n for n, one in enumerate(chosen) if one == model]
        own = [answers[n * samples + k] for n in places for k in range(samples)]
        found.append(Leg(model, sizing.counted([asked.messages[n] for n in places]), own, samples))
    return found


def _escalated(known: Known) -> Share:
    """Of a cascade's questions, those that the strong model is asked too."""
    if known.rule.threshold is None:
        return 1.0, 1.0, 1.0
    share, rows = known.share or (0.0, 0)
    if not rows:
        return 0.0, None, 1.0
    low, high = share_ends((1 - share) * rows, rows, 0.95)
    return low, 1 - share, high


def added(known: Known, ways: Sequence[Leg], figures: Sequence[Figures], questions: int) -> Figures:
    """Add up the figures of a router's models.

    Args:
        known: The router.
        ways: What each model is asked.
        figures: What `estimate` says of each.
        questions: Of the router, samples counted.
    """
    cascade = known.rule.kind == "cascade"
    asked = [one["questions"] - one["known"] for one in figures]
    still = asked[1] if cascade else sum(asked)
    weights = {"cost_low": 0, "cost_high": 2}  # the ends of the share, else its mean
    made: Figures = {
        name: _total([one[name] for one in figures], [way.share[weights.get(name, 1)] for way in ways]) for name in SUMS
    }
    made["cost_worst"] = _total([one["cost_worst"] for one in figures], [1.0, 1.0])
    if cascade:
        made["batch_cost_expected"] = None
    if made["prompt_tokens"] is not None:
        made["prompt_tokens"] = round(made["prompt_tokens"])
    errors = [one["prompt_tokens_error"] for one, n in zip(figures, asked, strict=True) if n]
    made["prompt_tokens_error"] = None if None in errors else max(errors, default=0.0)
    made |= _cascaded(known, ways, figures) if cascade else _parted(figures, asked)
    return {**made, "questions": questions, "known": questions - still, "basis": _basis(known, ways, figures, asked)}


def _total(parts: Sequence[float | None], weights: Sequence[float | None]) -> float | None:
    """A weighted sum; None where a part of it is not known."""
    total = 0.0
    for part, weight in zip(parts, weights, strict=True):
        if part == 0 or weight == 0:
            continue
        if part is None or weight is None:
            return None
        total += part * weight
    return total


def _cascaded(known: Known, ways: Sequence[Leg], figures: Sequence[Figures]) -> Figures:
    """Completion tokens of one answer: of all that was asked for it."""
    cheap, strong = ([one[f"completion_{end}"] for end in ("low", "expected", "high")] for one in figures)
    n = float(known.rule.samples)
    return {
        "completion_low": _total([cheap[0], strong[0]], [n, 0.0]),
        "completion_expected": _total([cheap[1], strong[1]], [n, ways[1].share[1]]),
        "completion_high": _total([cheap[2], strong[2]], [n, 1.0]),
    }


def _parted(figures: Sequence[Figures], asked: Sequence[int]) -> Figures:
    """Completion tokens of one answer, whichever model gives it."""
    there = [(one, n) for one, n in zip(figures, asked, strict=True) if n] or [(one, 1) for one in figures]
    highs = [one["completion_high"] for one, _ in there]
    return {
        "completion_low": min(one["completion_low"] for one, _ in there),
        "completion_expected": sum(one["completion_expected"] * n for one, n in there) / sum(n for _, n in there),
        "completion_high": None if None in highs else max(highs),
    }


def _basis(known: Known, ways: Sequence[Leg], figures: Sequence[Figures], asked: Sequence[int]) -> str:
    if known.rule.kind == "predictive":
        shares = [f"{n:,} to {way.model}" for way, n in zip(ways, asked, strict=True)]
    else:
        low, mean, high = ways[1].share
        share = "an unknown share" if mean is None else f"{mean:.0%} ({low:.0%} to {high:.0%} on rows held out)"
        shares = [f"all to {ways[0].model}", f"{share} to {ways[1].model}"]
    each = [f"{way.model}: {one['basis']}" for way, one, n in zip(ways, figures, asked, strict=True) if n]
    return " | ".join([", ".join(shares), *each])
