"""Budgets in batches: a row's worst case, at a batch's price, is held before it is sent, and settled on its bill.

What finds no room while other rows hold it waits for the next wave of batches; it is refused only when what was really
spent leaves none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.catalog import prices
from prsm_lab.engine.budget import worst_case
from prsm_lab.errors import BudgetExceededError
from prsm_lab.types.shown import money

if TYPE_CHECKING:
    from collections.abc import Callable

    from prsm_lab.ledger import Ledger
    from prsm_lab.ledger.purse import Purse, Share
    from prsm_lab.types import Request, Target


class Till:
    """The budgets that the rows of a run keep to; usually none.

    Args:
        ledger: Where they are kept.
        shares: The budgets of a run, at the moment.
    """

    def __init__(self, ledger: Ledger, shares: Callable[[str | None], list[Share]]) -> None:
        self._ledger, self._shares = ledger, shares
        self._purse: Purse | None = None

    def take(self, name: str, request: Request, target: Target) -> bool:
        """Hold a row's worst case.

        Args:
            name: Its inference's id.
            request: What is asked.
            target: Where.

        Returns:
            False if there is no room while others hold it.

        Raises:
            BudgetExceededError: If there will be none, or nobody can say what it may cost.
        """
        shares = self._shares(request.run)
        if not shares:
            return True
        worst = worst_case(request, target) * prices.BATCH_SHARE
        short = self._opened().reserve(_hold(name), shares, worst)
        if short is not None and short.standing.spent + worst > short.share.usd:
            raise BudgetExceededError(
                f"Not sent: {money(short.standing.spent)} of a budget of {money(short.share.usd)} are spent, and this "
                f"question to {target.name!r} could cost {money(worst)} in a batch. Raise max_cost= (or the client's "
                "budget) and call again: what was answered is not asked again.",
                details={"not_sent": True, "kind": "budget"}, provider=target.provider, verdict="next",
            )  # fmt: skip
        return short is None

    def settle(self, run: str, bills: dict[str, float | None]) -> None:
        """Turn what rows held into what they cost.

        Args:
            run: Whose rows they are.
            bills: USD by inference id; None: nobody knows, its worst case counts.
        """
        if bills and self._shares(run):
            for name, bill in bills.items():
                self._opened().settle(_hold(name), bill)

    def close(self) -> None:
        """Close the connection."""
        if self._purse is not None:
            self._purse.close()

    def _opened(self) -> Purse:
        if self._purse is None:
            self._purse = self._ledger.purse()
        return self._purse


def _hold(name: str) -> str:
    """A hold's id; by what stands before the mark the ledger finds the bill of a process that is gone."""
    return f"{name}#batch"
