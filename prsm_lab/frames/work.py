"""One run at work: rows and variants become questions; equal ones are grouped, known ones reused, the rest asked."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pandas as pd

from prsm_lab import columns
from prsm_lab.ask import messages
from prsm_lab.engine import many
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.frames import packing, prompts, variants
from prsm_lab.frames.data import records
from prsm_lab.frames.progress import Tally
from prsm_lab.types import Inference, Request, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.client import Client
    from prsm_lab.frames.variants import Variant


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a run goes."""

    kind: str
    max_concurrency: int = 16
    run: str | None = None
    fresh: bool = False
    dedup: bool = True
    on_error: Literal["record", "raise"] = "record"
    progress: bool = True
    prefix: str = ""


class Work:
    """A run from its questions to its frame.

    Args:
        client: Who asks.
        data: The rows.
        ways: The variants.
        system: Template of a system message.
        question: Options of every question.
        plan: How the run goes.
        index: Index of the result, where it is not the data's.
    """

    def __init__(
        self, client: Client, data: pd.DataFrame, ways: Sequence[Variant], *, system: str | None,
        question: dict[str, Any], plan: Plan, index: Any = None,
    ) -> None:  # fmt: skip
        _check(plan)
        self.plan = plan
        self.tally = Tally(len(data) * len(ways))
        self._client, self._data, self._ways, self._index = client, data, ways, index
        self._extra = variants.columns(ways, len(data))
        _check_names(data, [*columns.NAMES, *self._extra], plan.prefix)
        self._templates = templates = [client.question(way.model, **{**question, **way.options}) for way in ways]
        makers = [prompts.maker(way.prompt, list(data.columns), system=system) for way in ways]
        self._outcomes: list[Inference | PRSMError | None] = [None] * self.tally.rows
        self._requests = self._ask(templates, makers)
        self._spec = self._described(question, system)
        self._id = plan.run or "run_" + self._digest()
        scope = plan.run or ""
        self._requests = [
            None if request is None else msgspec.structs.replace(request, run=self._id, scope=scope)
            for request in self._requests
        ]

    # ------------------------------------------------------------------------------------------------ questions

    def _ask(self, templates: Sequence[Request], makers: Sequence[prompts.Maker]) -> list[Request | None]:
        """Each row in each way; a row without a prompt is a failed row, and no request."""
        requests: list[Request | None] = []
        for row in records(self._data):
            for way, template, make in zip(self._ways, templates, makers, strict=True):
                try:
                    request = msgspec.structs.replace(template, messages=messages(make(row)), sample=way.sample)
                except prompts.MissingValue as lack:
                    request = None
                    self._outcomes[len(requests)] = InvalidRequestError(
                        str(lack), details={"kind": "missing_prompt", "not_sent": True}
                    )
                requests.append(request)
        return requests

    def _described(self, question: dict[str, Any], system: str | None) -> dict[str, Any]:
        """What a run was, as plain JSON: enough to lay its frame out again."""
        described = {name: value if _plain(value) else repr(value)[:500] for name, value in question.items()}
        return {
            "kind": self.plan.kind, "models": list(dict.fromkeys(way.model for way in self._ways)), "system": system,
            "options": described, "prefix": self.plan.prefix, "asked": [way.model for way in self._ways],
            "columns": {name: values[: len(self._ways)] for name, values in self._extra.items()},
            "prompts": {way.prompt_name or "prompt": str(way.prompt)[:2000] for way in self._ways},
        }  # fmt: skip

    def _digest(self) -> str:
        """A run is its questions: data, prompts, models and options all end in them."""
        content = [(r.model, r.messages, r.options, r.routing, r.sample) for r in self._requests if r is not None]
        raw = (
            msgspec.json.encode(content, enc_hook=str)
            if _encodable(content)
            else repr(content).encode("utf-8", "replace")
        )
        return hashlib.sha256(raw).hexdigest()[:16]

    # -------------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Ask what is not known yet; outcomes are filled in as they come."""
        engine = self._client.engine
        for template in self._templates:
            await engine.check(template)
        self.tally.skip(sum(1 for request in self._requests if request is None))
        asked = [request for request in self._requests if request is not None]
        await engine.begin(self._run(), asked)
        groups = self._groups()
        unknown = list(groups)
        if not self.plan.fresh:
            firsts = [groups[key][0] for key in unknown]
            recalled = await engine.recall([self._requests[n] for n in firsts], self.plan.run or "")  # type: ignore[misc]
            for key, known in zip(unknown, recalled, strict=True):
                if known is not None:
                    self._fill(groups[key], known)
                    self.tally.reuse(known, len(groups[key]))
            unknown = [key for key, known in zip(unknown, recalled, strict=True) if known is None]

        def deliver(n: int, outcome: Inference | PRSMError) -> None:
            positions = groups[unknown[n]]
            self._fill(positions, outcome)
            self.tally.answer(outcome, len(positions))

        await many.run(
            engine,
            (self._requests[groups[key][0]] for key in unknown),  # type: ignore[misc]
            concurrency=min(self.plan.max_concurrency, max(1, len(unknown))),
            deliver=deliver,
        )

    def _run(self) -> Run:
        every = None if None not in self._requests else [request is not None for request in self._requests]
        return Run(
            id=self._id, name=self.plan.run, scope=self.plan.run or "", kind=self.plan.kind, created=time.time(),
            spec={**self._spec, "asked_rows": every}, data=packing.pack(self._data),
        )  # fmt: skip

    def _groups(self) -> dict[Any, list[int]]:
        """Positions of equal questions, by the question."""
        groups: dict[Any, list[int]] = {}
        for position, request in enumerate(self._requests):
            if request is not None:
                key = _key(request) if self.plan.dedup else position
                groups.setdefault(key, []).append(position)
        return groups

    def _fill(self, positions: Sequence[int], outcome: Inference | PRSMError) -> None:
        for position in positions:
            self._outcomes[position] = outcome

    # --------------------------------------------------------------------------------------------------- result

    def result(self) -> pd.DataFrame:
        """Return the frame.

        Raises:
            PRSMError: The first row's error, under `on_error="raise"`.
        """
        if self.plan.on_error == "raise":
            self._raise_first()
        made = layout(self._data, self._outcomes, self._spec, index=self._index)
        totals = self.tally.totals()
        made.attrs["prsm"] = {
            "run": self._id, "kind": self.plan.kind, "options": self._spec["options"], "totals": totals,
            "simulated": self.tally.simulated, "prefix": self.plan.prefix,
            "variants": ["model", *self._extra],
        }  # fmt: skip
        return made

    def _raise_first(self) -> None:
        for position, outcome in enumerate(self._outcomes):
            if isinstance(outcome, PRSMError):
                row = position // len(self._ways)
                outcome.message = (
                    f"Row {row} ({self._ways[position % len(self._ways)].model}): {outcome.message} The answers of the "
                    f"other rows are kept: lab.load({self._id!r}), or the same call again."
                )
                raise outcome


def layout(
    data: pd.DataFrame, outcomes: Sequence[Inference | PRSMError | None], spec: dict[str, Any], *, index: Any = None
) -> pd.DataFrame:
    """Put input columns, variant columns and result columns side by side."""
    ways = len(spec["asked"])
    repeated = data.iloc[[n for n in range(len(data)) for _ in range(ways)]] if ways != 1 else data
    chosen = repeated.index if index is None else index
    found = columns.results(outcomes, asked=spec["asked"] * len(data), index=chosen)
    extra = {
        name: pd.array(values * len(data), dtype="string" if name == "prompt" else None)
        for name, values in spec["columns"].items()
    }
    variant = pd.DataFrame(extra, index=chosen)
    results = pd.concat([found[["model"]], variant, found.drop(columns="model")], axis=1)
    if spec["prefix"]:
        results = results.add_prefix(spec["prefix"])
    kept = repeated.set_axis(chosen, axis=0)
    joined = pd.concat([kept, results], axis=1) if len(kept.columns) else results
    joined.attrs = {}
    return joined


def _check(plan: Plan) -> None:
    if isinstance(plan.max_concurrency, bool) or not isinstance(plan.max_concurrency, int) or plan.max_concurrency < 1:
        raise InvalidRequestError(
            f"max_concurrency={plan.max_concurrency!r} is no number of at least 1.",
            details={"parameter": "max_concurrency"},
        )
    if plan.on_error not in ("record", "raise"):
        raise InvalidRequestError(
            f"on_error={plan.on_error!r} is neither 'record' nor 'raise'.", details={"parameter": "on_error"}
        )


def _check_names(data: pd.DataFrame, names: Sequence[str], prefix: str) -> None:
    taken = [name for name in (prefix + name for name in names) if name in data.columns]
    if taken:
        raise ValueError(
            f"The data already has a column {taken[0]!r}, which the result needs. Rename it, or pass "
            "prefix='prsm_' to name the result's columns otherwise."
        )


def _key(request: Request) -> Any:
    try:
        return msgspec.json.encode((request.model, request.messages, request.options, request.sample), enc_hook=str)
    except (UnicodeEncodeError, ValueError):
        return repr((request.model, request.messages, request.options, request.sample))


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _encodable(content: Any) -> bool:
    try:
        msgspec.json.encode(content, enc_hook=str)
    except (UnicodeEncodeError, ValueError):
        return False
    return True
