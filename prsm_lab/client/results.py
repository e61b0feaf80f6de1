"""What the desks give back: live streams and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from prsm_lab import render
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import Delta, Inference, shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    import pandas as pd

    from prsm_lab.errors import PRSMError


SHOWN = 20
"""Items of a batch that a cell shows."""


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
        if self.error is None:
            return repr(self.inference)
        return shown.line("failed", f"{self.error.code}:", self.error.message)


class Batch(list[BatchItem]):
    """The results of `inference.batch`, in the order of its requests."""

    def to_frame(self) -> pd.DataFrame:
        """Return one row per request with the result columns of `prsm_lab.batch`."""
        from prsm_lab.columns import results

        return results([item.inference if item.error is None else item.error for item in self])

    def __repr__(self) -> str:
        failed = sum(item.error is not None for item in self)
        return f"<Batch of {len(self):,}, {failed:,} failed>"

    def _repr_html_(self) -> str:
        """Show what it cost and its first answers, one a row."""
        answers = [item.inference for item in self if item.inference is not None]
        known = [answer.cost.amount for answer in answers if answer.cost.amount is not None]
        failed = len(self) - len(answers)
        head = shown.head(shown.counted(len(self), "request"), (
            f"{failed:,} failed" if failed else None,
            shown.paid(sum(known) if known else None, len(answers) - len(known)) if answers else None,
            "simulated" if any((one.served_model or "").startswith("simulated/") for one in answers) else None,
        ))  # fmt: skip
        rows = [_row(n, item) for n, item in enumerate(self[:SHOWN])]
        headings = ("id", "model", "answer, or what went wrong", "cost", "latency")
        more = f'<p style="{shown.SOFT}">The first {SHOWN} of {len(self):,}.</p>' if len(self) > SHOWN else ""
        return head + shown.table(headings, rows, figures=2) + more


def _row(n: int, item: BatchItem) -> tuple[object, ...]:
    id_ = render.line(n if item.id is None else item.id, longest=40)
    if item.error is not None:
        return id_, None, f"[{item.error.code}] {render.plain(item.error.message, longest=300)}", None, None
    answer = item.inference
    assert answer is not None
    return (
        id_, answer.model, render.plain(answer.content or "", longest=300), shown.paid(answer.cost.amount),
        shown.took(answer.latency_ms),
    )  # fmt: skip


def _state(result: Inference | None, *, closed: bool) -> str:
    """A stream in a line."""
    if result is None:
        return f"<Stream {'closed before its end' if closed else 'open'}>"
    return shown.quoted("Stream", "ended:", result.model, shown.paid(result.cost.amount), text=result.content)


class Stream:
    """A live answer: iterate over its pieces, then ask for the whole.

    A context manager; leaving it, closing it, or an interrupt stops the provider at once.
    """

    def __init__(self, items: AsyncGenerator[Delta | Inference, None]) -> None:
        self._pieces = portal.Pieces(items)
        self._result: Inference | None = None
        self._closed = False

    def __repr__(self) -> str:
        return _state(self._result, closed=self._closed)

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
        self._closed = True
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
        self._closed = False

    def __repr__(self) -> str:
        return _state(self._result, closed=self._closed)

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
        self._closed = True
        await self._pieces.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
