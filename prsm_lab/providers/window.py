"""What the windows to OpenAI's and Anthropic's SDKs share: send, read capped, fold streams, translate faults.

The SDKs give the client: authentication, pools, their transports. Their models are left out (50 µs each): the
public low-level `client.post(path, cast_to=httpx2.Response, …)` returns the raw reply, which is decoded by typed
structs. Both SDKs come from one generator and name their exceptions alike, so one table serves both.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

import msgspec

from prsm_lab.errors import InvalidRequestError, NotFoundError, ProviderError, PRSMError
from prsm_lab.providers import faults, ratelimits, road, sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping

    from prsm_lab.settings import Access
    from prsm_lab.types import JSON, Delta, Quota, Reply, Request, Target

CONNECT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 60.0
"""Between two reads of a stream: the first token included."""
WHOLE_SECONDS: Final = 600.0
"""For the first byte of an answer that comes whole: it is sent when all of it is written, which may take minutes.
The caller's total deadline is held by `engine.attempts`."""
DRAIN_SECONDS: Final = 0.05
"""For the end of a stream's body after its last event: read to its end, the connection serves again."""
LIMITS_SECONDS: Final = 0.05
"""How often a model's rate-limit headers are read: what is sent meanwhile can be counted."""
LISTING_SECONDS: Final = 15.0
"""For the list of models, which somebody waits for who is trying out a key."""
DONE: Final = b"[DONE]"
"""The closing line of a chat stream; what follows is not waited for."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of a decoded body: more is no answer, and a compressed bomb can be made of little."""


class Fold(Protocol):
    """A stream on one wire."""

    def feed(self, event: sse.Event) -> list[Delta]:
        """Take one event; return what of it is new to the reader, or raise what it says went wrong."""
        ...

    def partial(self) -> Reply:
        """What there is so far; its finish reason is None."""
        ...

    def end(self) -> Reply:
        """Return the whole answer, or raise if its end was not seen."""
        ...


class Call(NamedTuple):
    """One request, ready for the wire, with how its answer is read."""

    path: str
    body: JSON
    headers: dict[str, str]
    dropped: tuple[str, ...]
    whole: Callable[..., Reply]
    fold: Callable[[str], Fold]


class Window:
    """Base of the SDK windows; a subclass makes the client and chooses the wire.

    Args:
        access: Where and with which key.
        pool: Most connections; also what is kept alive.
    """

    needs_key = True
    listing: ClassVar[str] = "/models"
    """Where the list of models is, below the base URL."""

    def __init__(self, access: Access, *, pool: int = 256) -> None:
        self.name = access.provider
        self.origin = access.origin or access.base_url
        self._access = access
        self._limits_read: dict[str, float] = {}
        self._pool = pool
        self._loaded = False
        self._loading = asyncio.Lock()
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def account(self) -> str:
        """A digest of place and key: who asks there with it shares its limits. The key cannot be had from it."""
        key = self._access.key
        said = f"{self._access.base_url} {key.reveal() if key else ''}"
        return hashlib.blake2b(said.encode(), digest_size=12, person=b"prsm_lab pace").hexdigest()

    async def ready(self) -> None:
        """Import the SDK, off the loop: it takes half a second, and streams must not stand still meanwhile.

        Raises:
            AuthenticationError: If there is no key to ask with; nobody waits for an SDK then.
        """
        self._check_key()
        if not self._loaded:
            async with self._loading:
                if not self._loaded:
                    await asyncio.to_thread(self._load)
                    self._loaded = True

    def _load(self) -> None:
        _network_faults()
        self._sdk_faults()

    def _make_client(self) -> Any:
        raise NotImplementedError("a window makes its SDK's client")  # pragma: no cover

    def _call(self, request: Request, target: Target, *, live: bool) -> Call:
        raise NotImplementedError("a window chooses its wire")  # pragma: no cover

    async def send(self, request: Request, target: Target, *, live: bool) -> AsyncGenerator[Delta | Reply, None]:
        """Ask, and yield deltas when live, then the reply; raise nothing but `PRSMError`.

        A fault is raised outside the handler that caught it: an SDK's exception holds the request with its key,
        and must not hang on ours as context.
        """
        call = self._call(request, target, live=live)
        content = self._encoded(call)
        client = self._connected()
        response: Any = None
        fold = call.fold(self.name) if live else None
        reply: Reply | None = None
        fault: PRSMError | None = None
        try:
            response = await self._post(client, call, content, live=live)
            if fold is None:
                reply = call.whole(await self._read(response), provider=self.name)
            else:
                async with aclosing(self._deltas(response, call, fold)) as deltas:
                    async for delta in deltas:
                        yield delta
                reply = fold.end()
        except PRSMError as known:
            fault = known
        except (*_network_faults(), *self._sdk_faults()) as foreign:
            reply = _proved(fold)
            fault = self._translated(foreign, fold, response) if reply is None else None
        finally:
            if response is not None:
                await response.aclose()
        if fault is not None:
            fault.provider = fault.provider or self.name
            if fold is not None and fault.partial is None and response is not None:
                fault.partial = fold.partial()
            raise fault.with_traceback(None)  # frames below hold what the provider sent, which may echo the key
        assert reply is not None
        limits = self._limits(target.model, response)
        if call.dropped or limits:
            reply = msgspec.structs.replace(reply, dropped=call.dropped, limits=limits)
        yield reply

    def _limits(self, model: str, response: Any) -> tuple[Quota, ...]:
        """What the answer's headers say of the provider's limits; most answers are not looked at."""
        now = time.monotonic()
        if response is None or now - self._limits_read.get(model, 0.0) < LIMITS_SECONDS:
            return ()
        self._limits_read[model] = now
        return ratelimits.read(response.headers, now=time.time())

    async def models(self) -> tuple[str, ...]:
        """See `offered`."""
        return tuple(str(model["id"]) for model in await self.offered())

    async def offered(self) -> list[JSON]:
        """Ask which models there are, for nothing; raise `PRSMError` if address or key are wrong."""
        client = self._connected()
        response: Any = None
        fault: PRSMError | None = None
        body = b""
        try:
            async with asyncio.timeout(LISTING_SECONDS):
                response = await self._get(client)
                body = await self._read(response)
        except PRSMError as known:
            fault = known
        except TimeoutError:
            fault = faults.timed_out(self.name, "list of models")
        except (*_network_faults(), *self._sdk_faults()) as foreign:
            fault = self._translated(foreign, None, response)
        finally:
            if response is not None:
                await response.aclose()
        if isinstance(fault, NotFoundError):
            fault = NotFoundError(
                f"{self.name} has no list of models at {self._access.base_url}{self.listing}. Check the base URL: most "
                "servers want /v1 at its end.",
                provider=self.name, details={"parameter": "base_url"},
            )  # fmt: skip
        if fault is not None:
            fault.provider = fault.provider or self.name
            raise fault.with_traceback(None)
        return self._listed(body)

    async def _get(self, client: Any) -> Any:
        import httpx2

        return await client.get(
            f"{str(client.base_url).rstrip('/')}{self.listing}",
            cast_to=httpx2.Response,
            options={"timeout": httpx2.Timeout(LISTING_SECONDS, connect=CONNECT_SECONDS)},
            stream=True,
        )

    def _listed(self, body: bytes) -> list[JSON]:
        """Read `{"data": [{"id": …}, …]}`, or the bare list that some servers send."""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
            document = msgspec.json.decode(body)
            found = document["data"] if isinstance(document, dict) else document
            return [{**model, "id": model["id"]} for model in found]
        raise faults.malformed(self.name, "with no list of models", hint="Check base_url.")

    def _encoded(self, call: Call) -> bytes:
        """The body as it is sent; what no JSON can carry would fail at every provider."""
        try:
            return msgspec.json.encode(call.body)
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as problem:
            what = "a lone surrogate" if isinstance(problem, UnicodeEncodeError) else str(problem)
        raise InvalidRequestError(
            f"The messages or options cannot be written as JSON ({what}). Nothing was sent.",
            provider=self.name, details={"parameter": "messages"},
        )  # fmt: skip

    def _check_key(self) -> None:
        road.check(self._access, needs_key=self.needs_key)

    def _connected(self) -> Any:
        """The SDK's client, one per loop: connections of a closed loop are dead."""
        self._check_key()
        here = asyncio.get_running_loop()
        if self._client is None or self._loop is not here:
            self._client, self._loop = self._make_client(), here
        return self._client

    async def _post(self, client: Any, call: Call, content: bytes, *, live: bool) -> Any:
        import httpx2

        return await client.post(
            f"{str(client.base_url).rstrip('/')}{call.path}",  # whole: merging a path is a tenth of the SDK's time
            cast_to=httpx2.Response,
            content=content,
            options={
                "headers": {"Content-Type": "application/json", **call.headers},
                "timeout": httpx2.Timeout(IDLE_SECONDS if live else WHOLE_SECONDS, connect=CONNECT_SECONDS),
            },
            stream=True,  # bodies of any kind are read here, capped
        )

    async def _chunks(self, response: Any) -> AsyncGenerator[bytes, None]:
        size = 0
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > MOST_BYTES:
                    raise self._too_large()
                yield chunk

    async def _read(self, response: Any) -> bytes:
        if _is_bounded(response.headers):
            return bytes(await response.aread())
        async with aclosing(self._chunks(response)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _deltas(self, response: Any, call: Call, fold: Fold) -> AsyncGenerator[Delta, None]:
        splitter, begun = sse.Splitter(), False
        async with aclosing(self._chunks(response)) as chunks:
            async for chunk in chunks:
                if not begun and (start := chunk.lstrip()[:1]):
                    begun = True
                    if start in b"{[<":
                        raise self._no_stream(b"".join([chunk, *[rest async for rest in chunks]]), call)
                for event in splitter.feed(chunk):
                    for delta in fold.feed(event):
                        yield delta
                    if event.data.strip() == DONE:
                        await _drained(chunks)
                        return
        for event in splitter.close():
            for delta in fold.feed(event):
                yield delta

    def _no_stream(self, body: bytes, call: Call) -> PRSMError:
        """A page or a JSON document where a stream should be: it may say what is wrong."""
        try:
            call.whole(body, provider=self.name)
        except PRSMError as said:
            return said
        return faults.malformed(self.name, "with one document where a stream was asked for")

    def _too_large(self) -> ProviderError:
        return faults.malformed(self.name, f"its body is larger than {MOST_BYTES // 2**20} MB")

    def _sdk_faults(self) -> tuple[type[Exception], ...]:
        raise NotImplementedError("a window names its SDK's base exception")  # pragma: no cover

    def _translated(self, foreign: BaseException, fold: Fold | None, response: Any) -> PRSMError:
        """One table from everybody's exceptions to our tree."""
        partial = fold.partial() if fold is not None and response is not None else None
        status, reply = getattr(foreign, "status_code", None), getattr(foreign, "response", None)
        if isinstance(status, int) and reply is not None:
            return faults.from_status(self.name, status, reply.headers, getattr(foreign, "body", None), partial=partial)
        names = {cls.__name__ for link in _causes(foreign) for cls in type(link).__mro__}
        if "DecodingError" in names:
            return faults.malformed(self.name, "its body cannot be decoded", partial=partial)
        if names & {"InvalidURL", "InvalidUrlClientError", "UnsupportedProtocol", "OverflowError"}:
            return InvalidRequestError(
                f"base_url {self._access.base_url!r} of provider {self.name!r} is no address that can be asked.",
                provider=self.name, details={"parameter": "base_url"},
            )  # fmt: skip
        # The aiohttp transport calls every lost connection a time-out; the cause below it tells them apart.
        if "TimeoutError" in names or ("TimeoutException" in names and "ClientError" not in names):
            begun = partial is not None and (partial.text or partial.reasoning or partial.tool_calls)
            waited = "between tokens" if begun else "first token"
            connecting = names & {"ConnectionTimeoutError", "ClientConnectorError"}
            return faults.timed_out(self.name, "connect" if connecting else waited, partial=partial)
        return faults.connection(self.name, foreign, origin=self._access.base_url, partial=partial)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.close()
        self._client = None


def _proved(fold: Fold | None) -> Reply | None:
    """The whole answer, if it was whole before the connection broke: its finish had been seen."""
    try:
        return None if fold is None else fold.end()
    except PRSMError:
        return None


async def _drained(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end of the body, which usually is here already; a server that keeps it open is not waited for."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass
    except _network_faults():  # a time-out is an OSError
        return


def _is_bounded(headers: Mapping[str, str]) -> bool:
    """Does the body end where its headers say, and may it be so long? Then its pieces need not be counted."""
    length = headers.get("Content-Length", "")
    is_plain = "Content-Encoding" not in headers and "Transfer-Encoding" not in headers
    return is_plain and length.isdecimal() and int(length) <= MOST_BYTES


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from; not its context, which may belong to the caller."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _network_faults() -> tuple[type[BaseException], ...]:
    """What transports raise past the SDKs."""
    import aiohttp
    import httpx2

    return (
        httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, aiohttp.ClientError,
        OSError, UnicodeError, OverflowError,
    )  # fmt: skip


def ambient_headers_off(variable: str, key: str, omit: type) -> dict[str, Any]:
    """Take the headers off again that an SDK adds from an environment variable, whatever the host.

    They were meant for the provider itself (an organisation, a gateway's token); another server must not see them.

    Args:
        variable: `OPENAI_CUSTOM_HEADERS` or `ANTHROPIC_CUSTOM_HEADERS`, one `name: value` a line.
        key: The key that this server does get, in case one of them is the authorization.
        omit: The SDK's word for no header.
    """
    lines = os.environ.get(variable, "").split("\n")
    names = [name.strip() for name, colon, _ in (line.partition(":") for line in lines) if colon]
    off: dict[str, Any] = {name: omit() for name in names if name.lower() != "authorization"}
    return {**off, "Authorization": f"Bearer {key}"} if names else {}
