"""Getting one batch to its provider, exactly once: submit, and find again what was never confirmed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prsm_lab.engine import bulk_plan
from prsm_lab.errors import CancelledError, ProviderError, PRSMError, RateLimitError
from prsm_lab.ledger import bulk as kept

if TYPE_CHECKING:
    from prsm_lab.engine.bulk_budget import Till
    from prsm_lab.ledger import Ledger
    from prsm_lab.ledger.bulk import Bulk, Bulks
    from prsm_lab.providers.batches import BatchWindow, Line

MOST_TRIES: Final = 6
"""Submissions of one batch, where the provider throttles or is out of reach."""


@dataclass
class Held:
    """A batch that this call sees to."""

    bulk: Bulk
    door: BatchWindow
    questions: dict[str, bytes]
    """Fingerprints by inference id, of all its questions."""
    positions: dict[str, int]
    """By inference id, where in this call the question stands; other questions are not of this call."""
    variant: str = ""
    lines: list[Line] = field(default_factory=list)
    """What is to be submitted; empty once it is."""
    dropped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fault: PRSMError | None = None
    """Why nothing comes of it."""
    mine: bool = False


class Sender:
    """Submits batches and finds them again.

    Args:
        ledger: Where inferences are closed that were never sent.
        bulks: The ledger's batches.
        till: Keeps budgets.
    """

    def __init__(self, ledger: Ledger, bulks: Bulks, till: Till) -> None:
        self._ledger, self._kept, self._till = ledger, bulks, till

    async def submit(self, held: Held, due: float) -> None:
        """Submit a batch; afterwards its state is `waiting`, or `ended` with the fault that it was refused with.

        Raises:
            ProviderError: If it cannot be said whether it arrived; it stays `submitting`, and is looked for next time.
        """
        raw, held.dropped = [line.raw for line in held.lines], {line.custom_id: line.dropped for line in held.lines}
        held.lines = []
        for n in range(MOST_TRIES):
            try:
                await held.door.ready()
                remote: str | None = await held.door.submit(held.bulk.id, held.variant, raw)
            except PRSMError as fault:
                last = n + 1 == MOST_TRIES or time.time() > due
                if _refusal(fault) or (isinstance(fault, RateLimitError) and last):
                    self._refused(held, fault)
                    return
                pause = bulk_plan.wait(n, -1.0, bulk_plan.PACING)
                await asyncio.sleep(max(pause, fault.retry_after or 0.0))
                remote = None if isinstance(fault, RateLimitError) else await self._find(held)
                if remote is None and last:
                    raise self._unknown(fault) from None
            if remote is not None:
                self._confirmed(held, remote)
                return

    def _refused(self, held: Held, fault: PRSMError) -> None:
        self._kept.say(held.bulk.id, "ended", fault.to_dict())
        held.bulk, held.fault = held.bulk._replace(state="ended"), fault

    def _confirmed(self, held: Held, remote: str) -> None:
        self._kept.submitted(held.bulk.id, remote)
        held.bulk = held.bulk._replace(state="waiting", remote_id=remote)

    def _unknown(self, fault: PRSMError) -> ProviderError:
        return ProviderError(
            f"{fault.message} It is not known whether the batch arrived: the same call looks for it before it submits "
            "it again.",
            provider=fault.provider, details={**fault.details, "kind": "batch_unknown"}, verdict="stop",
        )  # fmt: skip

    async def recover(self, held: Held) -> bool:
        """Find a batch whose submission was never confirmed.

        Returns:
            True if it is there, or has come to an end meanwhile; False if it never arrived: its questions are free.
        """
        while not (self._is_free(held) and self._kept.adopt(held.bulk)):
            await asyncio.sleep(bulk_plan.wait(0, -1.0, bulk_plan.PACING))  # somebody is submitting it
            now = self._kept.get(held.bulk.id)
            if now is None or now.state == "lost":
                return False
            held.bulk = now
            if now.remote_id is not None or now.state == "ended":
                return True
        await held.door.ready()
        since = held.bulk.created + bulk_plan.PACING.settle - time.time()
        remote = await self._find(held)
        if remote is None and since > 0:
            await asyncio.sleep(since)
            remote = await self._find(held)
        if remote is not None:
            self._confirmed(held, remote)
            return True
        self._kept.say(held.bulk.id, "lost")
        for name in held.questions:
            self._ledger.fail(
                name, CancelledError("It was never sent: its process ended before."), completed=time.time(),
                attempts=(), partial=None,
            )  # fmt: skip
        await self._ledger.written()
        self._till.settle(held.bulk.run_id, dict.fromkeys(held.questions, 0.0))
        return False

    def _is_free(self, held: Held) -> bool:
        """Nobody is submitting it any more."""
        return kept.orphaned(held.bulk) or (kept.mine(held.bulk) and held.mine)

    async def _find(self, held: Held) -> str | None:
        """Look for a batch until the provider's list is clear about it."""
        polls = 0
        while True:
            known = self._kept.remotes(held.bulk.provider)
            try:
                found = await held.door.find(held.bulk.id, held.questions, held.bulk.created, known)
            except PRSMError as fault:
                if fault.verdict != "retry" or polls >= MOST_TRIES:
                    raise self._unknown(fault) from None
            else:
                if found.remote_id is not None or not found.undecided:
                    return found.remote_id
            await asyncio.sleep(bulk_plan.wait(polls, -1.0, bulk_plan.PACING))
            polls += 1


def _refusal(fault: PRSMError) -> bool:
    """Is it certain that the batch was not taken, and useless to try again?"""
    if isinstance(fault, ProviderError):
        return fault.details.get("kind") in ("certificate", "redirect")
    return fault.verdict != "retry"
