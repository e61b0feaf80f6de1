"""Window to OpenAI's batches: a file goes up, a batch is made of it, one or two files come back."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from prsm_lab.errors import ProviderError, PRSMError, RateLimitError
from prsm_lab.providers import chat, faults, responses
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
from prsm_lab.providers.batches import fault_of as line_fault
from prsm_lab.providers.openai import OpenAI
from prsm_lab.providers.reading import Lenient, nested, read, word

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from prsm_lab.providers.window import Call
    from prsm_lab.types import JSON

MARK: Final = "prsm_bulk"
"""Key of a batch's metadata that holds our own id of it."""
WINDOW: Final = "24h"
"""The only completion window that there is."""
_MISSED: Final = {"batch_expired": "expired", "batch_cancelled": "canceled"}


class _Named(Lenient):
    id: str


class _Batch(Lenient):
    id: str
    status: str
    created_at: float = 0.0
    output_file_id: str | None = None
    error_file_id: str | None = None
    metadata: dict[str, Any] | None = None
    errors: Any = None
    request_counts: Any = None


class _Page(Lenient):
    data: list[_Batch]
    has_more: bool = False


class _Response(Lenient):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Row(Lenient):
    custom_id: str
    response: _Response | None = None
    error: Any = None


class _Kind(Lenient):
    object: str | None = None


_named, _batch, _page = msgspec.json.Decoder(_Named), msgspec.json.Decoder(_Batch), msgspec.json.Decoder(_Page)
_row = msgspec.json.Decoder(_Row)
_kind = msgspec.json.Decoder(_Kind)


class OpenAIBatches(BatchWindow, OpenAI):
    """OpenAI's batches through its SDK: at most 50,000 requests and 200 MB, one model and endpoint a batch."""

    limits: ClassVar[Limits] = Limits(50_000, 190_000_000)
    never: ClassVar[frozenset[str]] = frozenset({"stream", "stream_options", "service_tier", "background"})

    def _line(self, call: Call, custom_id: str, body: bytes) -> Line:
        url = f"/v1{call.path}"
        head = msgspec.json.encode({"custom_id": custom_id, "method": "POST", "url": url})
        return Line(custom_id, url, b'%b,"body":%b}\n' % (head[:-1], body), call.dropped)

    async def submit(self, mark: str, variant: str, lines: Sequence[bytes]) -> str:
        """Upload the lines, and make a batch of them that carries our mark."""
        file = ("file", (f"{mark}.jsonl", b"".join(lines), "application/jsonl"))
        headers = {"Content-Type": "multipart/form-data"}
        sent = await self._ask("post", "/files", headers=headers, body={"purpose": "batch"}, files=[file])
        made = {
            "input_file_id": read(_named, sent, provider=self.name).id, "endpoint": variant,
            "completion_window": WINDOW, "metadata": {MARK: mark},
        }  # fmt: skip
        return read(_named, await self._ask("post", "/batches", body=made), provider=self.name).id

    async def find(
        self, mark: str, ids: Collection[str], since: float, known: Collection[str]  # noqa: ARG002 -- the mark tells
    ) -> Found:  # fmt: skip
        """Look for our mark in the metadata of the batches since then."""
        after = ""
        for _ in range(MOST_PAGES):
            page = read(_page, await self._ask("get", f"/batches?limit={PAGE}{after}"), provider=self.name)
            for batch in page.data:
                if (batch.metadata or {}).get(MARK) == mark:
                    return Found(batch.id)
            if not page.has_more or not page.data or page.data[-1].created_at < since - CLOCKS_APART:
                break
            after = f"&after={page.data[-1].id}"
        return Found(None)

    async def status(self, remote_id: str) -> Standing:
        """Return how a batch stands."""
        return standing(await self._read_batch(remote_id), provider=self.name)

    async def _read_batch(self, remote_id: str) -> _Batch:
        return read(_batch, await self._ask("get", f"/batches/{remote_id}"), provider=self.name)

    async def results(self, remote_id: str) -> AsyncGenerator[Result, None]:
        """Yield the lines of the output file, then of the error file; either may be missing."""
        batch = await self._read_batch(remote_id)
        for file in (batch.output_file_id, batch.error_file_id):
            if file is None:
                continue
            async with aclosing(self._lines(f"/files/{file}/content")) as lines:
                async for line in lines:
                    if (result := from_line(line, provider=self.name)) is not None:
                        yield result

    async def cancel(self, remote_id: str) -> None:
        """Ask for a batch's end."""
        await self._ask("post", f"/batches/{remote_id}/cancel")


def standing(batch: _Batch, *, provider: str) -> Standing:
    """Read a batch's state; one that is not known is taken to be still going."""
    detail: JSON = {"status": batch.status, "counts": batch.request_counts}
    if batch.status == "failed":
        return Standing("refused", detail, _refusal(batch.errors, provider))
    if batch.status in ("completed", "expired", "cancelled"):
        return Standing("ended", detail)
    return Standing("cancelling" if batch.status == "cancelling" else "going", detail)


def _refusal(errors: Any, provider: str) -> PRSMError:
    """Why a file was not taken: the first of its errors."""
    listed = nested(errors, "data")
    first = listed[0] if isinstance(listed, list) and listed else {"message": "it does not say why"}
    if "limit" in (word(nested(first, "code")) or ""):
        return RateLimitError(
            f"{provider} did not take the batch: {faults.redacted(str(nested(first, 'message')))} Its tokens count "
            "against a limit of waiting ones; run the same call again when other batches have ended. Nothing was paid.",
            provider=provider, details={"kind": "batch_refused"},
        )  # fmt: skip
    line = nested(first, "line")
    where = f" (line {line})" if isinstance(line, int) else ""
    fault = faults.from_object(provider, {"type": "invalid_request_error", **first})
    fault.message = f"{provider} did not take the batch{where}: {fault.message} Nothing of it was paid."
    return fault


def from_line(line: bytes, *, provider: str) -> Result | None:
    """Read one line of either file; None where it cannot be said whose it is.

    >>> from_line(b'{"custom_id": "a", "error": {"code": "batch_expired"}}', provider="openai").missed
    'expired'
    """
    try:
        row = _row.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # a row that nothing came back for is an error of its own
    if row.response is None or not row.response.status_code:
        missed: Any = _MISSED.get(word(nested(row.error, "code")) or "")
        fault = None if missed else faults.from_object(provider, row.error or {})
        return Result(row.custom_id, fault=fault, missed=missed)
    raw = bytes(row.response.body)
    if row.response.status_code != 200:
        body = msgspec.json.decode(raw)
        return Result(row.custom_id, fault=line_fault(provider, row.response.status_code, body))
    try:
        kind = read(_kind, raw, provider=provider).object
        reader = responses.from_wire if kind == "response" else chat.from_wire
        return Result(row.custom_id, reply=reader(raw, provider=provider))
    except PRSMError as fault:
        fault.provider = provider
        if isinstance(fault, ProviderError):
            fault.max_retries = 0
        return Result(row.custom_id, fault=fault.with_traceback(None))
