"""`client.inference` and `client.models`, blocking and to be awaited: doors of one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prsm_lab import ask, catalog, checks
from prsm_lab.client import hosting
from prsm_lab.client.results import AsyncStream, Batch, BatchItem, Stream
from prsm_lab.engine import many, portal, strategies
from prsm_lab.engine.timeframe import groups, span
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.types import Inference, Model, Query, Record, Report, Request, Routing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Protocol, Unpack

    from prsm_lab.client.reach import Reach
    from prsm_lab.protocols import Engine

    class Owner(Protocol):
        """What a desk needs of its client."""

        engine: Engine
        preferences: Routing
        reach: Reach | None

        def question(self, model: str, **options: Any) -> Request: ...


BATCH_CONCURRENCY = 16


class _Desk:
    """What both `.inference` desks share: how arguments become requests and queries."""

    def __init__(self, client: Owner) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<inference of {self._client!r}>"

    def _request(self, model: str, messages: Any, options: Mapping[str, Any]) -> Request:
        return ask.conversation(self._client.question(model, **options), messages)

    def configure_providers(self, preferences: Mapping[str, Any]) -> None:
        """Set who is asked where a request leaves it open.

        Args:
            preferences: `primary`, `fallback` (provider names in order), `cost_optimization`,
                `latency_optimization`, `quality_threshold` (0 to 1), as in the seed.

        >>> from prsm_lab import Client
        >>> client = Client(mock_mode=True, ledger=":memory:")
        >>> client.inference.configure_providers({"primary": "openai", "fallback": ["anthropic"]})
        """
        self._client.preferences = ask.routing(preferences)

    def _may(self, model: Model) -> bool:
        """Has this client the model's provider? A share server says so itself."""
        return model.provider in getattr(self._client.engine, "origins", catalog.BUILT_IN)

    async def _batch(self, requests: Sequence[Mapping[str, Any]], concurrency: int, strategy: str | None) -> Batch:
        if strategy is not None:
            strategies.check(strategy)
        ids: list[str | None] = []
        built: list[tuple[int, Request]] = []
        outcomes: dict[int, Inference | PRSMError] = {}
        for position, fields in enumerate(requests):
            options = dict(fields) if isinstance(fields, Mapping) else {}
            ids.append(options.pop("id", None))
            try:
                if not isinstance(fields, Mapping):
                    raise InvalidRequestError(
                        f"Request {position} of the batch is no object with model and messages, but {fields!r:.80}.",
                        details={"parameter": f"requests[{position}]", "expected_type": "object"},
                    )
                model, messages = options.pop("model", ""), options.pop("messages", None)
                asked = self._request(model, messages, options)
                if strategy is not None:
                    asked = strategies.applied(asked, strategy, options, self._may)
                built.append((position, asked))
            except PRSMError as error:
                outcomes[position] = error
        await many.run(
            self._client.engine,
            [request for _, request in built],
            concurrency=concurrency,
            deliver=lambda n, outcome: outcomes.__setitem__(built[n][0], outcome),
        )
        return Batch(_item(ids[position], outcomes[position]) for position in range(len(requests)))


def _item(id: str | None, outcome: Inference | PRSMError) -> BatchItem:
    if isinstance(outcome, PRSMError):
        return BatchItem(id, None, outcome)
    return BatchItem(id, outcome, None)


def _concurrency(parallel: bool | int) -> int:
    return BATCH_CONCURRENCY if parallel is True else max(1, int(parallel))


def _query(timeframe: str | None, model: str | None, metrics: Sequence[str], group_by: str | Sequence[str]) -> Query:
    known = {*Report.__struct_fields__, "requests", "tokens", "costs", "latency", "avg_latency", "p95_latency"}
    for metric in metrics:
        if metric not in known:
            raise checks.unknown_option(metric, known)
    since, until = span(timeframe)
    return Query(since=since, until=until, model=model, group_by=groups(group_by))


class Inferences(_Desk):
    """`client.inference`: the seed's calls, blocking."""

    def create(self, model: str, messages: Any, **options: Unpack[ask.Ask]) -> Inference:
        """Ask one question and return the whole answer.

        Args:
            model: Name or alias of a model, or `provider/model`.
            messages: Chat messages in OpenAI's shape, or one string.
            **options: See `prsm_lab.ask.Ask`.

        Raises:
            PRSMError: Of the class that says what was wrong (see `prsm_lab.errors`).

        >>> from prsm_lab import Client
        >>> client = Client(mock_mode=True, ledger=":memory:", mock_responses={"gpt-4": {"content": "Hello"}})
        >>> client.inference.create(model="gpt-4", messages=[{"role": "user", "content": "hi"}]).content
        'Hello'
        """
        return portal.call(self._client.engine.create(self._request(model, messages, options)))

    def stream(self, model: str, messages: Any, **options: Unpack[ask.Ask]) -> Stream:
        """Ask one question and return its answer piece by piece; `.result()` has the whole."""
        return Stream(self._client.engine.stream(self._request(model, messages, options)))

    def batch(
        self, requests: Sequence[Mapping[str, Any]], *, parallel: bool | int = True,
        fallback_strategy: str | None = None,
    ) -> Batch:  # fmt: skip
        """Ask many questions; a failed one is an item with `.error` and does not lose the others.

        Args:
            requests: Mappings with `model`, `messages`, options of `create`, and an optional `id`.
            parallel: False: one at a time; a number: so many at a time.
            fallback_strategy: For questions that say nothing of their own: `best_available` (then the comparable models
                of the other providers), `cheapest`, `fastest` (cost or latency optimisation), `none` (no fallbacks).

        Raises:
            InvalidRequestError: If it is no such strategy.

        >>> from prsm_lab import Client
        >>> client = Client(mock_mode=True, ledger=":memory:")
        >>> asked = [{"model": "gpt-4.1", "messages": "hi", "max_tokens": 20, "quality_threshold": 0.8}]
        >>> client.inference.batch(asked, fallback_strategy="cheapest")[0].inference.model
        'gpt-4o-mini'
        """
        return portal.call(self._batch(requests, _concurrency(parallel), fallback_strategy))

    def get(self, inference_id: str) -> Record:
        """Return what is known of an earlier inference."""
        return portal.call(self._client.engine.get(inference_id))

    def analytics(
        self, timeframe: str = "last_30_days", metrics: Sequence[str] = (), group_by: str | Sequence[str] = ()
    ) -> Report:
        """Sum up usage.

        Args:
            timeframe: `last_24_hours`, `last_7_days`, `last_30_days`, `all`, or `ISO/ISO`.
            metrics: Names that must exist; the report always holds all.
            group_by: Some of `model`, `provider`, `key` (who asked, on a share server), `day` (UTC); `.to_frame()` has
                a row per group.

        Raises:
            InvalidRequestError: Naming the parameter and what it may be.

        >>> from prsm_lab import Client
        >>> client = Client(mock_mode=True, ledger=":memory:")
        >>> _ = client.inference.batch([{"model": "gpt-4", "messages": "hi"}, {"model": "gpt-4.1", "messages": "hi"}])
        >>> client.inference.analytics("last_24_hours", group_by="model").to_frame()["model"].tolist()
        ['gpt-4', 'gpt-4.1']
        """
        return portal.call(self._client.engine.usage(_query(timeframe, None, metrics, group_by)))

    def performance(
        self,
        model: str | None = None,
        metrics: Sequence[str] = (),
        timeframe: str = "last_30_days",
        group_by: str | Sequence[str] = (),
    ) -> Report:
        """Sum up success rate and latencies of one model, or of all; arguments as in `analytics`."""
        return portal.call(self._client.engine.usage(_query(timeframe, model, metrics, group_by)))


class AsyncInferences(_Desk):
    """`client.inference`: the seed's calls, to be awaited on any loop."""

    async def create(self, model: str, messages: Any, **options: Unpack[ask.Ask]) -> Inference:
        """Ask one question and return the whole answer; see `Client.inference.create`."""
        return await portal.arun(self._client.engine.create(self._request(model, messages, options)))

    async def stream(self, model: str, messages: Any, **options: Unpack[ask.Ask]) -> AsyncStream:
        """Ask one question and return its answer piece by piece; `await .result()` has the whole."""
        return AsyncStream(self._client.engine.stream(self._request(model, messages, options)))

    async def batch(
        self, requests: Sequence[Mapping[str, Any]], *, parallel: bool | int = True,
        fallback_strategy: str | None = None,
    ) -> Batch:  # fmt: skip
        """Ask many questions; see `Client.inference.batch`."""
        return await portal.arun(self._batch(requests, _concurrency(parallel), fallback_strategy))

    async def get(self, inference_id: str) -> Record:
        """Return what is known of an earlier inference."""
        return await portal.arun(self._client.engine.get(inference_id))

    async def analytics(
        self, timeframe: str = "last_30_days", metrics: Sequence[str] = (), group_by: str | Sequence[str] = ()
    ) -> Report:
        """Sum up usage; see `Client.inference.analytics`."""
        return await portal.arun(self._client.engine.usage(_query(timeframe, None, metrics, group_by)))

    async def performance(
        self,
        model: str | None = None,
        metrics: Sequence[str] = (),
        timeframe: str = "last_30_days",
        group_by: str | Sequence[str] = (),
    ) -> Report:
        """Sum up success rate and latencies of one model, or of all."""
        return await portal.arun(self._client.engine.usage(_query(timeframe, model, metrics, group_by)))


class Models:
    """`client.models`: the catalogue, and models of one's own."""

    def __init__(self, client: Owner) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<models of {self._client!r}>"

    def list(self) -> tuple[Model, ...]:
        """Return every model that is known."""
        return portal.call(self._client.engine.models())

    def get(self, name: str) -> Model:
        """Return one model by name or alias; `NotFoundError` names the nearest."""
        return portal.call(self._client.engine.model(name))

    def upload(self, path: str | Path, name: str | None = None) -> Model:
        """Host a model: on this machine, or on the share server that this client asks (scope `admin`).

        A folder of a Hugging Face causal model (safetensors; packed here, files that it does not need are left out), a
        zip or tar of one, or a GGUF file. It is checked, runs in a process without keys and network, is loaded by its
        first question, and unloaded when nobody asks. An upload that broke off goes on where it ended.

        Args:
            path: The folder or file.
            name: What it is called; default its own name. It is asked as `local/<name>`.

        Raises:
            InvalidRequestError: Saying what of it is not to be trusted: pickles, code, unknown settings, links.
            ConflictError: If another model has the name.
            AuthenticationError: If this client's key may not.

        >>> from prsm_lab import Client
        >>> Client(mock_mode=True, ledger=":memory:").models.upload("nowhere")
        Traceback (most recent call last):
        prsm_lab.errors.NotFoundError: Nothing is at 'nowhere'.
        """
        return portal.call(hosting.upload(self._client.engine, path, name))

    def register(self, name: str, base_url: str, **options: Any) -> tuple[Model, ...]:
        """Ask a server that speaks Chat Completions from now on, as `name/model`; return its models.

        Args:
            name: What it is called.
            base_url: Its address.
            **options: `api_key`, `preset` (see `lab.connect`), `insecure`.
        """
        return portal.call(hosting.register(self._client.engine, self._client.reach, name, base_url, **options))

    def delete(self, name: str) -> None:
        """Delete a model that was uploaded, or forget a server that was registered.

        Raises:
            NotFoundError: If there is none.
        """
        portal.call(hosting.delete(self._client.engine, self._client.reach, name))


class AsyncModels:
    """`client.models`, to be awaited."""

    def __init__(self, client: Owner) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<models of {self._client!r}>"

    async def list(self) -> tuple[Model, ...]:
        """Return every model that is known."""
        return await portal.arun(self._client.engine.models())

    async def get(self, name: str) -> Model:
        """Return one model by name or alias; `NotFoundError` names the nearest."""
        return await portal.arun(self._client.engine.model(name))

    async def upload(self, path: str | Path, name: str | None = None) -> Model:
        """Host a model; see `Client.models.upload`."""
        return await portal.arun(hosting.upload(self._client.engine, path, name))

    async def register(self, name: str, base_url: str, **options: Any) -> tuple[Model, ...]:
        """Ask a server from now on; see `Client.models.register`."""
        return await portal.arun(hosting.register(self._client.engine, self._client.reach, name, base_url, **options))

    async def delete(self, name: str) -> None:
        """Delete a model that was uploaded, or forget a server that was registered."""
        await portal.arun(hosting.delete(self._client.engine, self._client.reach, name))
