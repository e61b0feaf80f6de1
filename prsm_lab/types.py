"""Frozen values that every room speaks: what is asked, what comes back, what it cost.

Messages, tools and schemas stay plain JSON (OpenAI's shape): they are data that we carry, not behaviour.
Everything else is a `msgspec.Struct`: built in a fraction of a microsecond, encoded without a model.
Unknown is always None, never 0.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

JSON: TypeAlias = dict[str, Any]
"""A JSON object as `json.loads` gives it."""

Message: TypeAlias = dict[str, Any]
"""One chat message in OpenAI's shape: `role`, `content` (text or parts), `tool_calls`, `tool_call_id`."""

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all values: immutable, compared by content, named fields only."""


# ---------------------------------------------------------------------------------------- what is asked


class Options(Value, frozen=True, kw_only=True):
    """What shapes the answer itself, in neutral names; shared by all requests of one call."""

    max_tokens: int | None = None
    """Upper limit of completion tokens, reasoning included."""
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: JSON | None = None
    tools: tuple[JSON, ...] = ()
    """Function tools in OpenAI's nested shape: `{"type": "function", "function": {...}}`."""
    tool_choice: str | JSON | None = None
    """`auto`, `none`, `required`, or `{"type": "function", "function": {"name": …}}`."""
    parallel_tool_calls: bool | None = None
    schema: JSON | None = None
    """JSON schema that the answer must fit (the provider's structured mode)."""
    schema_name: str | None = None
    user: str | None = None
    """Opaque id of the end user, for the providers that take one."""
    extra: JSON | None = None
    """Passed to the provider as is, merged last; a key that a neutral option also sets is refused.
    `extra["effort"]` is the neutral reasoning effort and is translated."""


class Strategy(Value, frozen=True, kw_only=True):
    """One fallback step: who, with which model, within how many seconds."""

    provider: str | None = None
    model: str | None = None
    timeout: float | None = None


class Routing(Value, frozen=True, kw_only=True):
    """Who may answer, and in which order they are tried."""

    provider: str | None = None
    """Ask here, whatever the model's name suggests."""
    primary: str | None = None
    """The client's preferred provider: asked first where it offers the very model."""
    fallback: tuple[Strategy, ...] = ()
    retry_attempts: int | None = None
    """Retries at one target after its first attempt; None: the client's `max_retries`."""
    backoff_multiplier: float = 2.0
    mid_stream: Literal["stop", "restart"] = "stop"
    """After the first piece was shown: end with the error, or announce a restart and go on elsewhere."""
    cost_optimization: bool = False
    latency_optimization: bool = False
    max_cost: float | None = None
    """Targets whose worst case for this request is dearer, in USD, are left out."""
    quality_threshold: float | None = None
    """Under optimisation: only models whose quality prior is at least this, 0 to 1."""
    on_unsupported: Literal["refuse", "drop"] = "refuse"
    """An option that the model does not take is an error, or is left out and listed in `dropped`."""


class CachePolicy(Value, frozen=True, kw_only=True):
    """May an earlier answer to the same question serve?"""

    enabled: bool = True
    ttl: float | None = None
    """Seconds for which an answer is fresh; None: for ever."""
    key_strategy: Literal["exact", "normalized", "semantic_similarity"] = "exact"
    similarity_threshold: float = 0.95


class Request(Value, frozen=True, kw_only=True):
    """One question, whole: built once at a door, never changed."""

    model: str
    messages: tuple[Message, ...]
    options: Options = Options()
    routing: Routing = Routing()
    cache: CachePolicy | None = None
    timeout: float | None = None
    """Total deadline in seconds: all attempts, waits and fallbacks together."""
    sample: int = 0
    """Distinguishes repeated asks of one question; part of the fingerprint."""
    run: str | None = None
    """Id of the run that asks, if one does."""


# ------------------------------------------------------------------------------------ who is to answer


class Capabilities(Value, frozen=True, kw_only=True):
    """What one model takes and gives; dated data of `catalog`, never guessed from a name's prefix."""

    wire: Literal["chat", "responses", "messages", "text"] = "chat"
    """OpenAI Chat Completions, OpenAI Responses, Anthropic Messages, or plain text generation."""
    reasoning: Literal["none", "optional", "default", "always"] = "none"
    """Does not reason · only if asked · unless effort is `none` · cannot be turned off."""
    sampling: Literal["yes", "without_reasoning", "no"] = "yes"
    """Are temperature, top_p, penalties and logprobs accepted?"""
    max_temperature: float = 2.0
    stop: bool = True
    seed: bool = True
    tools: bool = True
    forced_tools: bool = True
    """Does `tool_choice` `required` or a named tool work?"""
    schema: bool = True
    images: bool = True
    prefill: bool = True
    """May the last message be the assistant's?"""
    api_version: str | None = None
    """Anthropic: the older API version that still takes sampling parameters, where one is needed."""
    context: int | None = None
    """Tokens of prompt and completion together."""
    max_output: int | None = None
    default_max_tokens: int | None = None
    """Sent where the provider requires a limit and the caller gave none."""


class Target(Value, frozen=True, kw_only=True):
    """One place to knock at: a model at a provider, as the wire names it."""

    provider: str
    model: str
    """The id that is sent."""
    name: str
    """The catalogue's name: what users, prices and the ledger call it."""
    capabilities: Capabilities = Capabilities()
    timeout: float | None = None
    """Seconds for this target alone, from `fallback_config`."""
    origin: str = ""
    """Where the provider really is (`https://api.openai.com/v1`); answers of different origins never mix."""


# -------------------------------------------------------------------------------------- what comes back


class ToolCall(Value, frozen=True, kw_only=True):
    id: str
    name: str
    arguments: str
    """JSON text of an object, `{}` where the model gave none."""


class Usage(Value, frozen=True, kw_only=True):
    """Tokens as the provider counted them; None where it did not say."""

    prompt_tokens: int | None = None
    """All input, cached and written tokens included."""
    completion_tokens: int | None = None
    """All output, reasoning included."""
    cached_tokens: int | None = None
    """Input read from the provider's prompt cache."""
    cache_write_tokens: int | None = None
    """Input written to the provider's prompt cache, all lifetimes together."""
    cache_write_1h_tokens: int | None = None
    """The part of `cache_write_tokens` kept for an hour (Anthropic bills it higher)."""
    reasoning_tokens: int | None = None
    tier: str | None = None
    """Service tier that was used (`flex`, `priority`, `batch` …)."""
    charged: float | None = None
    """USD that the provider itself says it charged (OpenRouter); preferred to any price table."""

    @property
    def total_tokens(self) -> int | None:
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


class Delta(Value, frozen=True, kw_only=True):
    """One piece of a live answer."""

    text: str = ""
    reasoning: str = ""
    call_index: int | None = None
    """Which tool call `call_id`, `call_name` and `arguments` belong to, counted from 0."""
    call_id: str | None = None
    call_name: str | None = None
    arguments: str = ""
    restart: str | None = None
    """Set on the announcement of a mid-stream restart: all text so far is void, this target goes on."""

    @property
    def content(self) -> str:
        """The piece of answer text (the seed's name)."""
        return self.text


class Reply(Value, frozen=True, kw_only=True):
    """A provider's whole answer, or what there was of it when it broke (then `finish_reason` is None)."""

    text: str | None = None
    finish_reason: FinishReason | None = None
    usage: Usage = Usage()
    served_model: str | None = None
    """The model's name in the answer."""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    provider_id: str | None = None
    """The provider's id of the answer or request."""
    dropped: tuple[str, ...] = ()
    """Options that were left out because the model does not take them (only if the caller allowed it)."""
    raw_finish: str | None = None
    """The provider's own word for the end, where it is not one of ours."""
    repaired: bool = False
    """Lone surrogates or invalid bytes in the text were replaced."""


class Attempt(Value, frozen=True, kw_only=True):
    """One knock at one target."""

    provider: str
    model: str
    started: float
    """Unix time, seconds."""
    latency_ms: float | None = None
    error_code: str | None = None
    error: str | None = None
    retry_after: float | None = None
    maybe_billed: bool = False
    """The request was sent and its answer lost: the provider may charge for it."""


class Cost(Value, frozen=True, kw_only=True):
    """What was paid, in USD; None where the price or the usage is unknown."""

    amount: float | None = None
    """Really paid: 0 on a cache hit."""
    provider_cost: float | None = None
    """What the requested model would have cost at list price on the requested provider."""
    savings: float | None = None
    """`provider_cost - amount`."""
    currency: str = "USD"


class Inference(Value, frozen=True, kw_only=True):
    """A finished question with its answer: what `create` returns and the ledger keeps."""

    id: str
    requested_model: str
    model: str
    """The model that answered (differs from `requested_model` after a fallback or an optimisation)."""
    provider: str
    content: str | None = None
    finish_reason: FinishReason | None = None
    usage: Usage = Usage()
    cost: Cost = Cost()
    created: float = 0.0
    """Unix time at which the question was asked, seconds."""
    completed: float = 0.0
    latency_ms: float | None = None
    """The provider's time of the answering attempt; waits and failed attempts are in `queued_ms`."""
    ttft_ms: float | None = None
    """Time to the first token of the answering attempt; only live answers have one."""
    queued_ms: float | None = None
    attempts: tuple[Attempt, ...] = ()
    cached: bool = False
    served_model: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    dropped: tuple[str, ...] = ()
    sample: int = 0

    @property
    def choices(self) -> list[JSON]:
        """The seed's `choices`: one, with the assistant's message."""
        message: JSON = {"role": "assistant", "content": self.content}
        if self.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.tool_calls
            ]
        return [{"index": 0, "message": message, "finish_reason": self.finish_reason}]

    def to_dict(self) -> JSON:
        """Return the response body of the seed's `POST /inference`, to the letter."""
        return {
            "id": self.id,
            "object": "inference",
            "created": int(self.created),
            "model": self.model,
            "provider": self.provider,
            "choices": self.choices,
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
                "total_tokens": self.usage.total_tokens,
            },
            "cost": {
                "amount": self.cost.amount,
                "currency": self.cost.currency,
                "provider_cost": self.cost.provider_cost,
                "savings": self.cost.savings,
            },
        }

    def __repr__(self) -> str:
        text = (self.content or "").replace("\n", " ")
        text = text if len(text) <= 60 else text[:59] + "…"
        paid = "unpriced" if self.cost.amount is None else f"${self.cost.amount:.6f}"
        return f"<Inference {self.id} {self.model} {paid} {text!r}>"

    def _repr_markdown_(self) -> str:
        """Show the answer as an inert code block: model output is never rendered as markup."""
        text = self.content or ""
        fence = "`" * max(3, 1 + max((len(run) for run in _backtick_runs(text)), default=0))
        paid = "cost unknown" if self.cost.amount is None else f"${self.cost.amount:.6f}"
        took = "" if self.latency_ms is None else f" · {self.latency_ms:,.0f} ms"
        return f"**{self.model}** · {self.provider} · {paid}{took}\n\n{fence}text\n{text}\n{fence}"


def _backtick_runs(text: str) -> list[str]:
    import re

    return re.findall(r"`+", text)


class Record(Value, frozen=True, kw_only=True):
    """What is known of one inference: the seed's `GET /inference/{id}`."""

    id: str
    status: Literal["running", "completed", "failed", "unknown"]
    """`unknown`: it was sent, and the process that sent it is gone."""
    model: str
    provider: str | None
    created: float
    completed: float | None = None
    latency_ms: float | None = None
    inference: Inference | None = None
    error: JSON | None = None

    def to_dict(self) -> JSON:
        """Return the seed's JSON of an inference's state."""
        body: JSON = {
            "id": self.id,
            "status": self.status,
            "model": self.model,
            "provider": self.provider,
            "created": int(self.created),
            "completed": None if self.completed is None else int(self.completed),
            "latency_ms": self.latency_ms,
        }
        if self.inference is not None:
            body["result"] = {
                "content": self.inference.content,
                "tokens": self.inference.usage.total_tokens,
                "cost": self.inference.cost.amount,
            }
        if self.error is not None:
            body["error"] = self.error
        return body


# --------------------------------------------------------------------------------- runs, usage, catalogue


class Run(Value, frozen=True, kw_only=True):
    """A batch or comparison: what was asked, when, how far it came."""

    id: str
    name: str | None = None
    kind: str = "batch"
    created: float = 0.0
    spec: JSON = {}
    """Models, prompts, options, columns: enough to lay out the frame again."""
    data: bytes | None = None
    """The input frame as the frames room packed it; None in listings."""
    questions: int = 0
    answered: int = 0
    failed: int = 0
    cost: float | None = None


class Query(Value, frozen=True, kw_only=True):
    """Which inferences a usage report covers."""

    since: float | None = None
    """Unix time, seconds; inclusive."""
    until: float | None = None
    """Unix time, seconds; exclusive."""
    model: str | None = None
    provider: str | None = None
    group_by: tuple[Literal["model", "provider", "day"], ...] = ()


class Report(Value, frozen=True, kw_only=True):
    """Usage over a time span; None where nothing is known."""

    total_requests: int = 0
    total_tokens: int | None = None
    total_cost: float | None = None
    """USD, over the requests whose price is known."""
    unpriced_requests: int = 0
    """Answered requests whose cost is unknown: `total_cost` leaves them out."""
    avg_latency_ms: float | None = None
    p50_latency_ms: float | None = None
    p95_latency_ms: float | None = None
    p99_latency_ms: float | None = None
    success_rate: float | None = None
    """Answered over all finished requests, 0 to 1."""
    cached_requests: int = 0
    groups: tuple[JSON, ...] = ()
    """One object per group of `Query.group_by`, with the same fields."""

    @property
    def avg_latency(self) -> float | None:
        """The seed's metric name for `avg_latency_ms`."""
        return self.avg_latency_ms

    @property
    def p95_latency(self) -> float | None:
        """The seed's metric name for `p95_latency_ms`."""
        return self.p95_latency_ms


class PriceLine(Value, frozen=True, kw_only=True):
    """List price of a model at a provider, USD per million tokens, at one date."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    """5-minute writes at Anthropic."""
    cache_write_1h: float | None = None
    steps: tuple[tuple[int, JSON], ...] = ()
    """`(above this many prompt tokens, the prices that then hold for the whole request)`."""
    source: str = ""
    date: str = ""


class Model(Value, frozen=True, kw_only=True):
    """One row of the catalogue."""

    name: str
    provider: str
    id: str
    """What is sent on the wire."""
    aliases: tuple[str, ...] = ()
    capabilities: Capabilities = Capabilities()
    price: PriceLine | None = None
    quality: float | None = None
    """Prior in 0 to 1; None: not known."""
    quality_source: str | None = None
    retired: str | None = None
    """ISO date on which the provider shut it (past) or will (future)."""
    successor: str | None = None
    source: str | None = None
    """Where these facts were read, with the date."""
