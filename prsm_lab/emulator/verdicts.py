"""Simulated models as judges: plausible, seeded, and with the faults of judges.

A request is a judge's if it holds answers between fences (a line `<<<answer` and a mark, to the same and `>>>`) and
asks for a form with a score, scores or a winner. A simulated judge knows what is right where the question is a
reference, misreads it the more often the less accurate it is, likes long answers a little, and in a pair the first one.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
    truth = material.get("reference") or mind.truth(material.get("question", ""))
    judge = _Judge(mind, profile, truth, mind.dice("verdict", model, prompt, salt))
    if {"first_answer", "second_answer"} <= set(material) and "winner" in wanted:
        return judge.choice(material["first_answer"], material["second_answer"])
    if "answer" not in material or not {"score", "scores"} & set(wanted):
        return None
    found = judge.look(material["answer"])
    if "score" in wanted:
        return {"reason": judge.words(found), "score": _grade(found.merit, wanted["score"])}
    parts = wanted["scores"].get("properties") or {}
    grades = {name: _grade(judge.look(material["answer"]).merit, part) for name, part in parts.items()}
    return {"reason": judge.words(found), "scores": grades}


class _Look(NamedTuple):
    """What a judge finds of an answer."""

    merit: float
    """About 0 to 1."""
    right: bool | None
    """As it believes; None: it does not know what is right."""


class _Judge(NamedTuple):
    """A model at one verdict."""

    mind: Mind
    profile: Profile
    truth: str | None
    dice: random.Random

    def look(self, answer: str) -> _Look:
        """Read an answer, with care or without."""
        right = None
        merit = 0.3 + 0.5 * self.mind.dice("merit", answer).random()  # the same for every judge
        if self.truth is not None:
            there = re.search(rf"(?<!\w){re.escape(self.truth)}(?!\w)", answer, re.IGNORECASE) is not None
            right = there != (self.dice.random() < (1 - self.profile.accuracy) / 2)
            merit = RIGHT if right else WRONG
        return _Look(merit + LENGTH * math.log2(max(1, len(answer)) / 60) + self.dice.gauss(0, NOISE), right)

    def choice(self, one: str, other: str) -> dict[str, Any]:
        """Choose between two answers."""
        first, second = self.look(one), self.look(other)
        gap = first.merit - second.merit + FIRST
        winner = "tie" if abs(gap) < CLOSE else "first" if gap > 0 else "second"
        if first.right is None or first.right == second.right:
            alike = "" if first.right is None else "Both are right. " if first.right else "Neither is right. "
            said = alike + ("Neither is put better" if winner == "tie" else f"The {winner} is put better")
        else:
            said = f"Only the {'first' if first.right else 'second'} gives {self.truth}"
        return {"reason": f"{said} (simulated verdict).", "winner": winner}

    def words(self, found: _Look) -> str:
        """Say why an answer has its grade."""
        if found.right is None:
            said = "It answers the question well enough" if found.merit > 0.5 else "It says little"
        else:
            said = f"It gives {self.truth}, as it should" if found.right else f"It does not give {self.truth}"
        return f"{said} (simulated verdict)."


def _written_form(prompt: str) -> dict[str, Any] | None:
    """The schema in the last line of a prompt, for models without a structured mode."""
    try:
        found = json.loads(prompt.rstrip().rpartition("\n")[2])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _grade(merit: float, form: dict[str, Any]) -> int:
    """A merit on the scale that is asked for."""
    levels = sorted(form.get("enum") or range(1, 6))
    return int(levels[min(len(levels) - 1, max(0, int(merit * len(levels))))])
