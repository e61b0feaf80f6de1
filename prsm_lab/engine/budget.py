"""Money: the worst case of every knock is held before it is sent, settled on its bill, released if there is none.

So what is paid never passes a cap, at any concurrency, in any number of processes: all holds of a ledger are in one
table. While answers in flight hold what is left, a knock waits for their bills; it is refused only when what was
really spent leaves no room for it. A knock whose bill nobody knows (a lost reply, a cancelled one, a killed process)
counts at its worst case.
"""

from __future__ import annotations

import asyncio
import datetime
import math
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final, Self

from prsm_lab.catalog import prices
from prsm_lab.engine import plan
from prsm_lab.errors import BudgetExceededError, InvalidRequestError, ProviderError, PRSMError
from prsm_lab.ledger.owners import this_process
from prsm_lab.ledger.purse import Budget, Purse, Share, Short
from prsm_lab.types import Allowance
from prsm_lab.types.shown import paid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from prsm_lab.ledger import Ledger
    from prsm_lab.types import Request, Run, Target, Usage
    from prsm_lab.types.spent import Period

CLIENT: Final = "client"
SHARED: Final = "runs:"
"""Before the name of a purse that several runs share: no run's id begins so."""
PERIODS: Final = ("hour", "day", "week", "month", "session", "ever")
LOOK_SECONDS: Final = 1.0
"""So old may be what is known of a budget that another process has set."""
WAIT_SECONDS: Final = 0.1
"""So often a knock that waits looks whether another process has settled."""
MAYBE_BILLED: Final = frozenset({
    "truncated", "stream", "malformed", "deadline", "timeout", "first token", "between tokens", "worker_lost",
})  # fmt: skip
"""Kinds of faults after which a provider may still send a bill."""


def period(per: str, now: float) -> tuple[str, float | None, float | None]:
    """Return a period's name, when it began and when it ends, in Unix seconds; days are UTC, weeks begin on Monday.

    >>> period("day", 0.0)
    ('1970-01-01', 0.0, 86400.0)
    >>> period("ever", 0.0)
    ('', 0.0, None)
    """
    at = datetime.datetime.fromtimestamp(now, datetime.UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "hour":
        begin = at.replace(minute=0, second=0, microsecond=0)
        return begin.strftime("%Y-%m-%dT%H"), begin.timestamp(), begin.timestamp() + 3600
    if per == "day":
        return f"{midnight:%Y-%m-%d}", midnight.timestamp(), midnight.timestamp() + 86400
    if per == "week":
        begin = midnight - datetime.timedelta(days=midnight.weekday())
        return f"{begin:%G-W%V}", begin.timestamp(), begin.timestamp() + 7 * 86400
    if per == "month":
        begin = midnight.replace(day=1)
        return f"{begin:%Y-%m}", begin.timestamp(), (begin + datetime.timedelta(days=32)).replace(day=1).timestamp()
    return "", 0.0, None


def worst_case(request: Request, target: Target) -> float:
    """Return the most that one knock can cost in USD.

    Raises:
        BudgetExceededError: If nobody can say: no price is known, or nothing bounds the answer's length.
    """
    tier = (request.options.extra or {}).get("service_tier")
    factor = 1.0 if tier in (None, "default", "flex") else max(prices.TIERS.values())
    worst = plan.worst_case((target,), request)
    if worst is not None:
        return worst * factor
    if prices.line(target.name, target.provider) is None:
        why = f"no price is known for it: set one with lab.prices.set({target.name!r}, input=…, output=…)"
    else:
        why = "nothing bounds the length of its answer: pass max_tokens="
    raise BudgetExceededError(
        f"Not sent: a budget is set, and what {target.name!r} may cost cannot be said: {why}.",
        details={"not_sent": True, "kind": "unpriced"}, provider=target.provider, verdict="next",
    )  # fmt: skip


class Budgets:
    """The budgets that an engine keeps to: its ledger's, this session's, each run's; made by the engine.

    Args:
        ledger: Where they are kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._opened: Purse | None = None
        self._runs: dict[str, Share] = {}
        self._session: Budget | None = None
        self._known: Budget | None = None
        self._looked = -math.inf
        self._turns: dict[tuple[str, ...], asyncio.Lock] = {}
        self._settled = asyncio.Event()
        self._number = 0

    # ------------------------------------------------------------------------------------------------- setting

    async def allow(self, usd: float, per: Period) -> Allowance | None:
        """Set what may be spent; an infinite sum takes the budget away.

        Raises:
            InvalidRequestError: If it is no sum, or no period.
        """
        if isinstance(usd, bool) or not isinstance(usd, int | float) or math.isnan(usd) or usd < 0:
            raise InvalidRequestError(
                f"A budget is a sum in USD of at least 0, not {usd!r}.", details={"parameter": "usd"}
            )
        if per not in PERIODS:
            raise InvalidRequestError(f"per={per!r} is none of {', '.join(PERIODS)}.", details={"parameter": "per"})
        budget = None if math.isinf(usd) else Budget(float(usd), per)
        if per == "session":
            self._session = budget
        else:
            self._purse.allow(CLIENT, budget)
            self._looked = -math.inf
        self._settled.set()  # one that waits may go on
        return await self.allowance(per)

    async def allowance(self, per: Period | None = None) -> Allowance | None:
        """Return how the budget stands: the session's or the ledger's; None: there is none."""
        for share, budget in self._client_shares():
            if per is None or (budget.per == "session") == (per == "session"):
                spent, reserved = self._purse.standing(share)
                until = period(budget.per, time.time())[2]
                return Allowance(usd=budget.usd, per=budget.per, spent=spent, reserved=reserved, until=until)  # type: ignore[arg-type]
        return None

    def cap(self, run: Run, requests: Sequence[Request], targets: Sequence[Sequence[Target]]) -> None:
        """Keep a run to its cap; what it has paid earlier counts, unless it asks everything anew.

        Runs of one purse keep to the cap together. They join it without a cap too: one may be set at the next sitting.

        Raises:
            BudgetExceededError: If no place that may answer one of its models has a known worst case.
        """
        self._runs.pop(run.id, None)
        share = Share(run.id if run.purse is None else SHARED + run.purse, "", run.max_cost or 0.0, None)
        if run.purse is not None:
            self._purse.join(share, run.id, paid_counts=not run.fresh)
        if run.max_cost is None:
            self._purse.leave(share.name)
            return
        self._runs[run.id] = share
        self._purse.come_back(share.name)
        if run.fresh and not run.goes_on:
            self._purse.forget(share)
        checked: set[str] = set()
        for request, places in zip(requests, targets, strict=True):
            if request.model in checked or not places:
                continue
            checked.add(request.model)
            faults = []
            for place in places:
                try:
                    worst_case(request, place)
                except BudgetExceededError as fault:
                    faults.append(fault)
            if len(faults) == len(places):
                raise faults[0]

    def retune(self, run: str, usd: float | None) -> None:
        """Give a run at work another cap; None: none."""
        known = self._runs.pop(run, Share(run, "", 0.0, None))
        if usd is not None:
            self._runs[run] = known._replace(usd=usd)
        self._settled.set()

    def spent(self, run: str) -> float | None:
        """Return what a capped run has spent so far, in all its sittings."""
        share = self._runs.get(run)
        return None if share is None else self._purse.standing(share).spent

    # --------------------------------------------------------------------------------------------------- knocks

    def shares(self, run: str | None) -> list[Share]:
        """Return the budgets that a knock must keep to; usually none."""
        found = [share for share, _ in self._client_shares()]
        if run is not None and (share := self._runs.get(run)) is not None:
            found.append(share)
        return found

    async def hold(self, request: Request, target: Target) -> Hold | nullcontext[None]:
        """Hold a knock's worst case, as soon as there is room for it.

        Raises:
            BudgetExceededError: If what was spent leaves no room.
        """
        shares = self.shares(request.run)
        if not shares or not (worst := worst_case(request, target)):
            return nullcontext()
        self._number += 1
        id = f"{request.id}#{self._number}"  # noqa: A001 -- the hold's
        turn = self._turns.setdefault(tuple(share.name for share in shares), asyncio.Lock())
        async with turn:  # one at a time asks the ledger; the others need not look
            while True:
                short = self._purse.reserve(id, shares, worst)
                if short is None:
                    return Hold(self, id, target)
                if short.standing.spent + worst > short.share.usd:
                    raise _refused(short, worst, target)
                self._settled.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._settled.wait(), WAIT_SECONDS)
                shares = self.shares(request.run)

    def settle(self, id: str, charge: float | None) -> None:
        """Take note of a bill; None: nobody knows it."""
        self._purse.settle(id, charge)
        self._settled.set()

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened.close()

    # -------------------------------------------------------------------------------------------------- helpers

    @property
    def _purse(self) -> Purse:
        if self._opened is None:
            self._opened = self._ledger.purse()
        return self._opened

    def _client_shares(self) -> list[tuple[Share, Budget]]:
        now, found = time.monotonic(), []
        if now - self._looked > LOOK_SECONDS:
            self._known, self._looked = self._purse.allowed(CLIENT), now
        if self._session is not None:
            found.append((Share(this_process(), "", self._session.usd, math.inf), self._session))
        if self._known is not None:
            name, since, _ = period(self._known.per, time.time())
            found.append((Share(CLIENT, name, self._known.usd, since), self._known))
        return found


class Hold:
    """Money held for one knock, as a context: what leaves it decides what is paid."""

    def __init__(self, budgets: Budgets, id: str, target: Target) -> None:
        self._budgets, self._id, self._target = budgets, id, target
        self._charge: float | None = None
        self.sent = False
        """Has the knock begun? Before, nobody sends a bill."""

    def __enter__(self) -> Self:
        return self

    def bill(self, usage: Usage) -> None:
        """The reply is there, with what it used; a reply that does not say counts at the worst case."""
        self._charge = prices.cost(usage, prices.line(self._target.name, self._target.provider))

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        free = isinstance(fault, PRSMError) and not may_be_billed(fault)
        if not self.sent or (free and self._charge is None):
            self._charge = 0.0
        self._budgets.settle(self._id, self._charge)


def may_be_billed(fault: PRSMError) -> bool:
    """Was a reply lost for which the provider may still charge?"""
    return isinstance(fault, ProviderError) and fault.details.get("kind") in MAYBE_BILLED


def _refused(short: Short, worst: float, target: Target) -> BudgetExceededError:
    share, spent = short.share, short.standing.spent
    what, remedy = "the run's max_cost", "Raise max_cost= and call again: what was answered is not asked again"
    if share.name == CLIENT:
        what = f"the client's budget of this {share.period or 'ledger'}"
        remedy = "Raise it with client.budget(…), or wait until it begins anew"
    elif share.since == math.inf:
        what, remedy = "this session's budget", "Raise it with %prsm budget, or client.budget(…, per='session')"
    return BudgetExceededError(
        f"Not sent: {paid(spent)} of {what} of {paid(share.usd)} are spent, and this question to {target.name!r} "
        f"could cost {paid(worst)}. {remedy}.",
        details={"not_sent": True, "kind": "budget"}, provider=target.provider, verdict="next",
    )  # fmt: skip
