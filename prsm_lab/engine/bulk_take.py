"""Taking what came of a batch into the ledger, at the price of a batch, and handing it over."""

from __future__ import annotations

import asyncio
import copy
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from prsm_lab import catalog, jsontext
from prsm_lab.catalog import prices
from prsm_lab.engine import bulk_plan, structured
from prsm_lab.errors import CancelledError, ProviderError, PRSMError, SchemaError
from prsm_lab.types import Attempt, Cost, Inference, Request, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prsm_lab.engine.bulk_budget import Till
    from prsm_lab.engine.bulk_send import Held
    from prsm_lab.ledger import Ledger
    from prsm_lab.ledger.bulk import Bulk, Bulks, Item
    from prsm_lab.providers.batches import Result
    from prsm_lab.types import PriceLine, Reply

GROUP: Final = 500
"""Results that share a commit."""
MOST_READS: Final = 5
"""Of a file of results that broke off."""
_MAYBE_PAID: Final = frozenset({"batch_row_missing", "malformed"})
_UNPAID: Final = frozenset({"batch_expired", "batch_canceled"})


class Taker:
    """Takes the results of one batch that has ended.

    Args:
        ledger: Where answers go before anybody sees them.
        bulks: The ledger's batches.
        till: Keeps budgets.
        held: The batch.
        tell: Hands an outcome over, by position.
        live: What was not answered at the deadline is asked in real time; else it is a failed row.
    """

    def __init__(
        self, ledger: Ledger, bulks: Bulks, till: Till, held: Held,
        tell: Callable[[int | None, Inference | PRSMError], None], *, live: bool,
    ) -> None:  # fmt: skip
        self._ledger, self._kept, self._till = ledger, bulks, till
        self._held, self._tell, self._live = held, tell, live
        self._bills: dict[str, float | None] = {}
        self._line = prices.line(held.bulk.model, held.bulk.provider)
        self._half = prices.batch_line(self._line)
        model = catalog.find(held.bulk.model, held.bulk.provider)
        self._target = Target(
            provider=held.bulk.provider, model=held.bulk.wire, name=held.bulk.model, capabilities=model.capabilities
        )
        self._left: dict[str, Item] = {}
        self._group: list[tuple[str, Inference | PRSMError]] = []
        self._stragglers: list[int] = []

    async def take(self, items: Sequence[Item]) -> list[int]:
        """Take everything, and return the positions of the stragglers: they were not answered, and are not paid.

        Args:
            items: The batch's questions as the ledger knows them; what was fetched before is handed over from there.
        """
        for item in items:
            if item.answer is not None:
                self._tell(self._held.positions.get(item.inference_id), item.answer)
            else:
                self._left[item.inference_id] = item
        if self._held.fault is None and self._left and self._held.bulk.remote_id is not None:
            await self._read(self._held.bulk.remote_id)
        for name in list(self._left):
            self._outcome(name, self._missing())
        await self._settle()
        if self._held.bulk.state != "lost":
            self._kept.say(self._held.bulk.id, "ended")
        return self._stragglers

    async def _read(self, remote_id: str) -> None:
        """Read the results; a file that breaks off is read again, what it has told already is passed over."""
        for n in range(MOST_READS):
            try:
                async with aclosing(self._held.door.results(remote_id)) as results:
                    async for result in results:
                        await self._take_one(result)
            except PRSMError as fault:
                await self._settle()
                if fault.verdict != "retry" or n + 1 == MOST_READS:
                    raise
                await asyncio.sleep(bulk_plan.wait(n, -1.0, bulk_plan.PACING))
            else:
                return

    async def _take_one(self, result: Result) -> None:
        name = result.custom_id
        item = self._left.get(name)
        if item is None:
            return
        if result.reply is not None:
            self._outcome(name, *self._answer(item, result.reply))
        elif result.missed is not None:
            self._missed(name, result.missed)
        else:
            self._outcome(name, result.fault or self._missing())
        if len(self._group) >= GROUP:
            await self._settle()

    def _answer(self, item: Item, reply: Reply) -> tuple[Inference | PRSMError, Inference | None]:
        """What a reply is: an answer; or, where it does not fit its schema, a fault and what was paid."""
        asked = Request(model=item.requested_model, messages=(), options=item.options)
        how = structured.mode(asked, self._target)
        reply = msgspec.structs.replace(heard(reply, how), dropped=self._held.dropped.get(item.inference_id, ()))
        answer = concluded(item, self._held.bulk, reply, self._line, self._half, how)
        wrong = structured.misfit(asked, reply)
        if wrong is None:
            return answer, None
        fault = SchemaError(
            f"The answer of {answer.model} ({answer.provider}) does not fit the schema: {wrong}. Its text is kept.",
            provider=answer.provider, details={"kind": "schema", "parameter": "schema"}, partial=reply,
        )  # fmt: skip
        fault.answer = answer
        return fault, answer

    def _outcome(self, name: str, outcome: Inference | PRSMError, paid: Inference | None = None) -> None:
        """Queue an outcome for the ledger; it is handed over when it is written there."""
        del self._left[name]
        answer = outcome if isinstance(outcome, Inference) else paid
        if answer is not None:
            self._ledger.finish(answer, price=self._half)
            self._bills[name] = answer.cost.amount
        if isinstance(outcome, PRSMError):
            outcome = self._filed(name, outcome)
            if answer is None:
                unknown = self._held.bulk.state == "lost" or outcome.details.get("kind") in _MAYBE_PAID
                self._bills[name] = None if unknown else 0.0
        self._group.append((name, outcome))

    def _filed(self, name: str, fault: PRSMError) -> PRSMError:
        fault = copy.copy(fault)  # one fault may be that of many
        fault.inference_id = name
        if not fault.attempts and self._held.fault is None and fault.details.get("kind") not in _UNPAID:
            bulk = self._held.bulk
            knock = Attempt(provider=bulk.provider, model=bulk.wire, started=bulk.created, error_code=fault.code)
            fault.attempts = (msgspec.structs.replace(knock, error=fault.message),)
        self._ledger.fail(name, fault, completed=time.time(), attempts=fault.attempts, partial=fault.partial)
        return fault

    def _missed(self, name: str, how: Literal["expired", "canceled"]) -> None:
        """What the provider did not get to: asked in real time if it was given up at the deadline, ours or its own."""
        bulk, position = self._held.bulk, self._held.positions.get(name)
        at_deadline = how == "expired" or bulk.state == "cancelling"
        what = (
            "expired" if how == "expired" else f"was cancelled{' at the deadline' if at_deadline else ' by somebody'}"
        )
        said = f"Its batch {bulk.remote_id} {what} before it was answered; nothing was paid for it."
        details = {"kind": f"batch_{how}"}
        if position is not None and self._live and at_deadline:
            del self._left[name]
            gone = CancelledError(said, provider=bulk.provider, details=details)
            self._ledger.fail(name, gone, completed=time.time(), attempts=(), partial=None)
            self._bills[name] = 0.0
            self._stragglers.append(position)
        else:
            said = f"{said} The same call asks it again."
            self._outcome(name, ProviderError(said, provider=bulk.provider, details=details, verdict="stop"))

    def _missing(self) -> PRSMError:
        return self._held.fault or ProviderError(
            f"The batch {self._held.bulk.remote_id} has ended and nothing came back for this question; it may have "
            "been paid.",
            provider=self._held.bulk.provider, details={"kind": "batch_row_missing"}, verdict="stop",
        )  # fmt: skip

    async def _settle(self) -> None:
        """Commit what is queued, then hand it over."""
        await self._ledger.written()
        group, self._group, bills, self._bills = self._group, [], self._bills, {}
        self._till.settle(self._held.bulk.run_id, bills)
        for name, outcome in group:
            self._tell(self._held.positions.get(name), outcome)
        unpriced = next((o for _, o in group if isinstance(o, Inference) and o.cost.amount is None), None)
        if unpriced is not None:
            prices.warn_unpriced(unpriced.model, self._half)


def shaped(request: Request, target: Target) -> Request:
    """Return a question as it is sent: how a target is asked for an answer that fits a schema depends on it."""
    how = structured.mode(request, target)
    return request if how is None else structured.shaped(request, how)


def heard(reply: Reply, how: structured.Mode | None) -> Reply:
    """Return a reply as it is read: what a tool was called with is the answer's text, words around a document go."""
    if how == "tool" and reply.tool_calls:
        finish = "stop" if reply.finish_reason == "tool_calls" else reply.finish_reason
        said = reply.tool_calls[0].arguments
        reply = msgspec.structs.replace(reply, text=said, finish_reason=finish, tool_calls=())
    if how is None or not reply.text or reply.tool_calls:
        return reply
    return msgspec.structs.replace(reply, text=jsontext.extracted(reply.text))


def concluded(
    item: Item, bulk: Bulk, reply: Reply, line: PriceLine | None, half: PriceLine | None, how: str | None
) -> Inference:
    """Price an answer that came in a batch and put it together.

    Args:
        item: The question.
        bulk: Its batch.
        reply: What the provider answered.
        line: The model's list price, which says what is saved.
        half: Its price in a batch.
        how: How an answer that fits a schema was asked for.

    Latency is None: hours in a batch are no measure of a model.
    """
    amount, listed = prices.batch_cost(reply.usage, half), prices.batch_cost(reply.usage, line)
    saved = None if amount is None or listed is None else listed - amount
    said = reply.text or (reply.text if reply.finish_reason == "stop" else None)  # no text is None on every wire
    return Inference(
        id=item.inference_id, requested_model=item.requested_model, model=bulk.model, provider=bulk.provider,
        content=said, finish_reason=reply.finish_reason, usage=reply.usage,
        cost=Cost(amount=amount, provider_cost=listed, savings=saved), created=item.created, completed=time.time(),
        latency_ms=None, attempts=(Attempt(provider=bulk.provider, model=bulk.wire, started=bulk.created),),
        served_model=reply.served_model, tool_calls=reply.tool_calls, reasoning=reply.reasoning, dropped=reply.dropped,
        logprobs=reply.logprobs, sample=item.sample, structured=how,
    )  # fmt: skip
