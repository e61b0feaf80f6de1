"""Many questions through the providers' own batches: submit, keep, ask after, fetch; and the stragglers in real time.

What a batch costs is decided at the provider, so two rules hold everything together. A batch is in the ledger before
it is sent, and one whose submission was never confirmed is looked for before anything is sent again. And a question is
asked in real time only when its batch has *ended* and says that it was not answered: a cancel that has not settled
proves nothing.

    claim in the ledger → submit → ask after, less and less often → (deadline: cancel, wait until it settled) → fetch
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab.catalog import prices
from prsm_lab.engine import bulk_plan, many
from prsm_lab.engine.bulk_send import Held, Sender
from prsm_lab.engine.bulk_take import Taker, shaped
from prsm_lab.errors import InvalidRequestError, NotFoundError, ProviderError, PRSMError
from prsm_lab.ledger import bulk as kept
from prsm_lab.providers import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prsm_lab.engine.bulk_budget import Till
    from prsm_lab.engine.many import Deliver
    from prsm_lab.engine.windows import Windows
    from prsm_lab.ledger import Ledger
    from prsm_lab.ledger.bulk import Bulk
    from prsm_lab.protocols import Engine
    from prsm_lab.providers.batches import BatchWindow, Line
    from prsm_lab.types import Inference, Request, Target

_HERE: Final[set[str]] = set()
"""Batches that this process is seeing to: one that it has left in the middle of its submission is an orphan as well."""


def refuse_doubles(ledger: Ledger, run: str) -> None:
    """Let a run not ask in real time what waits in a batch: both would be paid.

    Raises:
        InvalidRequestError: If a batch of the run has not ended.
    """
    waiting = kept.Bulks(ledger).waiting(run)
    if waiting:
        where = ", ".join(sorted({f"{bulk.provider} ({bulk.remote_id or 'being submitted'})" for bulk in waiting}))
        raise InvalidRequestError(
            f"Questions of {run} wait in batches at {where}; asked in real time as well, they would be paid twice. "
            "mode='provider_batch' fetches them; with deadline='1s' it cancels them and asks in real time what they "
            "had not answered. Nothing was sent.",
            details={"parameter": "mode"},
        )


class Choice(NamedTuple):
    """Where a question goes."""

    target: Target
    question: bytes
    """Its fingerprint."""
    id: str
    """The inference's, if it is asked anew; also its custom id at the provider."""
    cached: bool
    """A cache may answer it: nothing is sent then."""


class Bulks:
    """One run's way through the batches.

    Args:
        engine: Asks the stragglers, and writes refusals down.
        windows: Of whose providers the batches are asked.
        ledger: Where they are kept.
        choose: Plans one question; raises what is wrong with it.
        till: Keeps budgets.
    """

    def __init__(
        self, engine: Engine, windows: Windows, ledger: Ledger, choose: Callable[[Request], Choice], till: Till
    ) -> None:  # fmt: skip
        self._engine, self._windows, self._choose, self._till = engine, windows, choose, till
        self._later: list[int] = []
        self._ledger, self._kept = ledger, kept.Bulks(ledger)
        self._doors: dict[str, BatchWindow | None] = {}
        self._choices: dict[int, Choice] = {}
        self._seen: set[str] = set()
        self._crew = asyncio.TaskGroup()
        self._live = asyncio.Lock()
        self._requests: Sequence[Request] = ()
        self._open: set[int] = set()
        self._deliver: Deliver
        self._deadline: float | None = None
        self._concurrency = 1

    async def run(
        self, requests: Sequence[Request], deliver: Deliver, *, deadline: float | None, concurrency: int
    ) -> None:  # fmt: skip
        """Ask all questions of one run, and hand each outcome over once.

        Args:
            requests: The questions.
            deliver: Called with a question's position and its answer, which is in the ledger by then, or its error.
            deadline: Seconds from a batch's submission after which its stragglers are asked in real time; None: it is
                waited for as long as it takes, and what the provider gives up is a failed row.
            concurrency: Most stragglers in flight.

        Raises:
            InvalidRequestError: If a question's provider has no batches; nothing was sent.
        """
        self._requests, self._deliver = requests, deliver
        self._deadline, self._concurrency = deadline, concurrency
        self._open = set(range(len(requests)))
        await asyncio.to_thread(prices.line, "gpt-4")  # loads the price table off the loop
        refused = self._plan()
        try:
            for position, fault in refused:
                await self._refuse(position, fault)
            await self._ask([n for n, choice in self._choices.items() if choice.cached])
            self._later = [n for n, choice in self._choices.items() if not choice.cached]
            while self._later:  # once, unless a budget has no room for all of it at the same time
                await self._wave()
        finally:
            self._till.close()
            for door in self._doors.values():
                if door is not None:
                    await door.aclose()

    async def _wave(self) -> None:
        """Ask as many as there is room for, and come back when all of them are settled."""
        wanted, self._later, self._crew = self._later, [], asyncio.TaskGroup()
        async with self._crew:
            await self._divide(wanted)
        if len(self._later) == len(wanted):  # another process holds it all
            await asyncio.sleep(bulk_plan.wait(0, -1.0, bulk_plan.PACING))

    def _plan(self) -> list[tuple[int, PRSMError]]:
        """Choose everybody's target; what is wrong with single questions is returned."""
        refused: list[tuple[int, PRSMError]] = []
        for position, request in enumerate(self._requests):
            try:
                choice = self._choices[position] = self._choose(request)
            except PRSMError as fault:
                refused.append((position, fault))
                continue
            name = choice.target.provider
            if name not in self._doors:
                self._doors[name] = batches.connect(self._windows[name])
            if self._doors[name] is None:
                raise InvalidRequestError(
                    f"{choice.target.name!r} is asked at {name}, which has no batches; OpenAI and Anthropic have. "
                    "Leave mode='provider_batch' out for it. Nothing was sent.",
                    provider=name, details={"parameter": "mode"},
                )  # fmt: skip
        return refused

    # ------------------------------------------------------------------------------------------------ outcomes

    def _tell(self, position: int | None, outcome: Inference | PRSMError) -> None:
        if position is not None and position in self._open:
            self._open.discard(position)
            self._deliver(position, outcome)

    async def _refuse(self, position: int, fault: PRSMError) -> None:
        await self._engine.refuse(self._requests[position], fault)
        self._tell(position, fault)

    async def _ask(self, positions: Sequence[int]) -> None:
        """Ask in real time; one crew at a time keeps to the concurrency."""
        if positions:
            asked = [self._requests[position] for position in positions]
            async with self._live:
                await many.run(
                    self._engine, asked, concurrency=min(self._concurrency, len(asked)),
                    deliver=lambda n, outcome: self._tell(positions[n], outcome),
                )  # fmt: skip

    # ------------------------------------------------------------------------------------------------ dividing

    async def _divide(self, positions: Sequence[int]) -> None:
        """Give every question its place: in a batch of this run that waits already, else in a new one."""
        rest: dict[bytes, deque[int]] = defaultdict(deque)
        for position in positions:
            rest[self._choices[position].question].append(position)
        runs = {self._requests[position].run or "" for position in positions}
        for run in sorted(runs):
            while True:
                for bulk in self._kept.waiting(run):
                    if bulk.id not in self._seen:
                        self._attach(bulk, rest)
                free = sorted(n for places in rest.values() for n in places if n in self._open)
                mine = [n for n in free if (self._requests[n].run or "") == run]
                held = await self._written(run, mine)
                asked = {one.bulk: [(i, one.questions[i]) for i in one.positions] for one in held}
                due = None if self._deadline is None else time.time() + self._deadline
                if self._kept.claim(run, asked, self._seen, due):
                    break
                for one in held:
                    self._till.settle(run, dict.fromkeys(one.questions, 0.0))
                self._later.clear()
            for one in held:
                self._see_to(one)

    def _attach(self, bulk: Bulk, rest: dict[bytes, deque[int]]) -> None:
        """See to a batch that waits already; questions of this call that it holds are not asked again."""
        self._seen.add(bulk.id)
        door = self._doors.get(bulk.provider)
        if door is None or door.origin != bulk.origin:
            return  # another place: its questions have other fingerprints
        held = Held(bulk, door, {}, {})
        for item in self._kept.items(bulk.id):
            held.questions[item.inference_id] = item.question
            places = rest.get(item.question)
            if places:
                position = held.positions[item.inference_id] = places.popleft()
                request = self._requests[position]
                if request.routing.on_unsupported == "drop":
                    target = self._choices[position].target
                    held.dropped[item.inference_id] = door.line(shaped(request, target), target, "").dropped
        self._see_to(held)

    async def _written(self, run: str, positions: Sequence[int]) -> list[Held]:
        """Write questions as lines, and cut them into new batches; what no batch takes is refused here."""
        groups: dict[tuple[str, str, str], list[tuple[int, Line]]] = defaultdict(list)
        for position in positions:
            request, target = self._requests[position], self._choices[position].target
            door = self._doors[target.provider]
            assert door is not None
            name = self._choices[position].id
            try:
                line = door.line(shaped(request, target), target, name)
                if not self._till.take(name, request, target):
                    self._later.append(position)
                    continue
            except PRSMError as fault:
                await self._refuse(position, fault)
                continue
            groups[target.provider, target.name, line.variant].append((position, line))
        made = []
        for (provider, _, variant), lines in groups.items():
            door = self._doors[provider]
            assert door is not None
            for part in bulk_plan.split([len(line.raw) for _, line in lines], door.limits):
                chosen = [lines[n] for n in part if lines[n][0] in self._open]
                if chosen:
                    made.append(self._held(run, variant, chosen, door))
        return made

    def _held(self, run: str, variant: str, lines: list[tuple[int, Line]], door: BatchWindow) -> Held:
        target = self._choices[lines[0][0]].target
        name = f"bulk_{int(time.time() * 1000):012x}{secrets.token_hex(6)}"
        return Held(
            kept.new(name, run, target.provider, door.origin, target.name, target.model), door,
            {line.custom_id: self._choices[position].question for position, line in lines},
            {line.custom_id: position for position, line in lines}, variant, [line for _, line in lines],
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------------- one batch

    def _see_to(self, held: Held) -> None:
        self._seen.add(held.bulk.id)
        self._crew.create_task(self._guarded(held))

    async def _guarded(self, held: Held) -> None:
        """See a batch through; what stops it is the outcome of its questions, and the batch waits on."""
        first = held.bulk.id not in _HERE
        try:
            if first and (held.lines or kept.mine(held.bulk) or held.bulk.state != "submitting"):
                _HERE.add(held.bulk.id)
                held.mine = True
            await self._through(held)
        except PRSMError as fault:
            for position in held.positions.values():
                self._tell(position, fault)
        finally:
            if held.mine:
                _HERE.discard(held.bulk.id)

    async def _through(self, held: Held) -> None:
        sender = Sender(self._ledger, self._kept, self._till)
        if held.lines:
            for line, position in zip(held.lines, held.positions.values(), strict=True):
                request = self._requests[position]
                self._ledger.start(
                    line.custom_id, request, held.questions[line.custom_id], scope=request.scope, created=time.time()
                )
            await self._ledger.written()
            await sender.submit(held, self._due(held))
        elif held.bulk.remote_id is None and not await sender.recover(held):
            await self._divide(sorted(held.positions.values()))  # it never was there
            return
        if held.bulk.state in ("ended", "lost"):
            await self._collected(held)
            return
        await self._followed(held)

    def _due(self, held: Held) -> float:
        return float("inf") if self._deadline is None else held.bulk.created + self._deadline

    async def _followed(self, held: Held) -> None:
        """Ask after a batch until it has ended; at the deadline, ask for its end."""
        polls, failing = 0, None
        remote = held.bulk.remote_id
        assert remote is not None
        while True:
            left = self._due(held) - time.time()
            step = "wait"
            try:
                await held.door.ready()
                standing = await held.door.status(remote)
                failing = None
                step = bulk_plan.after(standing.state, left)
                if step == "refuse":
                    self._ended(held, "ended", standing.refusal)
                    await self._collected(held)
                    return
                self._kept.say(held.bulk.id, held.bulk.state, standing.detail)
                if step == "collect":
                    await self._collected(held)
                    return
                if step == "cancel":
                    self._ended(held, "cancelling", None)  # first: what then is missing, we cancelled
                    await held.door.cancel(remote)
                    polls = 0
            except NotFoundError as gone:
                gone.message = f"{gone.message} The batch {remote} is not there any more; it may have been paid."
                self._ended(held, "lost", gone)
                await self._collected(held)
                return
            except PRSMError as fault:
                failing = failing or time.monotonic()
                settled = step == "cancel"  # it may have ended in this moment: the next look tells
                patience = bulk_plan.PACING.give_up - (time.monotonic() - failing)
                if not settled and (fault.verdict != "retry" or patience <= 0):
                    raise self._out_of_reach(held, fault) from None
            await asyncio.sleep(bulk_plan.wait(polls, left, bulk_plan.PACING))
            polls += 1

    def _ended(self, held: Held, state: str, fault: PRSMError | None) -> None:
        self._kept.say(held.bulk.id, state)
        held.bulk, held.fault = held.bulk._replace(state=state), fault

    def _out_of_reach(self, held: Held, fault: PRSMError) -> ProviderError:
        return ProviderError(
            f"{fault.message} The batch {held.bulk.remote_id} still waits there: the same call fetches it, and asks "
            "nothing again.",
            provider=held.bulk.provider, details={**fault.details, "kind": "batch_waits"}, verdict="stop",
        )  # fmt: skip

    async def _collected(self, held: Held) -> None:
        """Fetch what came of a batch, then ask its stragglers."""
        live = self._deadline is not None
        stragglers = await Taker(self._ledger, self._kept, self._till, held, self._tell, live=live).take(
            self._items(held)
        )
        await self._ask([position for position in stragglers if position in self._open])

    def _items(self, held: Held) -> list[kept.Item]:
        return self._kept.items(held.bulk.id)
