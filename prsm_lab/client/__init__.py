"""The seed's SDK: `Client`, `AsyncClient`, and what hangs under them.

This is the only place that chooses an engine: embedded in this process, or a share server over HTTP. Both
clients are thin doors to one async implementation; nothing here knows a provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from prsm_lab import ask
from prsm_lab.client import compose, reach, registry
from prsm_lab.client.desks import AsyncInferences, AsyncModels, Inferences, Models
from prsm_lab.client.keys import AsyncKeys, Keys
from prsm_lab.client.results import AsyncStream, Batch, BatchItem, Stream
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.settings import sealed, sealed_address, settings, share_server
from prsm_lab.types import Request, Routing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from prsm_lab.engine.budget import Budgets
    from prsm_lab.protocols import Engine, Provider
    from prsm_lab.types import Allowance
    from prsm_lab.types.spent import Period

    Given = Provider | Mapping[str, Any] | Sequence[Mapping[str, Any]] | Callable[..., Any]

__all__ = ["AsyncClient", "AsyncStream", "Batch", "BatchItem", "Client", "Stream", "default_client", "use"]


class _Base:
    """What both clients are: an engine and its defaults.

    Args:
        api_key: Key of a share server.
        base_url: Address of a share server; else `PRSM_API_URL`; neither: the engine is in this process.
        proxy_token: Token for a proxy in front of that server (Jupyter's, JupyterHub's); else `PRSM_PROXY_TOKEN`.
        ledger: File of the ledger, `":memory:"`, or `postgresql://user:password@host/database` (extra `server`);
            default `PRSM_LEDGER`, then the platform's data folder.
        mock_mode: Answer without any provider, from `mock_responses` (see `providers.mock`).
        timeout: Total deadline of one question in seconds: attempts, waits and fallbacks together.
        max_retries: Retries at one target; fallbacks come after them.
        providers: `{name: {"api_key": …, "base_url": …}}` for OpenAI-compatible servers and other keys; a list of
            these, each with a `weight`, for several keys or endpoints that are asked as one provider;
            `{name: function}` for a Python callable, `{name: provider}` for an own window. OpenAI, Anthropic
            and Hugging Face are always there, with the keys of the environment.

    Raises:
        AuthenticationError: If a key that is given cannot be one (line break, blanks); nothing is sent.
        InvalidRequestError: If a URL is none.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        proxy_token: str | None = None,
        ledger: str | Path | None = None,
        mock_mode: bool = False,
        mock_responses: compose.MockResponses | None = None,
        timeout: float = 60.0,
        max_retries: int = 2,
        providers: Mapping[str, Provider | Mapping[str, Any] | Sequence[Mapping[str, Any]] | Callable[..., Any]]
        | None = None,
    ) -> None:
        key, token = sealed(api_key), sealed(proxy_token)
        place = sealed_address(ledger)
        del api_key, proxy_token, ledger  # a verbose traceback from here on shows no key and no password
        providers = {name: compose.sealed_options(given) for name, given in (providers or {}).items()}
        self.timeout = timeout
        self.preferences = Routing()
        if base_url is None and share_server() is None:
            providers = {**registry.given(), **providers}
        given = compose.options(providers)
        chosen = settings(api_key=key, base_url=base_url, proxy_token=token, ledger=place, providers=given)
        chosen = compose.pooled(chosen, providers)
        mocked = (mock_responses or {}) if mock_mode or mock_responses is not None else None
        self.engine: Engine = compose.engine(chosen, providers, mocked=mocked, max_retries=max_retries)
        self.outfit = compose.outfit(chosen, providers, mocked=mocked)
        self.reach = reach.of(self.engine, chosen, providers, mocked=mocked is not None)

    def question(self, model: str, **options: Any) -> Request:
        """Build a `Request` without messages from the options of `create`, with this client's defaults."""
        return ask.question(model, defaults=self.preferences, deadline=self.timeout, **options)

    def __repr__(self) -> str:
        engine = type(getattr(self, "engine", None)).__name__.lower()  # a traceback may show a half-made client
        return f"<{type(self).__name__} {engine}>"


class Client(_Base):
    """Ask models from sync code: scripts, threads and notebook cells alike.

    >>> with Client(mock_mode=True, ledger=":memory:") as client:
    ...     answer = client.inference.create("gpt-4", "hi", max_tokens=20)
    >>> answer.model, answer.cost.currency
    ('gpt-4', 'USD')
    """

    __doc__ = (__doc__ or "") + (_Base.__doc__ or "").partition("\n")[2]

    @property
    def inference(self) -> Inferences:
        """Create, stream, batch, get; preferences, analytics and performance."""
        return Inferences(self)

    @property
    def models(self) -> Models:
        """The catalogue."""
        return Models(self)

    @property
    def keys(self) -> Keys:
        """The keys of a share server."""
        return Keys(self)

    def budget(self, usd: float | None = None, *, per: Period = "day") -> Allowance | None:
        """Set what may be spent, or tell how the budget stands.

        Every process that uses this ledger keeps to it, whoever set it: each question's worst case (its prompt, and
        `max_tokens` at list price) is held before it is sent, and settled on what it used.

        Args:
            usd: US dollars; infinite: no budget any more; None: change nothing.
            per: `hour`, `day`, `week`, `month` (calendar ones, UTC), `ever`; or `session`: this process only.

        Returns:
            How the budget stands; None if there is none.

        Raises:
            InvalidRequestError: If it is no sum, or the client is a share server's, whose owner sets its budget.

        >>> client = Client(mock_mode=True, ledger=":memory:")
        >>> client.budget(2.5, per="day")
        <Allowance $2.50 a day: $0.00 spent>
        """
        return portal.call(_budget(self, usd, per))

    def close(self) -> None:
        """Close connections and ledger."""
        portal.call(self.engine.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Base):
    """Ask models from async code, on whatever loop it runs.

    >>> import asyncio
    >>> async def main():
    ...     async with AsyncClient(mock_mode=True, ledger=":memory:") as client:
    ...         return (await client.inference.create("gpt-4", "hello")).model
    >>> asyncio.run(main())
    'gpt-4'
    """

    __doc__ = (__doc__ or "") + (_Base.__doc__ or "").partition("\n")[2]

    @property
    def inference(self) -> AsyncInferences:
        """Create, stream, batch, get; preferences, analytics and performance."""
        return AsyncInferences(self)

    @property
    def models(self) -> AsyncModels:
        """The catalogue."""
        return AsyncModels(self)

    @property
    def keys(self) -> AsyncKeys:
        """The keys of a share server."""
        return AsyncKeys(self)

    async def budget(self, usd: float | None = None, *, per: Period = "day") -> Allowance | None:
        """Set what may be spent, or tell how the budget stands; see `Client.budget`."""
        return await portal.arun(_budget(self, usd, per))

    async def aclose(self) -> None:
        """Close connections and ledger."""
        await portal.arun(self.engine.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _budget(client: _Base, usd: float | None, per: Period) -> Allowance | None:
    budgets: Budgets | None = getattr(client.engine, "budgets", None)
    if budgets is None:
        raise InvalidRequestError(
            "This client asks a share server: its owner sets the budget there, and the credits of your key.",
            details={"parameter": "budget"},
        )
    return await (budgets.allowance() if usd is None else budgets.allow(usd, per))


_default: Client | None = None


def default_client() -> Client:
    """Return the process-wide client that functions without `client=` use; made at first need."""
    global _default
    if _default is None:
        _default = Client()
    return _default


def use(client: Client) -> Client:
    """Make a client the process-wide default, and return it."""
    global _default
    _default = client
    return client
