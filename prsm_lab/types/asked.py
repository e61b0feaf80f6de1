"""What is asked, and who is to answer."""

from __future__ import annotations

from typing import Final, Literal

from prsm_lab.types.base import JSON, Message, Value


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
    """Under optimisation: only models whose quality is at least this, 0 to 1. A prior as it was published; of a quality
    measured at the task, the lower end of its interval."""
    task: str | None = None
    """What kind of question it is: qualities measured at this task come before published ones."""
    only: tuple[str, ...] | None = None
    """The models that may answer, by the catalogue's names; None: all."""
    on_unsupported: Literal["refuse", "drop"] = "refuse"
    """An option that the model does not take is an error, or is left out and listed in `dropped`."""
    rpm: int | None = None
    """Most requests a minute at each model that is asked, in every sliding minute; None: what the provider allows."""
    tpm: int | None = None
    """Most tokens a minute, prompt and answer together."""


EVERYBODY: Final = "*"
"""In the place of a person: whoever has a key, but not the ledger's owner. No person is called so."""


class CachePolicy(Value, frozen=True, kw_only=True):
    """May an earlier answer to the same question serve?"""

    enabled: bool = True
    ttl: float | None = None
    """Seconds for which an answer is fresh; None: for ever."""
    key_strategy: Literal["exact", "normalized", "semantic_similarity"] = "exact"
    """`semantic_similarity`: the last turn's text may differ in its words where a gate finds the same meaning."""
    similarity_threshold: float | None = None
    """Least cosine; None: what was measured for the embedder."""
    embedder: str = "minilm"
    """As `lab.cache.embedder` names it."""
    namespace: str = ""
    """Only answers of the same namespace are found by meaning."""
    cross_model: bool = False
    """Another model's answer may serve."""
    shadow: bool = False
    """Write down what would have been served by meaning, and serve nothing by it."""
    verify: str | None = None
    """A cheap model that is asked whether two questions mean the same, before a hit by meaning is served."""
    force: bool = False
    """Below the measured threshold, and where answers should be the asked model's own, all the same."""


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
    warm: bool = False
    """Others of its run begin like it: where a provider's prompt cache keeps only what is marked, mark it."""
    run: str | None = None
    """Id of the run that asks, if one does."""
    id: str | None = None
    """The inference's id where the asker must know it beforehand; None: the engine makes one."""
    person: str | None = None
    """Whose key asks a share server: answers of one person never serve another. None: the ledger's owner."""
    shared: bool = False
    """Answers to anybody's key may serve from a cache: the server's owner said so."""
    scope: str | None = None
    """Whose answers a run may reuse as its own: the run's name, `""` for all unnamed runs; None for single
    questions, whose answers only a cache serves again."""

    @property
    def answerer(self) -> str | None:
        """To whom an answer must have been given that a cache may serve; None: to the ledger's owner."""
        return EVERYBODY if self.shared else self.person


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
    peer: bool = False
    """Joined under optimisation; the caller named neither it nor its provider's stand-in."""
    member: int | None = None
    """Which of the provider's keys and endpoints, from 0; None: it has one, or it is not chosen yet."""
    origin: str = ""
    """Where the provider really is (`https://api.openai.com/v1`); answers of different origins never mix."""
