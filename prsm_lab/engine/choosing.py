"""Who is asked now: `plan` with what an engine knows of its providers: their health, their speed, their quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.engine import plan
from prsm_lab.engine.explaining import explained
from prsm_lab.engine.speeds import Speeds
from prsm_lab.engine.standards import NO_GRADES
from prsm_lab.ledger.grades import GradeBook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prsm_lab.engine.explaining import Considered
    from prsm_lab.engine.standards import Grades
    from prsm_lab.ledger import Ledger
    from prsm_lab.types import Grade, Request, Target


class Choosing:
    """Chooses targets; on the engine's loop.

    Args:
        origins: The providers there are, with where each really is; looked at anew each time.
        is_open: Tells which of them fail again and again.
        ledger: Where speeds and measured qualities are.
    """

    def __init__(self, origins: Mapping[str, str], is_open: Callable[[Target], bool], ledger: Ledger) -> None:
        self._origins, self._is_open = origins, is_open
        self._book = GradeBook(ledger)
        self._grades: dict[tuple[str, str], Grade] | None = None
        self.speeds = Speeds(ledger)

    def grades(self) -> Grades:
        """Return what was measured; what another process measures meanwhile is known from the next start on."""
        if self._grades is None:
            self._grades = {(grade.task, grade.model): grade for grade in self._book.all()}
        return self._grades

    def candidates(self, request: Request) -> tuple[Target, ...]:
        """Name who may answer; see `plan.candidates`.

        Raises:
            PRSMError: If nobody may.
        """
        return plan.candidates(request, self._origins, self._measured(request))

    def ordered(self, request: Request, targets: tuple[Target, ...], *, live: bool) -> tuple[Target, ...]:
        """Order them for this moment; see `plan.ordered`.

        Raises:
            BudgetExceededError: If all are too dear.
        """
        if len(targets) == 1 and request.routing.max_cost is None:
            return targets
        return plan.ordered(targets, request, self._facts(request, targets, live=live))

    def explained(self, request: Request) -> list[Considered]:
        """Say who would be asked, and who not; see `explaining.explained`.

        Raises:
            PRSMError: If nobody could be.
        """
        return explained(request, self._origins, self._facts(request, self.candidates(request), live=False))

    def _measured(self, request: Request) -> Grades:
        return NO_GRADES if request.routing.task is None else self.grades()

    def _facts(self, request: Request, targets: tuple[Target, ...], *, live: bool) -> plan.Facts:
        measured = self._measured(request)
        if not request.routing.latency_optimization:
            return plan.Facts(self._is_open, {}, measured)
        places = [(target.provider, target.model) for target in targets]
        free = [place for place, target in zip(places, targets, strict=True) if target == targets[0] or target.peer]
        figures, explore = self.speeds.facts(places, free, request.id or "", live=live)
        return plan.Facts(self._is_open, figures, measured, explore)

    # ------------------------------------------------------------------------------------------------- learning

    async def learn(self, grades: Sequence[Grade]) -> None:
        """Write measurements down, and keep to them from the next question on."""
        self._book.put(grades)
        self._grades = None

    async def forget(self, task: str | None, model: str | None) -> int:
        """Forget measurements; return how many."""
        count = self._book.forget(task, model)
        self._grades = None
        return count

    async def known(self) -> Grades:
        """Return what was measured, read anew."""
        self._grades = None
        return self.grades()

    async def plan(self, request: Request) -> list[Considered]:
        """Return `explained`, to be awaited on the loop.

        Raises:
            PRSMError: If nobody could be asked.
        """
        return self.explained(request)
