"""Simulated models as judges: plausible, seeded, and with the faults of judges.

A request is a judge's if it holds answers between fences (a line `<<<answer` and a mark, to the same and `>>>`) and
asks for a form with a score, scores or a winner. A simulated judge knows what is right where the question is a
reference, misreads it the more often the less accurate it is, likes long answers a little, and in a pair the first one.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random

    from prsm_lab.emulator.models import Mind, Profile

_FENCED: Final = re.compile(r"<<<(\w+) ([0-9a-f]{16})\n(.*?)\n\1 \2>>>", re.DOTALL)
RIGHT: Final = 0.85
WRONG: Final = 0.18
"""Merit of an answer, 0 to 1."""
FIRST: Final = 0.04
"""Merit that standing first is worth."""
LENGTH: Final = 0.01
"""Merit that twice the length is worth."""
NOISE: Final = 0.04
"""Standard deviation of a judge's taste."""
CLOSE: Final = 0.15
"""Merits nearer than this are a tie."""


def verdict(
    mind: Mind, model: str, prompt: str, form: dict[str, Any] | None, profile: Profile, *, salt: Any = None
) -> dict[str, Any] | None:
    """Return what a model judges; None if it is not asked to judge.

    Args:
        mind: What it knows.
        model: Its name.
        prompt: All text that it was given.
        form: The JSON schema that its answer must fit; None: one may stand in the prompt.
        profile: How it behaves.
        salt: Sampling above temperature 0 varies with it.
    """
    material = {name: text for name, _, text in _FENCED.findall(prompt)}
    wanted = (form or _written_form(prompt) or {}).get("properties") or {}
    dice = mind.dice("verdict", model, prompt, salt)
    truth = material.get("reference") or mind.truth(material.get("question", ""))
    if {"first_answer", "second_answer"} <= set(material) and "winner" in wanted:
        first, second = (
            _merit(mind, material[name], truth, profile, dice) for name in ("first_answer", "second_answer")
        )
        gap = first - second + FIRST
        winner = "tie" if abs(gap) < CLOSE else "first" if gap > 0 else "second"
        said = "Both serve equally" if winner == "tie" else f"The {winner} answer serves better"
        return {"reason": f"{said} (simulated verdict).", "winner": winner}
    if "answer" not in material or not {"score", "scores"} & set(wanted):
        return None
    made: dict[str, Any] = {"reason": ""}
    if "score" in wanted:
        made["score"] = _grade(_merit(mind, material["answer"], truth, profile, dice), wanted["score"])
        best = made["score"] == max(wanted["score"].get("enum") or [5])
    else:
        parts = wanted["scores"].get("properties") or {}
        made["scores"] = {
            name: _grade(_merit(mind, material["answer"], truth, profile, dice), part) for name, part in parts.items()
        }
        best = all(grade == max(parts[name].get("enum") or [5]) for name, grade in made["scores"].items())
    made["reason"] = (
        f"The answer {'does what was asked' if best else 'leaves something to be wished'} (simulated verdict)."
    )
    return made


def _written_form(prompt: str) -> dict[str, Any] | None:
    """The schema in the last line of a prompt, for models without a structured mode."""
    try:
        found = json.loads(prompt.rstrip().rpartition("\n")[2])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _merit(mind: Mind, answer: str, truth: str | None, profile: Profile, dice: random.Random) -> float:
    """How good a judge finds an answer, about 0 to 1."""
    if truth is None:
        merit = 0.3 + 0.5 * mind.dice("merit", answer).random()  # the same for every judge
    else:
        right = re.search(rf"(?<!\w){re.escape(truth)}(?!\w)", answer, re.IGNORECASE) is not None
        misread = dice.random() < (1 - profile.accuracy) / 2
        merit = RIGHT if right != misread else WRONG
    return merit + LENGTH * math.log2(max(1, len(answer)) / 60) + dice.gauss(0, NOISE)


def _grade(merit: float, form: dict[str, Any]) -> int:
    """A merit on the scale that is asked for."""
    levels = sorted(form.get("enum") or range(1, 6))
    return int(levels[min(len(levels) - 1, max(0, int(merit * len(levels))))])
