"""What is remembered and known: records, runs, usage, models and their prices."""

from __future__ import annotations

from typing import Literal

from prsm_lab.types.answered import Inference
from prsm_lab.types.asked import Capabilities
from prsm_lab.types.base import JSON, Value


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
    partial: str | None = None
    """What a failed answer had said before it broke."""

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


class Run(Value, frozen=True, kw_only=True):
    """A batch or comparison: what was asked, when, how far it came."""

    id: str
    name: str | None = None
    scope: str = ""
    """Runs of one scope reuse each other's answers: the name of a named run, `""` for all unnamed ones."""
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
