"""Pure: from what is known of prompts, lengths, latencies and prices to figures with a low and a high end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from prsm_lab.catalog import prices
from prsm_lab.engine.plan import USUAL_COMPLETION
from prsm_lab.types import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from prsm_lab.types import PriceLine

    Figures = NDArray[np.float64]

FEW: Final = 5
"""Fewer answers than this say nothing of how lengths spread."""
_Z: Final = 1.959964
"""Two-sided 95 % of the normal distribution."""


class Spoken(NamedTuple):
    """The size of one answer that is known, and how long it took."""

    completion_tokens: int
    latency_ms: float | None
    cut: bool
    """It ended at a length limit: without one it would have been longer."""


class Lengths(NamedTuple):
    """Completion tokens of one answer; None where nothing bounds them."""

    low: float
    expected: float
    high: float | None
    mean_low: float
    """Low and high end of the mean over all that is to be asked, which is what the whole costs."""
    mean_high: float | None
    source: str


def t_quantile(freedom: int) -> float:
    """Return Student's two-sided 95 % quantile (Cornish-Fisher expansion; within 0.3 % from 4 degrees of freedom on).

    >>> round(t_quantile(19), 2)
    2.09
    """
    z, n = _Z, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def lengths(own: Sequence[Spoken], past: Sequence[Spoken], limit: int | None, *, asked: int, name: str) -> Lengths:
    """Return what to expect of the length of answers.

    Answers to these very questions are a sample of what is to come: their mean has a 95 % interval. Earlier answers of
    the model to other questions are not, so there the range of single answers is the range of the mean as well.

    Args:
        own: Answers to questions of this call.
        past: The model's earlier answers to others, used where there are few or no own ones.
        limit: Completion tokens at which an answer is cut; None: not known.
        asked: How many questions are still to be asked.
        name: What the own answers are called in the source.
    """
    heard = own if len(own) >= FEW or len(past) < FEW else past
    if not heard:
        expected = USUAL_COMPLETION if limit is None else min(USUAL_COMPLETION, limit)
        return Lengths(1, expected, limit, 1, limit, f"{expected} assumed, no earlier answers (pilot=20 measures)")
    said = np.array([answer.completion_tokens for answer in heard], float)
    mean, ends = float(said.mean()), (0.05, 0.95) if heard is own else (0.10, 0.90)
    low, high = (float(end) for end in np.quantile(said, ends))
    low, high = min(low, mean), max(high, mean)  # few very long answers pull the mean out of the range of the others
    if heard is own and len(said) >= FEW:
        spread = t_quantile(len(said) - 1) * float(said.std(ddof=1)) * (1 / len(said) + 1 / max(asked, 1)) ** 0.5
        mean_low, mean_high = max(mean - spread, min(1.0, low)), mean + spread
    else:
        mean_low, mean_high = low, high
    source = name if heard is own else f"this model's latest {len(said):,} answers in the ledger, to other questions"
    cut = sum(answer.cut for answer in heard)
    source += f", {cut} of them cut at a length limit" if cut else ""
    cap = float("inf") if limit is None else float(limit)
    low, mean, high, mean_low, mean_high = (min(figure, cap) for figure in (low, mean, high, mean_low, mean_high))
    return Lengths(low, mean, high, mean_low, mean_high, source)


def calibrated(estimated: Sequence[float], counted: Sequence[int]) -> tuple[float, float] | None:
    """Return the factor from estimated to counted prompt tokens and the relative error of a sum after it.

    Returns:
        None, where there are too few prompts to tell.

    >>> calibrated([10.0] * 5, [12, 12, 12, 12, 12])
    (1.2, 0.01)
    """
    if len(estimated) < FEW:
        return None
    ours, theirs = np.array(estimated, float), np.array(counted, float)
    factor = float(theirs.sum() / ours.sum())
    if factor <= 0:
        return None
    left = (theirs - factor * ours) / float((factor * ours).mean())
    error = t_quantile(len(ours) - 1) * float(left.std(ddof=1)) / len(ours) ** 0.5
    return factor, max(0.01, error)  # below a per cent what is not known of the rest counts for more


def typical_latency(own: Sequence[Spoken], past: Sequence[Spoken]) -> float | None:
    """Return the mean latency in ms of known answers, each at most ten times their median; None: nothing is known."""
    for heard in (own, past):
        known = np.array([answer.latency_ms for answer in heard if answer.latency_ms is not None], float)
        if len(known):
            return float(np.minimum(known, 10 * np.median(known)).mean())
    return None


def seconds(
    asked: int, latency_ms: float | None, *, concurrency: int, tokens: float, rpm: int | None, tpm: int | None
) -> float | None:
    """Return the wall time of asking so many questions.

    Args:
        asked: Questions.
        latency_ms: Of one answer.
        concurrency: Most in flight.
        tokens: Of all prompts and answers.
        rpm: Most requests in a sliding minute.
        tpm: Most tokens in a sliding minute.

    >>> seconds(32, 500.0, concurrency=16, tokens=0, rpm=None, tpm=None)
    1.0
    >>> seconds(32, 500.0, concurrency=16, tokens=0, rpm=16, tpm=None)
    60.5
    """
    if not asked:
        return 0.0
    if latency_ms is None:
        return None
    one = latency_ms / 1000
    minutes = [np.ceil(amount / most) - 1 for amount, most in ((asked, rpm), (tokens, tpm)) if most]
    return float(max(one * max(1.0, asked / concurrency), *(60 * max(0, minute) + one for minute in minutes), 0.0))


def bill(prompts: Figures, completion: float | None, line: PriceLine | None) -> float | None:
    """Return what questions cost in USD.

    Args:
        prompts: Prompt tokens of each; a long prompt may have a price step of its own.
        completion: Tokens of one answer.
        line: The model's prices.
    """
    if line is None or completion is None:
        return None
    total = 0.0
    for size, count, flat in _bands(prompts, line):
        usage = Usage(prompt_tokens=round(size), completion_tokens=round(count * completion))
        amount = prices.cost(usage, flat)
        if amount is None:
            return None
        total += amount
    return total


def worst_bill(prompts: Figures, limit: int | None, line: PriceLine | None) -> float | None:
    """Return the most that questions cost in USD: at the dearest input price, each answer as long as its limit."""
    if line is None or limit is None:
        return None
    total = 0.0
    for size, count, flat in _bands(prompts, line):
        amount = prices.worst_case(round(size), count * limit, flat)
        if amount is None:
            return None
        total += amount
    return total


def _bands(prompts: Figures, line: PriceLine) -> list[tuple[float, int, PriceLine]]:
    """Prompt tokens and number of the questions that share a price step, and the prices of that."""
    flat = msgspec.structs.replace(line, steps=())
    step = np.searchsorted([start for start, _ in line.steps], prompts, side="left")
    found = []
    for n in range(len(line.steps) + 1):
        if n:
            flat = msgspec.structs.replace(flat, **line.steps[n - 1][1])
        here = prompts[step == n]
        if len(here):
            found.append((float(here.sum()), len(here), flat))
    return found
