"""Workers in other processes that send a run's questions; what they may send is decided here, question by question.

A worker is a window that happens to be elsewhere. Plan, pace, budget, retries and ledger stay in the driver: every
question that a worker holds has its slot and its money leased from there, and both come back with its answer, or with
the worker's end. So no sum over workers can pass a limit, and nothing but questions in flight is lost with a worker.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab.engine import certificates, link
from prsm_lab.errors import AuthenticationError, InvalidRequestError, ProviderError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from prsm_lab.types import Delta, Reply, Request, Target

HELLO_SECONDS: Final = 30.0
"""A connection that has not introduced itself by then is closed."""
BEAT_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 30.0
"""A worker that was silent for so long is lost: stopped, or behind a broken network."""
GATHER_SECONDS: Final = 10.0
"""So long after the last one joined, nobody else is waited for who could ask a provider."""
LOST: Final = "worker_lost"
"""Kind of the fault of a question that went down with its worker."""

AWAY: ContextVar[Fleet | None] = ContextVar("AWAY", default=None)
"""Who sends the questions of the running task; None: this process."""


class Invitation(msgspec.Struct, frozen=True):
    """How a worker finds its driver. It travels in the engine's tasks: no key of any provider is in it."""

    host: str
    port: int
    token: str
    """Opens this one run, until it ends."""
    places: dict[str, dict[str, Any]] = {}
    """Providers by name, as `settings.access` takes them. Keys are those that the worker finds in its environment."""
    needs: list[str] = []
    """Providers that the run asks; whoever cannot ask one says so before any question is sent."""
    certificate: str | None = None
    """What the driver proves itself by, where it is not on the worker's machine."""


class _Worker:
    """One that has joined, with the questions that it holds."""

    def __init__(self, line: link.Link, hello: link.Hello) -> None:
        self.line, self.name, self.lacks = line, hello.name, hello.lacks
        self.heard = time.monotonic()
        self.errands: dict[int, asyncio.Future[link.Answered]] = {}

    def settle(self, told: link.Answered | link.Failed) -> None:
        """Take what came of a question; one that nobody waits for any more is over."""
        waiting = self.errands.pop(told.n, None)
        if waiting is None or waiting.done():
            return
        if isinstance(told, link.Answered):
            waiting.set_result(told)
        else:
            waiting.set_exception(link.fault_of(told))

    def lost(self) -> None:
        """It is gone, and its questions with it."""
        for waiting in self.errands.values():
            if not waiting.done():
                waiting.set_exception(
                    ProviderError(
                        f"The worker {self.name} was lost while it waited for the answer, which may be billed.",
                        details={"kind": LOST},
                    )
                )
        self.errands.clear()


class Fleet:
    """The driver's side; made by `opened`.

    Args:
        version: Who runs another version is refused: it might send something else.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._token = secrets.token_urlsafe(32)
        self._workers: set[_Worker] = set()
        self._visits: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._last_joined = 0.0
        self._questions = 0
        self.manned, self.deserted = asyncio.Event(), asyncio.Event()
        self.answered = self.joined = self.lost = 0
        self.refusals: list[str] = []
        """Why workers were not taken."""
        self.ended = False
        self.deserted.set()

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, version: str, host: str, *, places: dict[str, dict[str, Any]], needs: list[str]
    ) -> AsyncIterator[tuple[Fleet, Invitation]]:
        """Listen for workers until the block ends; they are told then, and what they still do is stopped.

        Args:
            version: This package's.
            host: Address of this machine that workers reach; one that is not the loopback is spoken to by TLS only.
            places: Providers, see `Invitation`.
            needs: Providers that the run asks.
        """
        fleet, context, shown = cls(version), None, None
        if not host.startswith("127.") and host != "::1":
            shown, private = certificates.certificate(host)
            context = certificates.driver_context(shown, private)
        server = await asyncio.start_server(fleet.visit, host, 0, ssl=context)
        beating = asyncio.create_task(fleet.beat())
        try:
            port = server.sockets[0].getsockname()[1]
            yield fleet, Invitation(host, port, fleet._token, places, needs, shown)
        finally:
            beating.cancel()
            server.close()
            await fleet.dismiss()

    # ------------------------------------------------------------------------------------------------- workers

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear one connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        line = link.Link(reader, writer)
        try:
            worker = await self._introduced(line)
            if worker is not None:
                await self._hear(worker)
        finally:
            self._visits.discard(task)
            line.abort()

    async def _introduced(self, line: link.Link) -> _Worker | None:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = await line.receive(link.HELLO_BYTES)
        except (*link.LOST, TimeoutError):
            return None
        if not isinstance(hello, link.Hello) or not hmac.compare_digest(hello.token.encode(), self._token.encode()):
            return None
        if self.ended:
            line.post(link.End())
            await line.aclose()
            return None
        if hello.version != self._version:
            reason = f"{hello.name} runs prsm_lab {hello.version}, the driver {self._version}"
            self.refusals.append(reason)
            line.post(link.Refused(reason))
            await line.aclose()
            return None
        return _Worker(line, hello)

    async def _hear(self, worker: _Worker) -> None:
        self._workers.add(worker)
        self.joined += 1
        self._last_joined = time.monotonic()
        self._look()
        try:
            while True:
                told = await worker.line.receive()
                worker.heard = time.monotonic()
                if isinstance(told, (link.Answered, link.Failed)):
                    self.answered += 1
                    worker.settle(told)
        except link.LOST:
            pass
        finally:
            self._workers.discard(worker)
            self.lost += not self.ended
            worker.lost()
            self._look()

    def _look(self) -> None:
        """Let those who wait see who is there."""
        self._changed.set()
        self._changed = asyncio.Event()
        here, gone = (self.manned, self.deserted) if self._workers else (self.deserted, self.manned)
        here.set()
        gone.clear()

    async def beat(self) -> None:
        """Find out who is silent for ever."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for worker in list(self._workers):
                if time.monotonic() - worker.heard > PATIENCE_SECONDS:
                    worker.line.abort()
                else:
                    worker.line.post(link.Beat())

    async def dismiss(self) -> None:
        """Send all workers home: the run has ended."""
        self.ended = True
        for worker in self._workers:
            worker.line.post(link.End())
        for worker in list(self._workers):
            await worker.line.aclose()
        for task in list(self._visits):
            task.cancel()
        if self._visits:
            await asyncio.wait(self._visits, timeout=1.0)

    # ----------------------------------------------------------------------------------------------- questions

    async def fit(self, target: Target) -> _Worker:
        """Return the least busy worker that can ask a target's provider; wait for one if there is none yet.

        Raises:
            AuthenticationError: If those who are there cannot, and nobody else has joined for a while.
        """
        while True:
            able = [worker for worker in self._workers if target.provider not in worker.lacks]
            if able:
                return min(able, key=lambda worker: len(worker.errands))
            patience = None
            if self._workers:
                patience = self._last_joined + GATHER_SECONDS - time.monotonic()
                if patience <= 0:
                    worker = next(iter(self._workers))
                    raise AuthenticationError(
                        f"No worker can ask {target.provider}. {worker.name} says: {worker.lacks[target.provider]} Set "
                        "it in the workers' environment: keys never travel in tasks.",
                        provider=target.provider, details={"kind": "missing_key", "not_sent": True},
                    )  # fmt: skip
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._changed.wait()

    async def send(self, request: Request, target: Target) -> AsyncGenerator[Delta | Reply, None]:
        """Ask through a worker; as a provider's window does, but always for the whole answer."""
        worker = await self.fit(target)
        self._questions += 1
        n = self._questions
        told: asyncio.Future[link.Answered] = asyncio.get_running_loop().create_future()
        worker.line.send(_question(n, request, target))
        worker.errands[n] = told
        try:
            answer = await told
        finally:
            if worker.errands.pop(n, None) is not None:
                worker.line.post(link.Drop(n))
        yield msgspec.structs.replace(answer.reply, took_ms=answer.ms)

    def window(self, name: str, origin: str) -> Away:
        """Return a provider as it is asked through the workers."""
        return Away(self, name, origin)


def _question(n: int, request: Request, target: Target) -> bytes:
    frame = link.encoded(link.Ask(n, request, target))
    if len(frame) > link.MOST_BYTES:
        raise InvalidRequestError(
            f"The question is {len(frame):,} bytes, more than the {link.MOST_BYTES:,} that go to a worker.",
            details={"kind": "too_large", "not_sent": True},
        )
    return frame


class Away:
    """A provider behind the workers."""

    def __init__(self, fleet: Fleet, name: str, origin: str) -> None:
        self._fleet, self.name, self.origin = fleet, name, origin

    async def ready(self) -> None:
        """The workers got ready before they joined."""

    def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:  # noqa: ARG002 -- the seam's
        """Ask through a worker."""
        return self._fleet.send(request, target)

    async def aclose(self) -> None:
        """The workers close what they opened."""
