"""What people said of answers."""

from __future__ import annotations

from typing import Literal

from prsm_lab.types import shown
from prsm_lab.types.base import Value

Winner = Literal["a", "b", "tie", "both_bad"]


class Vote(Value, frozen=True, kw_only=True):
    """One look at two answers to the same question."""

    id: str
    a: str
    """Id of an inference, as is `b`; which of them stood on the left was drawn."""
    b: str
    winner: Winner
    voter: str
    seconds: float
    """How long it was looked at."""
    created: float
    """Unix time, seconds."""

    def __repr__(self) -> str:
        chosen = {"a": self.a, "b": self.b}.get(self.winner, self.winner.replace("_", " "))
        return shown.line("Vote", self.id, "for", chosen, "by", self.voter, f"in {self.seconds:.1f} s")
