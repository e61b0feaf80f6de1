"""The engine in this process: the path of one request, top to bottom, and what the ledger tells of all.

door → Request → ledger row → cache? → plan → attempts → price → ledger row closed → Inference
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import weakref
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from prsm_lab import catalog
from prsm_lab.catalog import prices
from prsm_lab.engine import cascade, plan, portal, routers, structured
from prsm_lab.engine.attempts import Attempts
from prsm_lab.engine.budget import Budgets
from prsm_lab.engine.bulk import Bulks, Choice, refuse_doubles
from prsm_lab.engine.bulk_budget import Till
from prsm_lab.engine.caches import Caches
from prsm_lab.engine.choosing import Choosing
from prsm_lab.engine.concluding import conclude
from prsm_lab.engine.health import Health
from prsm_lab.engine.pace import Pace
from prsm_lab.engine.planning import Planning
from prsm_lab.engine.turns import Turns
from prsm_lab.engine.windows import Windows, most_connections
from prsm_lab.errors import CancelledError, InternalError, InvalidRequestError, NotFoundError, PRSMError
from prsm_lab.ledger import fingerprint
from prsm_lab.ledger.votes import Ballots
from prsm_lab.types import Delta, Inference, Request, Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from prsm_lab.engine.attempts import Answer
    from prsm_lab.engine.many import Deliver
    from prsm_lab.ledger import Ledger
    from prsm_lab.protocols import Provider
    from prsm_lab.types import Model, Query, Record, Report, Run

MOST_IN_FLIGHT = 1024
"""At one provider that names no `ceiling` of its own: a share server's thousand streams may all be of one model."""
CLOSING_SECONDS = 1.0


def new_id() -> str:
    """Return a new inference's id: the time in milliseconds, then 80 random bits."""
    return f"inf_{int(time.time() * 1000):012x}{secrets.token_hex(10)}"


class Listing(NamedTuple):
    """The models that a provider offers, and how long it took to say so."""

    models: tuple[str, ...]
    latency_ms: float


class Embedded:
    """Answers through providers in this process and writes everything down.

    Args:
        providers: Windows by name; closed with the engine.
        ledger: Where answers are kept; closed with the engine.
        max_retries: Retries at one target where the request names no number.
    """

    def __init__(self, providers: Mapping[str, Provider], ledger: Ledger, *, max_retries: int = 2) -> None:
        self._windows = Windows(providers)
        self._origins = self._windows.origins()
        self._ledger = ledger
        self._health = Health()
        ceilings = {name: _ceiling(provider) for name, provider in providers.items()}
        self._pace = Pace(ceilings, book=ledger.pace_book, account=self._windows.account)
        self.budgets = Budgets(ledger)
        self._attempts = Attempts(self._windows, self._pace, self._health, self.budgets, max_retries=max_retries)
        self._pid = os.getpid()
        self.choosing = Choosing(self._origins, self._attempts.balance.is_open, ledger)
        self._planning = Planning(self.choosing.candidates)
        self._priced = False
        self.caches = Caches(ledger, weakref.WeakMethod(self.create))
        self.ballots, self.turns = Ballots(ledger), Turns(ledger)
        self._forgotten = weakref.finalize(self, _let_go, self._pid, self._windows)

    # ------------------------------------------------------------------------------------------- one request

    async def create(self, request: Request) -> Inference:
        """Answer one question."""
        async with aclosing(self._path(request, live=False)) as path:
            async for item in path:
                if isinstance(item, Inference):
                    return item
        raise InternalError("The engine's path ended without an answer.")

    def stream(self, request: Request) -> AsyncGenerator[Delta | Inference, None]:
        """Answer in pieces, then with the whole; closing the iterator closes the provider's stream."""
        return self._path(request, live=True)

    async def _path(self, request: Request, *, live: bool) -> AsyncGenerator[Delta | Inference, None]:
        self.check_process()
        if not self._priced:
            await asyncio.to_thread(prices.line, "gpt-4")  # loads the price table off the loop
            self._priced = True
        created = time.time()
        id = request.id or new_id()  # noqa: A001 -- the seed's word
        try:
            targets, key = self._planning.of(request)
            hit, look = await self.caches.earlier(request, targets, key, id, created)
        except PRSMError as error:
            self._ledger.start(id, request, fingerprint(request, ()), scope=request.scope, created=created)
            await self._record_failure(id, error)
            raise
        if hit is not None:
            await self._ledger.written()
            if live and hit.content:
                yield Delta(text=hit.content)
            yield hit
            return
        self._ledger.start(id, request, key, scope=request.scope, created=created)
        await self._ledger.written()
        try:
            asked = self._asked(msgspec.structs.replace(request, id=id), targets, live=live)
            async with aclosing(asked) as heard:
                async for item in heard:
                    if isinstance(item, Delta):
                        yield item
                    else:
                        answer = item
        except PRSMError as error:
            self._explain(error, targets[0])
            await self._record_failure(id, error)
            raise
        except (asyncio.CancelledError, GeneratorExit):  # the caller went away: say so in the ledger
            gone = CancelledError("The caller cancelled.")
            self._ledger.fail(id, gone, completed=time.time(), attempts=(), partial=None)
            raise
        self.choosing.speeds.heard(answer.attempts)
        inference, line = conclude(id, created, request, targets[0], answer)
        self._ledger.finish(inference, price=line)
        self.caches.keep(look if answer.fault is None else None, inference)
        if answer.fault is not None:
            answer.fault.answer = inference
            await self._record_failure(id, answer.fault)
            raise answer.fault
        await self._ledger.written()
        if inference.cost.amount is None:  # where warnings are errors, the answer is kept already
            prices.warn_unpriced(answer.target.name, line)
        yield inference

    def _asked(
        self, request: Request, targets: tuple[Target, ...], *, live: bool
    ) -> AsyncGenerator[Delta | Answer, None]:
        """Ask a model, or the models of a router."""
        known = routers.of(request.model)
        if known is None:
            ordered = self.choosing.ordered(request, targets, live=live)
            return structured.answers(self._attempts, request, ordered, live=live)

        def ask(one: Request, live: bool) -> AsyncGenerator[Delta | Answer, None]:
            return self._asked(one, self.choosing.candidates(one), live=live)

        return cascade.answers(known, request, ask, live=live)

    # ---------------------------------------------------------------------------------------------- many, runs

    async def check(self, request: Request) -> None:
        """Raise if nobody could be asked this."""
        self.choosing.candidates(request)
        self.caches.policy(request)

    async def recall(
        self, requests: Sequence[Request], scope: str, keys: Sequence[bytes | None] | None = None
    ) -> list[Inference | None]:
        """Return what runs of this scope already paid for, in one look-up."""
        if keys is None:
            keys = [self._key(request) for request in requests]
        person = requests[0].person if requests else None
        wanted = [key for key in keys if key is not None]
        known = self._ledger.find(wanted, scope=scope, person=person, whole=False)
        return [None if key is None else known.get(key) for key in keys]

    async def begin(self, run: Run, requests: Sequence[Request]) -> Sequence[bytes]:
        """Write down what a run asks, before it asks; return its questions' fingerprints."""
        if not run.batched and not run.fresh:
            refuse_doubles(self._ledger, run.id)
        self._planning.begin(run.id)
        keys: list[bytes] = []
        firsts: dict[str, tuple[Request, tuple[Target, ...]]] = {}
        for request in requests:
            try:
                targets, key = self._planning.learn(request)
            except PRSMError:
                keys.append(fingerprint(request, ()))
            else:
                keys.append(key)
                firsts.setdefault(request.model, (request, targets))
        self.budgets.cap(run, [one for one, _ in firsts.values()], [targets for _, targets in firsts.values()])
        self._ledger.begin(run, keys, run.scope)
        await self._ledger.written()
        return keys

    async def runs(self) -> list[Run]:
        """List past runs, newest first."""
        return self._ledger.runs()

    async def again(self, run: Run, ids: Sequence[str]) -> list[Request]:
        """Return questions of a run as they were asked, to be asked again under the run's cap.

        Those whose provider has moved are left out: their answers would be filed as other questions'.
        """
        self.budgets.cap(run, (), ())
        known = self._ledger.questions(ids)
        return [request for question, request in known.values() if self._key(request) == question]

    async def replay(self, run: str) -> tuple[Run, list[Record | None]]:
        """Return a run and the state of each of its questions."""
        return self._ledger.replay(run)

    async def bulk(
        self, requests: Sequence[Request], deliver: Deliver, *, deadline: float | None, concurrency: int = 16
    ) -> None:  # fmt: skip
        """Ask many questions through the providers' batches at half price; see `Bulks.run`."""

        def choose(request: Request) -> Choice:
            targets, question = self._planning.of(request)
            cached = self.caches.exact(request, question, time.time()) is not None
            known, asked = routers.of(request.model), request
            if known is not None:
                asked = msgspec.structs.replace(request, model=routers.alone(known, request.messages))
                targets = self.choosing.candidates(asked)
            ordered = self.choosing.ordered(asked, targets, live=False)
            return Choice(ordered[0], question, request.id or new_id(), cached)

        self.check_process()
        run = Bulks(self, self._windows, self._ledger, choose, Till(self._ledger, self.budgets.shares))
        await run.run(requests, deliver, deadline=deadline, concurrency=concurrency)

    async def refuse(self, request: Request, error: PRSMError) -> None:
        """Write down a question that was refused before it could be asked."""
        id = request.id or new_id()  # noqa: A001 -- the seed's word
        self._ledger.start(id, request, fingerprint(request, ()), scope=request.scope, created=time.time())
        await self._record_failure(id, error)

    # ------------------------------------------------------------------------------------------- what is known

    async def get(self, id: str, *, person: str | None = None) -> Record:
        """Return what the ledger knows of one inference."""
        return self._ledger.get(id, person=person)

    async def receipts(self, ids: Sequence[str], *, person: str | None = None) -> list[Record]:
        """Return what the ledger knows of many, with their attempts."""
        return self._ledger.receipts(ids, person=person)

    async def history(self, limit: int, *, person: str | None = None) -> list[Record]:
        """List the latest inferences."""
        return self._ledger.history(limit, person=person)

    async def worst_case(self, request: Request) -> float | None:
        """Return the most that any target of a question can cost."""
        return plan.worst_case(self.choosing.candidates(request), request)

    @property
    def ledger(self) -> Ledger:
        """The ledger, for a share server that keeps its keys beside the answers."""
        return self._ledger

    async def usage(self, query: Query) -> Report:
        """Sum up the ledger over a time span."""
        return self._ledger.usage(query)

    async def models(self) -> tuple[Model, ...]:
        """Return the catalogue, with the prices and qualities of the moment."""
        return await asyncio.to_thread(lambda: tuple(map(catalog.described, catalog.all_models())))

    async def model(self, name: str) -> Model:
        """Return one model, by name or alias."""
        return await asyncio.to_thread(lambda: catalog.described(catalog.find(name)))

    # ----------------------------------------------------------------------------------------- the providers

    @property
    def origins(self) -> Mapping[str, str]:
        """The providers that there are, and where each really is."""
        return self._origins

    async def replace(self, name: str, window: Provider | None) -> None:
        """Ask a provider through another window from now on, or a new one; None takes it away.

        What is being answered ends on the old window, which closes then. A run that still has questions for a
        provider at its old place fails them: its answers would be filed as the old place's.
        """
        self._windows.put(name, window)
        self._origins.clear()
        self._origins.update(self._windows.origins())
        self._health.forget(name)
        if window is not None:
            self._pace.open(name, _ceiling(window))

    async def listing(self, name: str) -> Listing:
        """Ask a provider which models it offers, which costs nothing.

        Raises:
            InvalidRequestError: If it cannot say: a function, a window of one's own.
            PRSMError: What keeps it from answering.
        """
        window = self._windows[name]
        ask = getattr(window, "models", None)
        if ask is None:
            raise InvalidRequestError(f"{name!r} has no list of models to ask for.", details={"parameter": "provider"})
        await window.ready()
        began = time.monotonic()
        return Listing(tuple(await ask()), (time.monotonic() - began) * 1000)

    async def aclose(self) -> None:
        """Close all connections, then the ledger."""
        self._forgotten.detach()
        await self._windows.aclose()
        self._pace.close()
        self.budgets.close()
        self._ledger.close()

    # -------------------------------------------------------------------------------------------------- helpers

    def _key(self, request: Request) -> bytes | None:
        """A request's fingerprint; None where it cannot even be planned."""
        try:
            return self._planning.of(request).key
        except PRSMError:
            return None

    async def _record_failure(self, id: str, error: PRSMError) -> None:
        error.inference_id = id
        self.choosing.speeds.heard(error.attempts)
        self._ledger.fail(id, error, completed=time.time(), attempts=error.attempts, partial=error.partial)
        await self._ledger.written()

    def _explain(self, error: PRSMError, target: Target) -> None:
        """A model that is gone: say since when, and what came after it."""
        if isinstance(error, NotFoundError):
            hint = catalog.retirement_note(catalog.find(target.name, target.provider))
            if hint and hint not in error.message:
                error.message = f"{error.message} {hint}"

    def check_process(self) -> None:
        """Refuse to work in a process that was forked off after this engine was made.

        Raises:
            InternalError: In that process.
        """
        if os.getpid() != self._pid:
            raise InternalError(
                "This client was made before a fork; its connections belong to the parent process. "
                "Make a new Client in the child."
            )


def _ceiling(provider: Provider) -> int:
    return most_connections(int(getattr(provider, "ceiling", MOST_IN_FLIGHT)))


def _let_go(pid: int, windows: Windows) -> None:
    """Close the connections of a client that nobody closed: scripts end and cells are run again without a word."""
    if pid == os.getpid():
        portal.finish(windows.aclose(), CLOSING_SECONDS)
