"""What is remembered and known: records, runs, usage, models and their prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prsm_lab.types import shown
from prsm_lab.types.answered import Attempt, Inference
from prsm_lab.types.asked import Capabilities
from prsm_lab.types.base import JSON, Value

if TYPE_CHECKING:
    import pandas as pd


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
    knocks: int | None = None
    """How many attempts were made, where a run is replayed."""
    requested_model: str | None = None
    """The model that was asked for; this and what follows only in receipts."""
    attempts: tuple[Attempt, ...] = ()
    price: PriceLine | None = None
    """The price line that the cost was reckoned with."""
    source: str | None = None
    """The inference whose answer was served again from the cache."""

    def __repr__(self) -> str:
        fault = (self.error or {}).get("code")
        return shown.line("Record", self.id, self.status, self.model, shown.took(self.latency_ms), fault)

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
    max_cost: float | None = None
    """USD that it may spend in all its sittings; not kept."""
    purse: str | None = None
    """Runs that spend from one cap together name one purse, such as the parts of an output; None: its own. Not kept."""
    goes_on: bool = False
    """Has an earlier run of its purse begun this sitting? Then asking anew does not empty the purse. Not kept."""
    fresh: bool = False
    """Does it ask everything anew? Not kept."""
    batched: bool = False
    """Does it ask through providers' batches? Not kept."""
    questions: int = 0
    answered: int = 0
    failed: int = 0
    cost: float | None = None

    def __repr__(self) -> str:
        come = f"{self.answered:,} of {self.questions:,} answered, {self.failed:,} failed,"
        return shown.line("Run", self.id, self.name, self.kind, come, shown.paid(self.cost))


class Query(Value, frozen=True, kw_only=True):
    """Which inferences a usage report covers."""

    since: float | None = None
    """Unix time, seconds; inclusive."""
    until: float | None = None
    """Unix time, seconds; exclusive."""
    model: str | None = None
    provider: str | None = None
    person: str | None = None
    """Only what this person's keys asked of a share server; None: everything."""
    group_by: tuple[Literal["model", "provider", "key", "day"], ...] = ()
    """`key` groups by the person whose key asked; None is the ledger's owner."""


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

    def __repr__(self) -> str:
        asked, groups = shown.counted(self.total_requests, "request"), shown.counted(len(self.groups), "group")
        return shown.line(f"Report {asked}, {shown.paid(self.total_cost, self.unpriced_requests)}, {groups}")

    def _repr_html_(self) -> str:
        """Show it as a table: the whole, then a line per group; a dash where nothing is known."""
        fields: JSON = {name: getattr(self, name) for name in self.__struct_fields__ if name != "groups"}
        by = [name for name in (self.groups[0] if self.groups else ()) if name not in fields]
        headings = (
            *(by or ["usage"]), "requests", "cost", "answered", "half under", "95 % under", "tokens", "cached",
        )  # fmt: skip
        whole = ["all", *[""] * (len(by) - 1), *_used(fields)]
        rows = [[*("–" if group[name] is None else group[name] for name in by), *_used(group)] for group in self.groups]
        return shown.table(headings, [whole, *rows], figures=7)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per group, or a single row where nothing was grouped.

        >>> Report(total_requests=3).to_frame().loc[0, "total_requests"]
        np.int64(3)
        """
        import msgspec
        import pandas as pd

        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "groups"}
        names = list(fields)
        lines = list(self.groups) if self.groups else [fields]
        made = pd.DataFrame(msgspec.to_builtins(lines))
        return made[[*(name for name in made.columns if name not in names), *names]].convert_dtypes()

    @property
    def avg_latency(self) -> float | None:
        """The seed's metric name for `avg_latency_ms`."""
        return self.avg_latency_ms

    @property
    def p95_latency(self) -> float | None:
        """The seed's metric name for `p95_latency_ms`."""
        return self.p95_latency_ms


def _used(figures: JSON) -> list[object]:
    rate, tokens = figures["success_rate"], figures["total_tokens"]
    return [
        f"{figures['total_requests']:,}", shown.paid(figures["total_cost"], figures["unpriced_requests"]),
        None if rate is None else f"{rate:.1%}", shown.took(figures["p50_latency_ms"]),
        shown.took(figures["p95_latency_ms"]), None if tokens is None else f"{tokens:,}",
        f"{figures['cached_requests']:,}",
    ]  # fmt: skip


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


class Grade(Value, frozen=True, kw_only=True):
    """How good a model was measured to be at a task, 0 to 1."""

    task: str
    model: str
    """In the catalogue's name."""
    value: float
    """Mean score."""
    low: float | None
    """Ends of its 95 % interval; None: one row has none."""
    high: float | None
    n: int
    """Rows with a score."""
    failed: int
    """Rows without an answer; they are in no mean."""
    score: str
    source: str
    simulated: bool
    created: float
    """Unix time, seconds."""


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

    def __repr__(self) -> str:
        """Name, provider, price, context, and until when."""
        quality = None if self.quality is None else f"quality {self.quality:.2f}"
        retired = None if self.retired is None else f"retired {self.retired}"
        parts = [part for part in (self._price(), self._context(), quality, retired) if part]
        return shown.line("Model", self.name, self.provider, "·", " · ".join(parts))

    def _repr_html_(self) -> str:
        """Show what is known of it, and where that was read."""
        able = self.capabilities
        takes = {"tools": able.tools, "schema": able.schema, "images": able.images, "seed": able.seed}
        facts = {
            "price": self._price(), "context": self._context(), "quality": self.quality,
            "takes": ", ".join(name for name, yes in takes.items() if yes) or None, "retired": self.retired,
            "successor": self.successor, "also called": ", ".join(self.aliases) or None, "source": self.source,
        }  # fmt: skip
        rows = [(name, fact) for name, fact in facts.items() if fact is not None]
        return shown.table((self.name, self.provider), rows)

    def _price(self) -> str:
        if self.price is None or self.price.input is None or self.price.output is None:
            return self.price.source if self.price and self.price.source else "price unknown"  # by the hour
        return f"${self.price.input:g} in ${self.price.output:g} out per 1M"

    def _context(self) -> str | None:
        return None if self.capabilities.context is None else f"{self.capabilities.context:,} tokens"
