"""The two seams of the house, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from prsm_lab.errors import PRSMError
    from prsm_lab.types import Delta, Inference, Model, Query, Record, Reply, Report, Request, Run, Target


@runtime_checkable
class Engine(Protocol):
    """What every door asks and every house answers, embedded or remote."""

    async def create(self, request: Request) -> Inference:
        """Answer one question, or raise one `PRSMError`."""
        ...

    def stream(self, request: Request) -> AsyncGenerator[Delta | Inference, None]:
        """Answer in pieces, then exactly one `Inference`. Closing the iterator stops paying."""
        ...

    async def check(self, request: Request) -> None:
        """Raise what is wrong with a question before any is asked: unknown model or provider, unfit fallback."""
        ...

    async def recall(
        self, requests: Sequence[Request], scope: str, keys: Sequence[bytes] | None = None
    ) -> list[Inference | None]:
        """Return for each question the answer that runs of this scope already paid for, or None.

        `keys`: what `begin` said of these questions.
        """
        ...

    async def bulk(
        self, requests: Sequence[Request], deliver: Callable[[int, Inference | PRSMError], None], *,
        deadline: float | None, concurrency: int = 16,
    ) -> None:  # fmt: skip
        """Ask many questions through the providers' batches, and hand each outcome over by its position.

        `deadline`: seconds after which what a batch has not answered is asked in real time; None: whenever it is done.
        `InvalidRequestError` before anything is sent, where a provider has no batches or the engine cannot reach them.
        """
        ...

    async def refuse(self, request: Request, error: PRSMError) -> None:
        """Write down a question that was refused before it could be asked."""
        ...

    async def begin(self, run: Run, requests: Sequence[Request]) -> Sequence[bytes] | None:
        """Write down what a run is going to ask, so that `replay` can lay it out again.

        Returns the fingerprint of each question where this engine has it, so that `recall` need not make it again.
        """
        ...

    async def runs(self) -> list[Run]:
        """List past runs, newest first."""
        ...

    async def replay(self, run: str) -> tuple[Run, list[Record | None]]:
        """Return a run by id or name with the state of each of its questions, in order."""
        ...

    async def get(self, id: str, *, person: str | None = None) -> Record:
        """Return what is known of one inference; `NotFoundError` if nothing is, or it is not this person's."""
        ...

    async def receipts(self, ids: Sequence[str], *, person: str | None = None) -> list[Record]:
        """Return what is known of many inferences, with attempts and price; unknown ones are left out."""
        ...

    async def history(self, limit: int, *, person: str | None = None) -> list[Record]:
        """List the latest inferences, newest first."""
        ...

    async def worst_case(self, request: Request) -> float | None:
        """Return the most that a question can cost in USD; None where a price or a limit of its length is unknown."""
        ...

    async def usage(self, query: Query) -> Report:
        """Sum up what was asked, what it cost and how fast it was."""
        ...

    async def models(self) -> tuple[Model, ...]:
        """Return the catalogue."""
        ...

    async def model(self, name: str) -> Model:
        """Return one model by name or alias; `NotFoundError` names the nearest."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Provider(Protocol):
    """A window to models.

    `send` yields deltas when `live`, then exactly one `Reply`; it raises nothing but `PRSMError` (and lets
    cancellation pass). A reply means success was proved: a terminal marker and a finish reason were seen.
    Closing the iterator closes the connection.
    """

    name: str
    origin: str
    """Where the models really are, e.g. the base URL; part of every fingerprint."""

    async def ready(self) -> None:
        """Load what is slow to load (an SDK, weights), so that it does not count as the model's latency."""
        ...

    def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]: ...

    async def aclose(self) -> None: ...
