"""Limits per minute that were set by hand: in no sliding minute more requests or tokens than that.

Where the ledger is a file or a database, all processes with the same key count together; else this engine does alone.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

from prsm_lab.engine import sliding
from prsm_lab.engine.plan import most_prompt_tokens
from prsm_lab.errors import InternalError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from prsm_lab.ledger.pace import PaceBook
    from prsm_lab.types import Reply, Request, Target

WINDOW_SECONDS: Final = 60.0
MARGIN_SECONDS: Final = 1.0
"""A request counts so much longer than the window: the provider counts arrivals, and ways there differ in length."""
COLD_SECONDS: Final = 5.0
"""The way there takes as long as that at most while connections are still to be made: such requests count from their
answer, if it comes sooner."""
USUAL_COMPLETION: Final = 500
"""Completion tokens reserved where the question names no limit and no longer answer was seen."""
LIKELY: Final = 0.25
"""Tokens of a byte of English (OpenAI's rule of thumb: four characters a token)."""
LOOK_SECONDS: Final = 0.5
"""How often somebody who waits for tokens looks whether other processes used fewer than they reserved."""


class Ticket(NamedTuple):
    """A request that is counted."""

    id: str
    at: float
    hit: list[float]
    size: int
    """Of its prompt: bytes, images apart."""
    shared: bool
    cold: bool
    """Nothing had been answered yet when it was sent."""


class Gate:
    """The door of one route.

    Args:
        name: Provider, model and a digest of the key.
        book: Opens what is shared between processes; None where nothing is.
        window: Seconds that the limits are about.
        margin: Seconds that a request counts beyond them.
    """

    def __init__(
        self, name: str, book: Callable[[], PaceBook | None], *, window: float = WINDOW_SECONDS,
        margin: float = MARGIN_SECONDS,
    ) -> None:  # fmt: skip
        self.turn = asyncio.Lock()
        """Who holds it looks at the log next: one at a time, in the order of their coming."""
        self._name, self._book, self._span = name, book, window + margin
        self._log = sliding.Log(self._span)
        self._set: dict[str | None, tuple[int | None, int | None, float]] = {}
        self._density = 1.0
        self._longest = USUAL_COMPLETION
        self._freed = asyncio.Event()
        self._cold = True

    def set(self, run: str | None, rpm: int | None, tpm: int | None) -> None:
        """Set a run's limits; they hold for all who ask here, and one window longer than the run asks.

        Two runs at once keep to the lower of their limits.
        """
        self._set[run] = rpm, tpm, time.monotonic() + self._span

    def limits(self) -> tuple[int | None, int | None] | None:
        """Return the limits that hold now; None: none do."""
        now = time.monotonic()
        for run in [run for run, (_, _, until) in self._set.items() if until < now]:
            del self._set[run]
        if not self._set:
            return None
        rpms = [rpm for rpm, _, _ in self._set.values() if rpm is not None]
        tpms = [tpm for _, tpm, _ in self._set.values() if tpm is not None]
        return min(rpms, default=None), min(tpms, default=None)

    def admit(self, request: Request, target: Target) -> Ticket | float:
        """Count a request that is sent now, or return how many seconds it has to wait.

        Raises:
            InvalidRequestError: If it alone is larger than `tpm`: it would wait for ever.
        """
        routing = request.routing
        if routing.rpm is not None or routing.tpm is not None:
            self.set(request.run, routing.rpm, routing.tpm)  # anew: it may have waited for its turn for many windows
        held = self.limits()
        if held is None:
            return self._counted(0, 0)
        rpm, tpm = held
        size, tokens = 0, 0
        if tpm is not None:
            size, tokens = self._need(request, target, tpm)
        return self._admitted(size, tokens, rpm, tpm)

    def _need(self, request: Request, target: Target, tpm: int) -> tuple[int, int]:
        """The prompt's size, and the tokens to reserve: a byte is at most one, and less once answers say how much."""
        limit = request.options.max_tokens or target.capabilities.default_max_tokens or self._longest
        size = most_prompt_tokens(request)
        if size * LIKELY + limit > tpm:
            raise InvalidRequestError(
                f"{target.provider} {target.model}: this question needs about {int(size * LIKELY):,} tokens for its "
                f"prompt and up to {limit:,} for its answer, more than tpm={tpm:,}; it would wait for ever. Lower "
                "max_tokens, shorten the prompt, or raise tpm. Nothing was sent.",
                provider=target.provider, details={"parameter": "tpm", "not_sent": True},
            )  # fmt: skip
        return size, min(tpm, int(size * self._density) + limit)

    def _admitted(self, size: int, tokens: int, rpm: int | None, tpm: int | None) -> Ticket | float:
        ticket, book = secrets.token_hex(8), self._book()
        now = time.time()
        if book is not None:
            try:
                inside = book.admit(self._name, ticket, now, tokens, rpm=rpm, tpm=tpm, window=self._span)
            except InternalError as fault:
                self._alone(fault)
            else:
                if inside is not None:
                    wait = sliding.wait(inside, now, tokens=tokens, rpm=rpm, tpm=tpm, window=self._span)
                    return max(wait, 0.001)
                return Ticket(ticket, now, self._log.add(time.monotonic(), tokens), size, shared=True, cold=self._cold)
        wait = self._log.wait(time.monotonic(), tokens=tokens, rpm=rpm, tpm=tpm)
        return wait or self._counted(size, tokens)

    def _counted(self, size: int, tokens: int) -> Ticket:
        return Ticket("", 0.0, self._log.add(time.monotonic(), tokens), size, shared=False, cold=self._cold)

    def _alone(self, fault: InternalError) -> None:
        self._book = lambda: None
        warnings.warn(
            f"{fault.message} rpm and tpm are kept within this process only from now on; other processes with the same "
            "key come on top.",
            stacklevel=2,
        )

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until tokens were given back."""
        self._freed.clear()
        held = self.limits()
        by_tokens = held is not None and held[1] is not None
        try:
            async with asyncio.timeout(min(seconds, LOOK_SECONDS) if by_tokens else seconds):
                await self._freed.wait()
        except TimeoutError:
            return

    def correct(self, ticket: Ticket, reply: Reply) -> None:
        """Count the tokens that an answer says were used, and learn how many a prompt of its size has."""
        prompt, used = reply.usage.prompt_tokens, reply.usage.total_tokens
        if reply.usage.completion_tokens is not None:
            self._longest = max(self._longest, reply.usage.completion_tokens)
        if prompt is not None and ticket.size:
            # Rises at once and falls slowly: what is reserved must not be too little for the next prompt.
            dense = min(1.0, 1.1 * prompt / ticket.size)
            self._density = max(dense, self._density * 0.8)
        later = min(COLD_SECONDS, time.monotonic() - ticket.hit[0]) if ticket.cold else 0.0
        self._cold = False
        tokens = int(ticket.hit[1]) if used is None or not ticket.hit[1] else used
        if not later and tokens == ticket.hit[1]:
            return
        self._log.correct(ticket.hit, tokens=tokens, later=later)
        book = self._book() if ticket.shared else None
        if book is not None:
            try:
                book.correct(self._name, ticket.id, ticket.at, tokens=tokens, arrived=ticket.at + later)
            except InternalError as fault:
                self._alone(fault)
        self._freed.set()
