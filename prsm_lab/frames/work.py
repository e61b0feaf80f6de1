"""One run at work: rows and variants become questions; equal ones are grouped, known ones reused, the rest asked."""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pandas as pd

from prsm_lab import columns
from prsm_lab.ask import messages
from prsm_lab.caching import own
from prsm_lab.engine import bulk_plan, garbage, many
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.frames import distribute, media, packing, prefixes, prompts, questions, typed, variants
from prsm_lab.frames.data import each
from prsm_lab.frames.plans import Plan, check, check_names
from prsm_lab.frames.progress import Tally
from prsm_lab.types import Inference, Request, Run

if TYPE_CHECKING:
    from prsm_lab.client import Client
    from prsm_lab.frames.variants import Variant


RECALLED: Final = 5_000
"""Questions that are looked up at a time."""
Listener = Callable[[Sequence[int], "Inference | PRSMError"], None]


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
        engine: Whose workers send the questions; None: this process.
    """

    def __init__(
        self, client: Client, data: pd.DataFrame, ways: Sequence[Variant], *, system: str | None,
        question: dict[str, Any], plan: Plan, index: Any = None, engine: distribute.Cluster | None = None,
    ) -> None:  # fmt: skip
        check(plan)
        self.plan = self._given = plan
        self.tally = Tally(len(data) * len(ways))
        self.client, self._data, self._ways, self._index = client, data, ways, index
        self._engine = engine
        self._spread: dict[str, Any] = {}
        self._extra = variants.columns(ways, len(data))
        templates = [client.question(way.model, **{**question, **way.options}) for way in ways]
        for one in templates if plan.kind not in ("batch", "infer") else ():
            own(one.cache, of=plan.kind)
        self._more = typed.plan(templates)
        typed.check(self._more, self._extra)
        check_names(data, [*columns.NAMES, *self._extra, *typed.names(self._more)], plan.prefix)
        self._outcomes = columns.Outcomes(self.tally.rows)
        makers = [prompts.maker(way.prompt, list(data.columns), system=system) for way in ways]
        self._listener: Listener | None = None
        self._requests = questions.Questions(
            [msgspec.structs.replace(one, sample=way.sample) for one, way in zip(templates, ways, strict=True)]
        )
        self._ask(makers)
        self._spec = self._described(question, system)
        self.id = plan.run or "run_" + self._requests.digest()
        """The run's name, or what its questions make of it: the same call is the same run."""
        scope = plan.run or ""
        self._requests.templates = [self._paced(one, run=self.id, scope=scope) for one in self._requests.templates]
        self.crew = many.Crew(plan.max_concurrency)
        """Who asks: its size may change while it works."""

    @property
    def shape(self) -> str:
        """What the result's columns are, as text: two runs of the same questions may lay them out otherwise."""
        return repr([self._spec[name] for name in ("asked", "columns", "more", "prefix")])

    @property
    def max_cost(self) -> float | None:
        """USD that the run may spend; may be set while it works."""
        return self.plan.max_cost

    @max_cost.setter
    def max_cost(self, usd: float | None) -> None:
        budgets = getattr(self.client.engine, "budgets", None)
        if budgets is None:
            raise InvalidRequestError(
                "A share server's run keeps the cap that it began with.", details={"parameter": "max_cost"}
            )
        self.plan = msgspec.structs.replace(self.plan, max_cost=usd)
        budgets.retune(self.id, usd)

    def share(self, purse: str, *, goes_on: bool) -> None:
        """Spend from a cap together with other runs.

        Args:
            purse: What they call it.
            goes_on: Whether another one has begun this sitting.
        """
        self.plan = msgspec.structs.replace(self.plan, purse=purse, goes_on=goes_on)

    # ------------------------------------------------------------------------------------------------ questions

    def _ask(self, makers: Sequence[prompts.Maker]) -> None:
        """Each row in each way; a row without a prompt is a failed row, and no request."""
        for n, row in enumerate(each(self._data)):
            for make in makers:
                try:
                    asked = messages(make(row))
                except prompts.MissingValue as lack:
                    self._lacks(str(lack), "missing_prompt")
                except media.Unreadable as lack:
                    self._lacks(f"Row {n}: {lack}. Nothing was sent.", "media")
                else:
                    self._requests.add(asked)

    def _lacks(self, why: str, kind: str) -> None:
        self._outcomes.put(len(self._requests), InvalidRequestError(why, details={"kind": kind, "not_sent": True}))
        self._requests.add(None)

    def _paced(self, request: Request, **fields: str) -> Request:
        """Set what a run may ask a minute; not in its digest: the same questions are the same run at any pace."""
        if self.plan.rpm is not None or self.plan.tpm is not None:
            routing = msgspec.structs.replace(request.routing, rpm=self.plan.rpm, tpm=self.plan.tpm)
            request = msgspec.structs.replace(request, routing=routing)
        return msgspec.structs.replace(request, **fields) if fields else request

    def _described(self, question: dict[str, Any], system: str | None) -> dict[str, Any]:
        """What a run was, as plain JSON: enough to lay its frame out again."""
        described = {name: value if _plain(value) else repr(value)[:500] for name, value in question.items()}
        return {
            "kind": self.plan.kind, "models": list(dict.fromkeys(way.model for way in self._ways)), "system": system,
            "options": described, "prefix": self.plan.prefix, "asked": [way.model for way in self._ways],
            "columns": {name: values[: len(self._ways)] for name, values in self._extra.items()},
            "prompts": {way.prompt_name or "prompt": _worded(way.prompt) for way in self._ways},
            "templates": sorted({way.prompt_name or "prompt" for way in self._ways if isinstance(way.prompt, str)}),
            "more": self._more,
        }  # fmt: skip

    # -------------------------------------------------------------------------------------------------- running

    def listen(self, listener: Listener) -> None:
        """Call back on the engine's loop with the rows of the result that each new outcome fills, rows without a prompt
        among them. Answers of earlier runs are not new."""
        self._listener = listener

    def first(self, most: int) -> list[tuple[int, str, Inference | PRSMError]]:
        """Return the first rows of the result that are filled: the input row, counted from 0, the model that is asked
        there, and what came of it."""
        filled = ((position, outcome) for position, outcome in enumerate(self._outcomes) if outcome is not None)
        found = []
        for position, outcome in itertools.islice(filled, most):
            row, way = divmod(position, len(self._ways))
            found.append((row, self._ways[way].model, outcome))
        return found

    def same(self, other: Work) -> bool:
        """Tell whether another run asks the same of the same rows, and would lay out the same frame."""

        def asked(work: Work) -> tuple[Any, ...]:
            spec = {name: value for name, value in work._spec.items() if name != "prompts"}  # a function's has no equal
            return work._given, spec, work._requests

        return asked(self) == asked(other) and self._data.equals(other._data)

    async def run(self) -> None:
        """Ask what is not known yet; outcomes are filled in as they come.

        Once it has ended or was cancelled it may be called again: then it asks what is missing and what failed. Where
        another call asks the same run, in this process or another, it waits and takes that one's answers.
        """
        self.tally.begin()
        try:
            for template in self._requests.templates:
                await self.client.engine.check(template)
            async with self._turn():
                with garbage.seldom():
                    await self._run_once()
        finally:
            self.tally.end()

    def _turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        turns = getattr(self.client.engine, "turns", None)
        if turns is None or self.plan.fresh or self.plan.mode == "provider_batch":
            return contextlib.nullcontext()
        held: contextlib.AbstractAsyncContextManager[None] = turns.of(self.id, self.tally.wait)
        return held

    async def _run_once(self) -> None:
        self._forget_failures()
        every = self._requests.asked
        keys = await self.client.engine.begin(self._run(), every)
        groups = self._requests.groups(self._outcomes.is_open, dedup=self.plan.dedup)
        asked = await self._recall(groups, None if keys is None else every.by_position(keys))
        if self._engine is None or not asked:
            await self._ask_all(groups, asked)
            return
        self._spread = await distribute.over(
            self._engine, self.client, self._requests.templates, most=self.plan.max_concurrency,
            ask=lambda: self._ask_all(groups, asked),
        )  # fmt: skip

    def _forget_failures(self) -> None:
        """What failed is asked; what has no prompt has failed already."""
        self.tally.forget_failures()
        for position, failed in list(self._outcomes.failed.items()):
            if self._requests.is_missing(position):
                self.tally.skip()
                self._tell([position], failed)
            else:
                self._outcomes.forget(position)

    async def _recall(self, groups: questions.Groups, keys: questions.ByPosition[bytes] | None) -> Sequence[int]:
        """Fill in what was answered earlier, some at a time, and return the rest."""
        if self.plan.fresh:
            return groups.firsts
        left: list[int] = []
        for start in range(0, len(groups.firsts), RECALLED):
            firsts = groups.firsts[start : start + RECALLED]
            asked, scope = questions.Picked(self._requests, firsts), self.plan.run or ""
            found = await self.client.engine.recall(asked, scope, None if keys is None else [keys[n] for n in firsts])
            for first, known in zip(firsts, found, strict=True):
                if known is None:
                    left.append(first)
                    continue
                rows = groups.rows(first)
                self._fill(rows, known)
                self.tally.reuse(known, len(rows))
        return left

    async def _ask_all(self, groups: questions.Groups, firsts: Sequence[int]) -> None:
        def deliver(n: int, outcome: Inference | PRSMError) -> None:
            rows = groups.rows(firsts[n])
            self._fill(rows, outcome)
            self.tally.answer(outcome, len(rows))
            self._tell(rows, outcome)

        asked = questions.Picked(self._requests, firsts)
        if self.plan.mode == "provider_batch":
            deadline, most = bulk_plan.seconds(self.plan.deadline), self.plan.max_concurrency
            await self.client.engine.bulk(list(asked), deliver, deadline=deadline, concurrency=most)
            return
        for wave in prefixes.waves(asked, most=self.plan.max_concurrency):
            for part in filter(None, wave):
                await self.crew.run(
                    self.client.engine,
                    (_warm(asked[n]) if wave.first else asked[n] for n in part),
                    deliver=lambda n, outcome, part=part: deliver(part[n], outcome),  # type: ignore[misc]
                )

    def _tell(self, positions: Sequence[int], outcome: Inference | PRSMError | None) -> None:
        if self._listener is not None and outcome is not None:
            self._listener(positions, outcome)

    def _run(self) -> Run:
        lacks: list[str | bool] = [True] * len(self._requests)
        for position, failed in self._outcomes.failed.items():  # only rows without a prompt: others are open again
            lacks[position] = failed.message
        return Run(
            id=self.id, name=self.plan.run, scope=self.plan.run or "", kind=self.plan.kind, created=time.time(),
            max_cost=self.plan.max_cost, purse=self.plan.purse, goes_on=self.plan.goes_on, fresh=self.plan.fresh,
            batched=self.plan.mode == "provider_batch", data=packing.pack(self._data),
            spec={**self._spec, "asked_rows": lacks if self._requests.lacking else None},
        )  # fmt: skip

    def _fill(self, positions: Sequence[int], outcome: Inference | PRSMError) -> None:
        for position in positions:
            self._outcomes.put(position, outcome)

    # --------------------------------------------------------------------------------------------------- result

    def result(self, *, final: bool = True) -> pd.DataFrame:
        """Return the frame; rows without an outcome are NA.

        Args:
            final: Has the run ended? One that has not raises nothing.

        Raises:
            PRSMError: The first row's error, under `on_error="raise"`.
        """
        if final and self.plan.on_error == "raise":
            self._raise_first()
        made = layout(self._data, self._outcomes, self._spec, index=self._index)
        totals = self.tally.totals()
        made.attrs["prsm"] = {
            "run": self.id, "kind": self.plan.kind, "options": self._spec["options"], "totals": totals,
            "simulated": self.tally.simulated, "prefix": self.plan.prefix, "prompts": self._spec["prompts"],
            "system": self._spec["system"], "templates": self._spec["templates"],
            "variants": ["model", *self._extra], **({"spread": self._spread} if self._spread else {}),
        }  # fmt: skip
        return made

    def _raise_first(self) -> None:
        if not self._outcomes.failed:
            return
        position = min(self._outcomes.failed)
        row, outcome = position // len(self._ways), self._outcomes.failed[position]
        told = copy.copy(outcome)  # the outcome itself keeps its words: this may be called again
        told.message = (
            f"Row {row} ({self._ways[position % len(self._ways)].model}): {outcome.message} The answers of the other "
            f"rows are kept: lab.load({self.id!r}), or the same call again."
        )
        raise told


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
    more = typed.made(spec.get("more") or {}, outcomes, chosen)
    results = pd.concat([found[["model"]], variant, found.drop(columns="model"), more], axis=1)
    if spec["prefix"]:
        results = results.add_prefix(spec["prefix"])
    kept = repeated.set_axis(chosen, axis=0)
    joined = pd.concat([kept, results], axis=1) if len(kept.columns) else results
    joined.attrs = {}
    return joined


def _warm(request: Request) -> Request:
    return msgspec.structs.replace(request, warm=True)


def _worded(prompt: Any) -> str:
    """A template whole, so that it can be filled again; of others enough to know them by."""
    return prompt if isinstance(prompt, str) else str(prompt)[:2000]


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
