"""What the windows to the providers' batches share: lines, limits, standings, results, and talking to the routes.

A batch is sent off whole, answered within a day at half price, and fetched as lines in any order; a line is joined to
its question by its custom id. These windows know nothing of time or of the ledger: `engine.bulk` does.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.providers import faults
from prsm_lab.providers.window import CONNECT_SECONDS, WHOLE_SECONDS, Window, _network_faults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from prsm_lab.protocols import Provider
    from prsm_lab.providers.window import Call
    from prsm_lab.types import JSON, Reply, Request, Target

LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes of one result: more is no answer."""
CLOCKS_APART: Final = 300.0
"""Seconds by which the provider's clock may differ from ours, where batches are looked for by their time."""
PAGE: Final = 100
MOST_PAGES: Final = 20


class Limits(NamedTuple):
    """How large one batch may be."""

    requests: int
    bytes: int


class Line(NamedTuple):
    """One question as it stands in a batch."""

    custom_id: str
    variant: str
    """What all lines of a batch must share beside the model: the endpoint, or the version of the API."""
    raw: bytes
    dropped: tuple[str, ...]


class Standing(NamedTuple):
    """What the provider says of a batch."""

    state: Literal["going", "cancelling", "ended", "refused"]
    detail: JSON
    """Its own words, for the ledger."""
    refusal: PRSMError | None = None
    """Why its whole file was not taken; nothing of it is paid."""


class Result(NamedTuple):
    """What came of one line: a reply, a fault, or nothing at all, which is not paid."""

    custom_id: str
    reply: Reply | None = None
    fault: PRSMError | None = None
    missed: Literal["expired", "canceled"] | None = None


class Found(NamedTuple):
    """What a search for a batch came to whose submission was never confirmed."""

    remote_id: str | None
    undecided: bool = False
    """It may be there: look again."""


class BatchWindow(Window):
    """Base of the two windows to batches; made of the window to the same provider's live answers."""

    limits: ClassVar[Limits]
    never: ClassVar[frozenset[str]]
    """Fields of a body that mean nothing in a batch."""

    def line(self, request: Request, target: Target, custom_id: str) -> Line:
        """Write a question as a line.

        Raises:
            InvalidRequestError: If the model, or a batch, does not take an option.
        """
        call = self._call(request, target, live=False)
        unfit = sorted(self.never & call.body.keys())
        if unfit:
            raise InvalidRequestError(
                f"A batch of {self.name} does not take {', '.join(unfit)}: it has a price and a pace of its own. Leave "
                "it out of extra=, or ask with mode='realtime'.",
                provider=self.name, details={"kind": "unsupported_parameter", "parameter": unfit[0], "not_sent": True},
            )  # fmt: skip
        return self._line(call, custom_id, self._encoded(call))

    def _line(self, call: Call, custom_id: str, body: bytes) -> Line:
        raise NotImplementedError("a window to batches writes its lines")  # pragma: no cover

    async def submit(self, mark: str, variant: str, lines: Sequence[bytes]) -> str:
        """Send a batch off, and return the provider's id of it.

        Args:
            mark: Our own id of it, by which `find` knows it again where the provider keeps such a thing.
            variant: `Line.variant` of all its lines.
            lines: `Line.raw` of each.

        Raises:
            PRSMError: What the provider, or the way there, objected. After a lost reply it may be there all the same.
        """
        raise NotImplementedError("a window to batches submits them")  # pragma: no cover

    async def find(self, mark: str, ids: Collection[str], since: float, known: Collection[str]) -> Found:
        """Look for a batch whose submission was never confirmed.

        Args:
            mark: As it was submitted.
            ids: Its lines' custom ids.
            since: Unix time at which it was submitted.
            known: The provider's ids of batches that are others.
        """
        raise NotImplementedError("a window to batches finds them")  # pragma: no cover

    async def status(self, remote_id: str) -> Standing:
        """Return how a batch stands.

        Raises:
            NotFoundError: If the provider does not know it any more.
        """
        raise NotImplementedError("a window to batches asks after them")  # pragma: no cover

    def results(self, remote_id: str) -> AsyncGenerator[Result, None]:
        """Yield what came of the lines of a batch that has ended, in any order; lines may lack."""
        raise NotImplementedError("a window to batches reads their results")  # pragma: no cover

    async def cancel(self, remote_id: str) -> None:
        """Ask for a batch's end; lines that are being answered may still be, and `status` says when it has settled."""
        raise NotImplementedError("a window to batches cancels them")  # pragma: no cover

    # --------------------------------------------------------------------------------------------- over the wire

    async def _ask(
        self, method: Literal["get", "post"], path: str, *, headers: Mapping[str, str] | None = None, **sent: Any
    ) -> bytes:
        """Ask one of the routes; the answer's body, read whole."""
        chunks, size = [], 0
        async with aclosing(self._streamed(method, path, headers or {}, **sent)) as stream:
            async for chunk in stream:
                chunks.append(chunk)
                size += len(chunk)
                if size > LONGEST_LINE:
                    raise self._too_large()
        return b"".join(chunks)

    async def _lines(self, path: str) -> AsyncGenerator[bytes, None]:
        """Read a file of JSON lines, as it comes; blank lines are left out."""
        held = b""
        async with aclosing(self._streamed("get", path, {})) as stream:
            async for chunk in stream:
                *whole, held = (held + chunk).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield line
                if len(held) > LONGEST_LINE:
                    raise self._too_large()
        if held.strip():
            yield held

    async def _streamed(
        self, method: Literal["get", "post"], path: str, headers: Mapping[str, str], **sent: Any
    ) -> AsyncGenerator[bytes, None]:
        """The body of an answer, chunk by chunk; raises nothing but `PRSMError`, without the SDK's as its context."""
        import httpx2

        client = self._connected()
        ask = client.get if method == "get" else client.post
        timeout = httpx2.Timeout(WHOLE_SECONDS, connect=CONNECT_SECONDS)
        response: Any = None
        fault: PRSMError | None = None
        try:
            response = await ask(
                f"{str(client.base_url).rstrip('/')}{path}", cast_to=httpx2.Response, stream=True,
                options={"timeout": timeout, "headers": dict(headers)}, **sent,
            )  # fmt: skip
            async with aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    yield chunk
        except PRSMError as known:
            fault = known
        except (*_network_faults(), *self._sdk_faults()) as foreign:
            fault = self._translated(foreign, None, response)
        finally:
            if response is not None:
                await response.aclose()
        if fault is not None:
            fault.provider = fault.provider or self.name
            raise fault.with_traceback(None)


def connect(window: Provider) -> BatchWindow | None:
    """Return the window to a provider's batches; None where it has none.

    Args:
        window: The one to its live answers. A window of one's own may bring its batches as an attribute `batches`.
    """
    from prsm_lab.providers.anthropic import Anthropic
    from prsm_lab.providers.openai import OpenAI

    if type(window) is OpenAI:  # its heirs speak to servers that have none
        from prsm_lab.providers.openai_batches import OpenAIBatches

        return OpenAIBatches(window._access, pool=POOL)  # noqa: SLF001 -- the same door, another room behind it
    if type(window) is Anthropic:
        from prsm_lab.providers.anthropic_batches import AnthropicBatches

        return AnthropicBatches(window._access, pool=POOL)  # noqa: SLF001 -- as above
    own = getattr(window, "batches", None)
    return own if isinstance(own, BatchWindow) else None


POOL: Final = 8
"""Connections: a pool apart from the live one, so that no question waits behind an upload."""


def fault_of(provider: str, status: int, body: Any) -> PRSMError:
    """Read a failed line into our tree."""
    fault = faults.from_status(provider, status, {}, body)
    fault.provider = provider
    return fault
