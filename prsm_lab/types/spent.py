"""What may be spent, and how that stands."""

from __future__ import annotations

from typing import Literal

from prsm_lab.types import shown
from prsm_lab.types.base import Value

Period = Literal["hour", "day", "week", "month", "session", "ever"]


class Allowance(Value, frozen=True, kw_only=True):
    """A budget and what is left of it; money is USD."""

    usd: float
    per: Period
    spent: float
    reserved: float
    """Held for requests in flight, at their worst case."""
    until: float | None = None
    """Unix time at which it begins anew; None: never."""

    @property
    def left(self) -> float:
        """What may still be spent; never below 0."""
        return max(0.0, self.usd - self.spent - self.reserved)

    def __repr__(self) -> str:
        per = {"ever": "in all", "session": "in this session"}.get(self.per, f"a {self.per}")
        held = f", {shown.money(self.reserved)} held" if self.reserved else ""
        return shown.line(f"Allowance {shown.money(self.usd)} {per}: {shown.money(self.spent)} spent{held}")
