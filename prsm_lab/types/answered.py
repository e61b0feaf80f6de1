"""What comes back: pieces, replies, attempts, costs, and the finished inference."""

from __future__ import annotations

import re

from prsm_lab import render
from prsm_lab.types import shown
from prsm_lab.types.base import JSON, FinishReason, Value


class ToolCall(Value, frozen=True, kw_only=True):
    id: str
    name: str
    arguments: str
    """JSON text of an object, `{}` where the model gave none."""


class Usage(Value, frozen=True, kw_only=True, gc=False):
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
    """USD that the provider itself says it charged (OpenRouter), or what a machine paid by the hour took; preferred to
    any price table."""
    estimated: bool | None = None
    """True where nobody counted the tokens: they are estimated from the text."""

    @property
    def total_tokens(self) -> int | None:
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


class Delta(Value, frozen=True, kw_only=True, gc=False):
    """One piece of a live answer."""

    text: str = ""
    reasoning: str = ""
    call_index: int | None = None
    """Which tool call `call_id`, `call_name` and `arguments` belong to, counted from 0."""
    call_id: str | None = None
    call_name: str | None = None
    arguments: str = ""
    logprobs: tuple[JSON, ...] = ()
    """Log probabilities of the tokens of this piece, in OpenAI's shape, where they were asked for."""
    restart: str | None = None
    """Set on the announcement of a mid-stream restart: all text so far is void, this target goes on."""

    @property
    def content(self) -> str:
        """The piece of answer text (the seed's name)."""
        return self.text


class Quota(Value, frozen=True, kw_only=True, gc=False):
    """One of a provider's limits, as it stood when it answered."""

    kind: str
    """`requests`, `tokens`, `input_tokens` or `output_tokens`."""
    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None
    """Seconds from the answer until it is whole again."""


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
    logprobs: JSON | None = None
    """Log probabilities of the tokens in OpenAI's shape, where they were asked for and the provider gives them."""
    repaired: bool = False
    """Lone surrogates or invalid bytes in the text were replaced."""
    limits: tuple[Quota, ...] = ()
    """What the provider said of its limits beside this answer; empty: nothing, or it was not looked at."""
    took_ms: float | None = None
    """How long the provider took, where a worker in another process asked and measured it."""


class Attempt(Value, frozen=True, kw_only=True, gc=False):
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
    ttft_ms: float | None = None
    """Time to the first piece, where it was asked for live."""
    member: int | None = None
    """Which of the provider's keys and endpoints was asked, from 0; None: it has one."""


class Cost(Value, frozen=True, kw_only=True, gc=False):
    """What was paid, in USD; None where the price or the usage is unknown."""

    amount: float | None = None
    """Really paid: 0 on a cache hit."""
    provider_cost: float | None = None
    """What the requested model would have cost at list price on the requested provider."""
    savings: float | None = None
    """`provider_cost - amount`."""
    currency: str = "USD"


class Similar(Value, frozen=True, kw_only=True):
    """What a hit by meaning matched."""

    id: str
    """The inference whose answer was served."""
    prompt: str
    """Its last turn's text."""
    similarity: float
    """Cosine of the two texts' vectors."""
    embedder: str


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
    logprobs: JSON | None = None
    sample: int = 0
    similar: Similar | None = None
    """What was asked instead, where a cache served by meaning."""
    structured: str | None = None
    """How an answer that fits a schema was asked for: `schema` (the provider's structured mode), `tool`, `prompt`."""

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
        return shown.quoted("Inference", self.id, self.model, shown.paid(self.cost.amount), text=self.content)

    def _repr_html_(self) -> str:
        """Show the answer as sanitised Markdown under a line of its figures; unknown is said, never a nought."""
        asked = self.requested_model.removeprefix(f"{self.provider}/")
        ends = {"length": "cut off at its longest", "content_filter": "stopped by the provider's filter"}
        line = shown.head(self.model, (
            self.provider, None if asked == self.model else f"asked for {asked}", shown.paid(self.cost.amount),
            shown.took(self.latency_ms), shown.counted(self.usage.completion_tokens, "token"),
            f"{len(self.attempts)} attempts" if len(self.attempts) > 1 else None,
            _cached(self), ends.get(self.finish_reason or ""),
            "simulated" if (self.served_model or "").startswith("simulated/") else None,
        ))  # fmt: skip
        thought = (
            f'<details style="{shown.SOFT}"><summary>reasoning</summary><div style="white-space:pre-wrap">'
            f"{render.escaped(self.reasoning)}</div></details>"
        )
        called = (f"{call.name}({call.arguments})" for call in self.tool_calls)
        calls = "".join(f"<pre><code>{render.escaped(text)}</code></pre>" for text in called)
        said = render.markdown(self.content) if self.content else ""
        nothing = "" if said or calls else f'<p style="{shown.SOFT}">no text</p>'
        return line + (thought if self.reasoning else "") + said + calls + nothing

    def _repr_markdown_(self) -> str:
        """Show the answer as an inert code block: model output is never rendered as markup."""
        text = render.plain(self.content or "")
        fence = "`" * max(3, 1 + max((len(run) for run in _backtick_runs(text)), default=0))
        parts = (_inert(self.provider), shown.paid(self.cost.amount), shown.took(self.latency_ms))
        figures = " · ".join(part for part in parts if part)
        return f"**{_inert(self.model)}** · {figures}\n\n{fence}text\n{text}\n{fence}"


def _cached(inference: Inference) -> str | None:
    near = inference.similar
    if near is None:
        return "from the cache" if inference.cached else None
    return f"from the cache, asked as “{near.prompt:.80}” ({near.similarity:.2f} alike)"


def _backtick_runs(text: str) -> list[str]:
    return re.findall(r"`+", text)


def _inert(name: str) -> str:
    """A name that Markdown takes for nothing else."""
    return re.sub(r"([^\w\s./:·-])", r"\\\1", render.line(name))
