"""`estimate`: what a comparison will cost and how long it will take, before it is asked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

import msgspec
import numpy as np
import pandas as pd

from prsm_lab import ask, catalog
from prsm_lab.catalog import hours, prices, tokens
from prsm_lab.client import default_client
from prsm_lab.engine import many, portal, routers
from prsm_lab.errors import BudgetExceededError, InvalidRequestError, NotFoundError, PRSMError
from prsm_lab.frames import asking, forecast, prompts, routed, sizing
from prsm_lab.frames import data as rows_of
from prsm_lab.frames.variants import Variant, columns, variants
from prsm_lab.types import Inference, Model, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prsm_lab.frames.plans import Plan
    from prsm_lab.frames.prompts import Prompt
    from prsm_lab.protocols import Engine
    from prsm_lab.types import Record

PAST: Final = 500
"""Of so many latest answers of the ledger the model's own are looked at: what a share server lists at most."""
IN_BATCHES: Final = ("openai", "anthropic")
"""Providers whose batches `mode="provider_batch"` uses."""
_SEED: Final = 20
_COUNTS: Final = ("rows", "questions", "known", "prompt_tokens")
_FIGURES: Final = (
    "prompt_tokens_error", "completion_low", "completion_expected", "completion_high", "cost_low", "cost_expected",
    "cost_high", "cost_worst", "batch_cost_expected", "seconds_expected",
)  # fmt: skip
_COSTS: Final = ("cost_low", "cost_expected", "cost_high", "cost_worst")
_SUMMED: Final = (
    "questions", "known", "prompt_tokens", "cost_low", "cost_expected", "cost_high", "cost_worst",
    "batch_cost_expected", "seconds_expected",
)  # fmt: skip


def estimate(
    data: object, prompt: Prompt | Mapping[str, Prompt], *, models: Sequence[str] | str, system: str | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None, samples: int = 1, pilot: int = 0,
    **options: Unpack[asking.Running],
) -> pd.DataFrame:  # fmt: skip
    """Estimate what `compare` with the same arguments will cost and how long it will take; nothing is asked.

    One row per variant (model, prompt, grid) in `compare`'s order. Tokens, costs and time are of what is still to be
    asked: answers that the ledger has for such a run cost nothing. Columns:

    - `rows` of the data; `questions` after equal ones are one and rows without a prompt are left out, times samples;
      `known` of them are answered already.
    - `prompt_tokens` in all, and `prompt_tokens_error`, relative. Counted by kind of character with weights calibrated
      on the tokenizer (`prsm_lab.catalog.tokens`), by `tiktoken` where it and its encoding are on this machine, and
      corrected by what the provider counted where five of the questions are answered.
    - `completion_low`, `completion_expected`, `completion_high` tokens of one answer: 5 %, mean and 95 % of the answers
      to these questions that are known; else 10 %, mean and 90 % of the model's latest answers to others in the ledger;
      else 500 is assumed, from 1 to the limit.
    - `cost_low`, `cost_expected`, `cost_high` in USD, asked in real time at list price: with the prompt's error, and
      the mean length's 95 % interval where these very questions are known. `cost_worst`: every byte of a prompt a
      token, every answer as long as its limit, one attempt at the model itself: billed retries and dearer fallbacks
      are not in it.
    - `batch_cost_expected`: the same through the provider's batches; NA where it has none.
    - `seconds_expected` of wall time: the mean latency of known answers over `max_concurrency`, or what `rpm` and `tpm`
      allow, if that is longer. A provider's own limits are not in it.
    - `basis`: how the figures were got.

    A router's figures are those of both its models (`frames.routed`); a model's that is paid by the hour
    (`lab.prices.gpu_hour`) are the expected time at that rate, and no more than expected is known of them.

    What is not known is NA: costs without a price (warned of once a model), a high end without a limit, a time without
    an answer.

    Args:
        data: As in `batch`.
        prompt: As in `compare`.
        models: Names of the models.
        system: Template of a system message.
        grid: Option values to vary.
        samples: As in `compare`.
        pilot: Ask so many rows, drawn at random but the same each time, of every variant now and for money, and learn
            lengths, latency and the prompt's tokens from them. Their answers are kept: the run does not ask them again.
            With `max_cost` a pilot whose worst case is above it is refused.
        **options: Those of the run that is planned; see `Running` and `prsm_lab.ask.Ask`.

    Returns:
        A frame; `attrs["prsm"]["totals"]` sums it up, `attrs["prsm"]["pilot"]` has what the pilot asked and spent.

    Raises:
        ValueError, InvalidRequestError: As `compare` would, and if `pilot` is no number of rows.
        BudgetExceededError: If the pilot could cost more than `max_cost`.
        NotFoundError: If a model is unknown.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> found = lab.estimate(["Hello!", "Hello!"], "{text}", models=["gpt-4"], max_tokens=100, client=client)
    >>> found[["rows", "questions", "prompt_tokens", "completion_high"]].to_dict("records")
    [{'rows': 2, 'questions': 1, 'prompt_tokens': 8, 'completion_high': 100.0}]
    """
    if isinstance(pilot, bool) or not isinstance(pilot, int) or pilot < 0:
        raise InvalidRequestError(f"pilot={pilot!r} is no number of rows.", details={"parameter": "pilot"})
    table = rows_of.frame(data)
    plan = asking.many_models(table.iloc[:0], prompt, models, system, grid or {}, samples, options).plan  # checks all
    client = options.get("client") or default_client()
    question: dict[str, Any] = {name: value for name, value in options.items() if name in ask.Ask.__annotations__}
    ways = [way for way in variants(models, prompt, grid=grid or {}, samples=samples) if way.sample == 0]
    templates = [client.question(way.model, **{**question, **way.options}) for way in ways]
    records = rows_of.records(table)
    made: dict[str | None, sizing.Questions] = {}
    for way in ways:
        if way.prompt_name not in made:
            maker = prompts.maker(way.prompt, list(table.columns), system=system)
            made[way.prompt_name] = sizing.questions(maker, records, dedup=plan.dedup)
    study = _Study(client.engine, plan, samples, pilot)
    lines = portal.call(study.lines([(t, made[way.prompt_name]) for way, t in zip(ways, templates, strict=True)]))
    for model in {model.name: model for line in lines for model in line.models}.values():
        if model.price is None and hours.rate(model.name, model.provider) is None:
            prices.warn_unpriced(model.name)
    return _frame(ways, lines, len(table), plan)


class _Line(NamedTuple):
    """What was found out about one variant."""

    models: tuple[Model, ...]
    """One, or both of a router."""
    figures: dict[str, Any]
    pilot: dict[str, Any]
    simulated: bool


class _Study:
    """Looks up and asks what an estimate needs; on the engine's loop."""

    def __init__(self, engine: Engine, plan: Plan, samples: int, pilot: int) -> None:
        self._engine, self._plan, self._samples, self._pilot = engine, plan, samples, pilot
        self._left = plan.max_cost

    async def lines(self, ways: Sequence[tuple[Request, sizing.Questions]]) -> list[_Line]:
        for template, _ in ways:
            await self._engine.check(template)
        past = await self._engine.history(PAST)
        return [await self._line(template, asked, past) for template, asked in ways]

    async def _line(self, template: Request, asked: sizing.Questions, past: Sequence[Record]) -> _Line:
        scope = self._plan.run or ""
        looked = not self._plan.fresh and _may_be_known(template, past)
        requests = [
            msgspec.structs.replace(template, messages=question, sample=sample, scope=scope, run=self._plan.run)
            for question in (asked.messages if looked or self._pilot else ())
            for sample in range(self._samples)
        ]
        answers: list[Inference | None] = [None] * (len(asked) * self._samples)
        if looked:
            answers = await self._engine.recall(requests, scope)
        pilot = await self._ask(requests, answers)
        simulated = any((one.served_model or "").startswith("simulated/") for one in answers if one is not None)
        known = routers.of(template.model)
        ways = [routed.Leg(template.model, asked, answers, self._samples)]
        if known is not None:
            ways = routed.legs(known, asked, answers, self._samples)
        models, figures = [], []
        for way in ways:
            one = msgspec.structs.replace(template, model=way.model)
            models.append(await _model(self._engine, one))
            figures.append(self._figures(one, models[-1], way, past, pilot))
        whole = figures[0] if known is None else routed.added(known, ways, figures, len(answers))
        return _Line(tuple(models), whole, pilot, simulated)

    async def _ask(self, requests: Sequence[Request], answers: list[Inference | None]) -> dict[str, Any]:
        """Ask the pilot's rows that are not known, once each, and fill their answers in."""
        told: dict[str, Any] = {"rows": 0, "asked": 0, "failed": 0, "spent_usd": 0.0, "error": None}
        if not self._pilot:
            return told
        rows = range(len(requests) // self._samples)
        drawn = sorted(random.Random(_SEED).sample(rows, min(self._pilot, len(rows))))
        places = [row * self._samples for row in drawn]
        wanted = [place for place in places if answers[place] is None]
        told["asked"] = len(wanted)
        await self._hold([requests[place] for place in wanted])

        def deliver(n: int, outcome: Inference | PRSMError) -> None:
            if isinstance(outcome, PRSMError):
                told["failed"] += 1
                told["error"] = told["error"] or outcome.message
                return
            answers[wanted[n]] = outcome
            amount = outcome.cost.amount
            told["spent_usd"] = None if amount is None or told["spent_usd"] is None else told["spent_usd"] + amount

        await many.run(
            self._engine, (self._paced(requests[place]) for place in wanted), deliver=deliver,
            concurrency=self._plan.max_concurrency,
        )  # fmt: skip
        told["rows"] = sum(answers[place] is not None for place in places)
        return told

    async def _hold(self, wanted: Sequence[Request]) -> None:
        """Refuse a pilot that could cost more than `max_cost` leaves it, before any of the variant's rows is asked."""
        if self._left is None:
            return
        for request in wanted:
            worst = await self._engine.worst_case(request)
            if worst is None or worst > self._left:
                said = "may cost any amount, more" if worst is None else "could cost more"
                raise BudgetExceededError(
                    f"The pilot of {self._pilot} rows {said} than max_cost={self._plan.max_cost:g} USD allows, each "
                    "answer as long as its limit. Nothing more was asked: take a smaller pilot, a lower max_tokens or "
                    "a higher max_cost; where a price or a limit is not known, leave max_cost out.",
                    details={"parameter": "pilot"},
                )
            self._left -= worst

    def _paced(self, request: Request) -> Request:
        routing = msgspec.structs.replace(request.routing, rpm=self._plan.rpm, tpm=self._plan.tpm)
        return msgspec.structs.replace(request, routing=routing)

    def _figures(
        self, template: Request, model: Model, way: routed.Leg, past: Sequence[Record], pilot: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All figures of a variant but those of the data; pure."""
        asked, answers = way.asked, way.answers
        beside = "".join(str(part) for part in (template.options.tools, template.options.schema) if part)
        size = _corrected(sizing.sized(asked, tokens.tokenizer(model), beside), answers, way.samples)
        still = np.repeat(np.arange(len(asked)), way.samples)[np.array([a is None for a in answers], bool)]
        todo, limit, line, n = size.each[still], _limit(template, model), model.price, len(still)
        own = [spoken for answer in answers if answer is not None and (spoken := _spoken(answer)) is not None]
        name = f"pilot of {pilot['rows']} rows" if pilot["rows"] else "answers to these questions"
        name += f" ({len(own):,} answers)" if len(own) != pilot["rows"] else ""
        others = _past(past, model, {answer.id for answer in answers if answer is not None})
        said = forecast.lengths(own, others, limit, asked=n, name=name)
        error = size.error
        low, high = (None, None) if error is None else (todo * max(0.0, 1 - error), todo * (1 + error))
        latency = forecast.typical_latency(own, others)
        bound = asked.most[still] + float(len(beside.encode("utf-8", "surrogatepass")))
        time = forecast.seconds(
            n, latency, concurrency=self._plan.max_concurrency, rpm=self._plan.rpm, tpm=self._plan.tpm,
            tokens=float(todo.sum()) + n * said.expected,
        )  # fmt: skip
        rate = hours.rate(model.name, model.provider)
        if rate is not None:
            line, costs = rate.line, _by_the_hour(rate, time, n, template.timeout)
        else:
            batched = model.provider in IN_BATCHES and error is not None
            costs = {
                "cost_low": None if low is None else forecast.bill(low, said.mean_low, line),
                "cost_expected": None if error is None else forecast.bill(todo, said.expected, line),
                "cost_high": None if high is None else forecast.bill(high, said.mean_high, line),
                "cost_worst": forecast.worst_bill(bound, limit, line),
                "batch_cost_expected": forecast.bill(todo, said.expected, prices.batch_line(line)) if batched else None,
            }
        return {
            "questions": len(answers), "known": len(answers) - n, "prompt_tokens": round(float(todo.sum())),
            "prompt_tokens_error": error, "completion_low": said.low, "completion_expected": said.expected,
            "completion_high": said.high, **costs, "seconds_expected": time,
            "basis": _basis(size, said, line, latency, pilot),
        }  # fmt: skip


def _by_the_hour(rate: hours.Rate, seconds: float | None, asked: int, deadline: float | None) -> Mapping[str, Any]:
    """The machine is paid while it is busy, so all questions together cost the time that they take."""
    if not rate.usd or not asked:
        return {**dict.fromkeys(_COSTS, 0.0), "batch_cost_expected": None}
    worst = None if deadline is None else asked * rate.usd * deadline / hours.HOUR
    expected = None if seconds is None else rate.usd * seconds / hours.HOUR
    return {**dict.fromkeys(_COSTS), "cost_expected": expected, "cost_worst": worst, "batch_cost_expected": None}


def _may_be_known(template: Request, past: Sequence[Record]) -> bool:
    """Is there any use in a look-up? A ledger of fewer answers than were listed has no others."""
    heard = (record.inference for record in past if record.inference is not None)
    return len(past) >= PAST or any(answer.requested_model == template.model for answer in heard)


async def _model(engine: Engine, template: Request) -> Model:
    """The model that is asked first, with its price; one of a provider of one's own is `provider/model`."""
    provider = template.routing.provider
    try:
        return await engine.model(f"{provider}/{template.model}" if provider else template.model)
    except NotFoundError:
        pass
    try:
        named = await engine.model(template.model)
    except NotFoundError:  # the engine knows it, or its check had refused it; nothing else is known of it here
        return Model(name=template.model, provider=provider or "", id=template.model)
    stand_in = catalog.equivalent(named, provider) if provider else None
    return named if stand_in is None else await engine.model(stand_in.name)


def _limit(template: Request, model: Model) -> int | None:
    """Where an answer is cut, as `engine.plan` sees it."""
    takes = model.capabilities
    return template.options.max_tokens or takes.default_max_tokens or takes.max_output


def _spoken(answer: Inference) -> forecast.Spoken | None:
    said = answer.usage.completion_tokens
    return None if said is None else forecast.Spoken(said, answer.latency_ms, answer.finish_reason == "length")


def _past(past: Sequence[Record], model: Model, own: set[str]) -> list[forecast.Spoken]:
    """What the model itself answered to other questions; what a cache served again is no answer of the model."""
    found = [record.inference for record in past if record.inference is not None]
    heard = [_spoken(answer) for answer in found if _is_by(answer, model) and answer.id not in own]
    return [spoken for spoken in heard if spoken is not None]


def _is_by(answer: Inference, model: Model) -> bool:
    return answer.model == model.name and not answer.cached


def _corrected(size: sizing.Sized, answers: Sequence[Inference | None], samples: int) -> sizing.Sized:
    """Correct the prompts' tokens by what the provider counted, where answers are known."""
    pairs = [
        (float(size.each[n // samples]), answer.usage.prompt_tokens)
        for n, answer in enumerate(answers)
        if answer is not None and answer.usage.prompt_tokens is not None
    ]
    found = forecast.calibrated([ours for ours, _ in pairs], [theirs for _, theirs in pairs])
    if found is None:
        return size
    factor, error = found
    source = f"{size.source}, corrected ×{factor:.2f} by the provider's count of {len(pairs):,} prompts"
    return sizing.Sized(size.each * factor, error, source)


def _basis(
    size: sizing.Sized, said: forecast.Lengths, line: Any, latency: float | None, pilot: Mapping[str, Any]
) -> str:
    error = "error not known" if size.error is None else f"±{size.error:.0%}"
    parts = [f"prompt: {size.source} ({error})", f"completion: {said.source}"]
    parts.append("price: not known" if line is None else f"price: {line.source}")
    parts.append("time: no latency is known" if latency is None else f"time: {latency:,.0f} ms an answer")
    if pilot["failed"]:
        parts.append(f"pilot: {pilot['failed']} of {pilot['asked']} failed, the first: {pilot['error']}")
    return "; ".join(parts)


def _frame(ways: Sequence[Variant], lines: Sequence[_Line], rows: int, plan: Plan) -> pd.DataFrame:
    extra = columns(ways, 1)
    table: dict[str, Any] = {"model": pd.array([way.model for way in ways], dtype="string")}
    for name, values in extra.items():
        table[name] = pd.array(values, dtype="string" if name == "prompt" else None)
    for name in _COUNTS + _FIGURES:
        figures = [rows if name == "rows" else line.figures[name] for line in lines]
        table[name] = pd.array(figures, dtype="Int64" if name in _COUNTS else "Float64")
    table["basis"] = pd.array([line.figures["basis"] for line in lines], dtype="string")
    made = pd.DataFrame(table)
    spent = [line.pilot["spent_usd"] for line in lines]
    made.attrs["prsm"] = {
        "kind": "estimate", "run": plan.run, "variants": ["model", *extra],
        "simulated": any(line.simulated for line in lines),
        "totals": {"rows": rows, **{name: _total([line.figures[name] for line in lines]) for name in _SUMMED}},
        "pilot": {
            "asked": sum(line.pilot["asked"] for line in lines), "failed": sum(line.pilot["failed"] for line in lines),
            "spent_usd": _total(spent),
        },
    }  # fmt: skip
    return made


def _total(figures: Sequence[Any]) -> Any:
    """A sum; None where a part of it is not known."""
    return None if any(figure is None for figure in figures) else sum(figures)
