"""What the desks give back: live streams and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import Delta, Inference

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    import pandas as pd

    from prsm_lab.errors import PRSMError


class BatchItem:
    """One result of `inference.batch`: an `inference`, or an `error`; the other is None."""

    def __init__(self, id: str | None, inference: Inference | None, error: PRSMError | None) -> None:
        self.id = id
        self.inference = inference
        self.error = error

    @property
    def content(self) -> str | None:
        """The answer's text; None if the request failed."""
        return None if self.inference is None else self.inference.content

    def __repr__(self) -> str:
        return repr(self.inference) if self.error is None else f"<failed {self.error.code}: {self.error.message}>"


class Batch(list[BatchItem]):
    """The results of `inference.batch`, in the order of its requests."""

    def to_frame(self) -> pd.DataFrame:
        """Return one row per request with the result columns of `prsm_lab.batch`."""
        from prsm_lab.columns import results

        return results([item.inference if item.error is None else item.error for item in self])


class Stream:
    """A live answer: iterate over its pieces, then ask for the whole.

    A context manager; leaving it, closing it, or an interrupt stops the provider at once.
    """

    def __init__(self, items: AsyncGenerator[Delta | Inference, None]) -> None:
        self._pieces = portal.Pieces(items)
        self._result: Inference | None = None

    def __iter__(self) -> Iterator[Delta]:
        return self

    def __next__(self) -> Delta:
        item = next(self._pieces)
        if isinstance(item, Inference):
            self._result = item
            return next(self)
        return item

    def result(self) -> Inference:
        """Read to the end and return the whole answer with its usage and cost."""
        for _ in self:
            pass
        if self._result is None:
            raise InvalidRequestError("The stream was closed before its end, so there is no whole answer.")
        return self._result

    def close(self) -> None:
        """Stop the provider and close its connection."""
        self._pieces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream:
    """The same for `async for` and `async with`."""

    def __init__(self, items: AsyncGenerator[Delta | Inference, None]) -> None:
        self._pieces = portal.AsyncPieces(items)
        self._result: Inference | None = None

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        item = await anext(self._pieces)
        if isinstance(item, Inference):
            self._result = item
            return await anext(self)
        return item

    async def result(self) -> Inference:
        """Read to the end and return the whole answer with its usage and cost."""
        async for _ in self:
            pass
        if self._result is None:
            raise InvalidRequestError("The stream was closed before its end, so there is no whole answer.")
        return self._result

    async def aclose(self) -> None:
        """Stop the provider and close its connection."""
        await self._pieces.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
