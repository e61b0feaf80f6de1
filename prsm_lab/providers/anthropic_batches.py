"""Window to Anthropic's message batches: requests go up in one body, results come back as lines."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime  # noqa: TC003 -- msgspec reads the annotations when it decodes
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from prsm_lab.errors import PRSMError
from prsm_lab.providers import faults, messages
from prsm_lab.providers.anthropic import Anthropic
from prsm_lab.providers.batches import (
    CLOCKS_APART,
    MOST_PAGES,
    PAGE,
    BatchWindow,
    Found,
    Limits,
    Line,
    Result,
    Standing,
)
from prsm_lab.providers.reading import Lenient, nested, read

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from prsm_lab.providers.window import Call

PATH = "/v1/messages/batches"
_VERSION = "anthropic-version"


class _Batch(Lenient):
    id: str
    processing_status: str
    created_at: datetime
    request_counts: dict[str, int] | None = None


class _Page(Lenient):
    data: list[_Batch]
    has_more: bool = False


class _Outcome(Lenient):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


class _Row(Lenient):
    custom_id: str
    result: _Outcome


_batch, _page = msgspec.json.Decoder(_Batch), msgspec.json.Decoder(_Page)
_row = msgspec.json.Decoder(_Row)


class AnthropicBatches(BatchWindow, Anthropic):
    """Anthropic's message batches through its SDK: at most 100,000 requests or 256 MB, one API version a batch."""

    limits: ClassVar[Limits] = Limits(100_000, 250_000_000)
    never: ClassVar[frozenset[str]] = frozenset({"stream", "service_tier", "speed"})

    def _line(self, call: Call, custom_id: str, body: bytes) -> Line:
        raw = b'{"custom_id":%b,"params":%b}' % (msgspec.json.encode(custom_id), body)
        return Line(custom_id, call.headers.get(_VERSION, ""), raw, call.dropped)

    async def submit(self, mark: str, variant: str, lines: Sequence[bytes]) -> str:  # noqa: ARG002 -- it keeps no marks
        """Send the lines; the version of the API is that of this request."""
        content = b'{"requests":[%b]}' % b",".join(lines)
        headers = {"Content-Type": "application/json", **({_VERSION: variant} if variant else {})}
        made = await self._ask("post", PATH, headers=headers, content=content)
        return read(_batch, made, provider=self.name).id

    async def find(self, mark: str, ids: Collection[str], since: float, known: Collection[str]) -> Found:  # noqa: ARG002
        """Look for a batch of that time and size whose results bear our ids; before its end it does not show them."""
        wanted, after, undecided = frozenset(ids), "", False
        for _ in range(MOST_PAGES):
            page = read(_page, await self._ask("get", f"{PATH}?limit={PAGE}{after}"), provider=self.name)
            for batch in page.data:
                size = sum((batch.request_counts or {}).values())
                recent = batch.created_at.timestamp() >= since - CLOCKS_APART
                if not recent or batch.id in known or size != len(wanted):
                    continue
                if batch.processing_status != "ended":
                    undecided = True
                elif await self._bears(batch.id, wanted):
                    return Found(batch.id)
            if not page.has_more or not page.data or page.data[-1].created_at.timestamp() < since - CLOCKS_APART:
                break
            after = f"&after_id={page.data[-1].id}"
        return Found(None, undecided)

    async def _bears(self, remote_id: str, ids: Collection[str]) -> bool:
        """Is the first result one of these? Ids are drawn at random: one tells for all."""
        async with aclosing(self.results(remote_id)) as results:
            async for result in results:
                return result.custom_id in ids
        return False

    async def status(self, remote_id: str) -> Standing:
        """Return how a batch stands."""
        batch = read(_batch, await self._ask("get", f"{PATH}/{remote_id}"), provider=self.name)
        detail = {"status": batch.processing_status, "counts": batch.request_counts}
        if batch.processing_status == "ended":
            return Standing("ended", detail)
        return Standing("cancelling" if batch.processing_status == "canceling" else "going", detail)

    async def results(self, remote_id: str) -> AsyncGenerator[Result, None]:
        """Yield what came of each line; by the batch's own path, for `results_url` may name another host."""
        async with aclosing(self._lines(f"{PATH}/{remote_id}/results")) as lines:
            async for line in lines:
                if (result := from_line(line, provider=self.name)) is not None:
                    yield result

    async def cancel(self, remote_id: str) -> None:
        """Ask for a batch's end."""
        await self._ask("post", f"{PATH}/{remote_id}/cancel")


def from_line(line: bytes, *, provider: str) -> Result | None:
    """Read one result; None where it cannot be said whose it is.

    >>> from_line(b'{"custom_id": "a", "result": {"type": "canceled"}}', provider="anthropic").missed
    'canceled'
    """
    try:
        row = _row.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # a row that nothing came back for is an error of its own
    if row.result.type in ("expired", "canceled"):
        missed: Any = row.result.type
        return Result(row.custom_id, missed=missed)
    fault: PRSMError
    if row.result.type == "succeeded":
        try:
            return Result(row.custom_id, reply=messages.from_wire(bytes(row.result.message), provider=provider))
        except PRSMError as problem:
            fault = problem.with_traceback(None)
    else:
        said = nested(row.result.error, "error") or row.result.error or {}
        fault = faults.from_object(provider, said)
    fault.provider = provider
    return Result(row.custom_id, fault=fault)
