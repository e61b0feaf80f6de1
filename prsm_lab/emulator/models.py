"""Simulated models: seeded answers with an accuracy, a speed and a way of talking of their own.

A question whose text is among the references is answered right with the model's accuracy, else with another
reference's answer; what a model says depends on seed, model and prompt only, never on the order of requests.
"""

from __future__ import annotations

import functools
import hashlib
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Profile:
    """How a simulated model behaves."""

    accuracy: float = 0.75
    """Share of known questions that it answers right, 0 to 1."""
    ttft_ms: float = 300.0
    """Median time to its first token."""
    tokens_per_s: float = 80.0
    verbosity: int = 12
    """Words around the bare answer."""
    spread: float = 0.4
    """How far an answer's times may lie from the median, as a share of it."""


PROFILES: dict[str, Profile] = {
    "gpt-3.5-turbo": Profile(0.70, 250, 110, 10),
    "gpt-4": Profile(0.87, 700, 35, 14),
    "gpt-4-turbo": Profile(0.88, 550, 45, 16),
    "gpt-4o": Profile(0.90, 400, 90, 14),
    "gpt-4o-mini": Profile(0.82, 300, 120, 12),
    "gpt-4.1": Profile(0.91, 450, 90, 14),
    "gpt-4.1-mini": Profile(0.86, 300, 130, 12),
    "gpt-4.1-nano": Profile(0.78, 200, 180, 10),
    "gpt-5.4-mini": Profile(0.90, 350, 140, 12),
    "gpt-6-sol": Profile(0.96, 900, 90, 14),
    "claude-3-opus": Profile(0.88, 900, 30, 24),
    "claude-3-sonnet": Profile(0.82, 600, 60, 22),
    "claude-3-haiku": Profile(0.76, 250, 140, 20),
    "claude-haiku-4-5": Profile(0.89, 350, 150, 20),
    "claude-sonnet-5-5": Profile(0.96, 700, 80, 22),
}
_DEFAULT = Profile()


def profile_of(model: str, own: Mapping[str, Profile]) -> Profile:
    """Return a model's profile: one's own, then the table's, by the longest name that it begins with."""
    return own.get(model) or _profile(model.rpartition("/")[2]) or _DEFAULT


@functools.lru_cache(1024)
def _profile(model: str) -> Profile | None:
    names = [name for name in PROFILES if model.startswith(name)]
    return PROFILES[max(names, key=len)] if names else None


def tokens(text: str) -> int:
    """Count tokens as this emulator does: one for each four characters, rounded up."""
    return -(-len(text) // 4)


class Mind:
    """What simulated models know.

    Args:
        seed: Decides every answer.
        references: Question text to right answer.
    """

    def __init__(self, seed: int, references: Mapping[str, Any]) -> None:
        self._seed = seed
        self._references = {question: str(answer) for question, answer in references.items()}
        self._answers = sorted(set(self._references.values()))

    def dice(self, *facts: Any) -> random.Random:
        """Return a source of chance that depends on these facts only."""
        raw = hashlib.blake2b(repr((self._seed, facts)).encode(), digest_size=8).digest()
        return random.Random(int.from_bytes(raw))

    def answer(self, model: str, prompt: str, profile: Profile, *, salt: Any = None) -> str:
        """Return what a model says to a prompt.

        Args:
            model: Its name.
            prompt: All text that it was given.
            profile: How it behaves.
            salt: Sampling above temperature 0 varies with it.
        """
        question = self._question(prompt)
        if question is None:
            return self._small_talk(model, prompt, salt)
        right = self._references[question]
        careful = "step by step" in prompt.lower()
        dice = self.dice(model, question, careful, salt)
        accuracy = profile.accuracy + (1 - profile.accuracy) * 0.4 * careful
        bare = right if dice.random() < accuracy else self._wrong(right, dice)
        if re.search(r"only|brief|one word|just the", prompt, re.IGNORECASE):
            return bare
        return _sentence(bare, profile.verbosity * (3 if careful else 1), dice)

    def truth(self, prompt: str) -> str | None:
        """Return the right answer to the question in a text; None if it holds none that is known."""
        question = self._question(prompt)
        return None if question is None else self._references[question]

    def _question(self, prompt: str) -> str | None:
        if prompt in self._references:
            return prompt
        found = [question for question in self._references if question in prompt]
        return max(found, key=len) if found else None

    def _wrong(self, right: str, dice: random.Random) -> str:
        if re.fullmatch(r"-?\d+(\.\d+)?", right):
            return str(int(float(right)) + dice.choice((-10, -2, -1, 1, 2, 10)))
        others = [answer for answer in self._answers if answer != right]
        return dice.choice(others) if others else f"not {right}"

    def _small_talk(self, model: str, prompt: str, salt: Any) -> str:
        dice = self.dice(model, prompt, salt)
        topic = " ".join(re.findall(r"[A-Za-z]{4,}", prompt)[-4:]).lower() or "that"
        opening = dice.choice(("In short", "Broadly", "Put simply", "As far as one can say"))
        close = dice.choice(
            (
                "it depends on the case.",
                "three points matter most.",
                "the details decide.",
                "there is more than one view.",
            )
        )
        return f"{opening}, on {topic}: {close} (simulated answer)"


_FILLER = (
    "which follows from the facts given", "as is generally known", "to the best of my knowledge",
    "taking the question at its word", "and nothing in it suggests otherwise",
)  # fmt: skip


def _sentence(bare: str, words: int, dice: random.Random) -> str:
    text = f"The answer is {bare}"
    while len(text.split()) < words:
        text += f", {dice.choice(_FILLER)}"
    return text + "."
