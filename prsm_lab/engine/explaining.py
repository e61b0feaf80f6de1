"""Pure: what `plan` decides, said target by target: in which order, at what price, and why others are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from prsm_lab import catalog
from prsm_lab.catalog import quality
from prsm_lab.engine import plan, routers, signals, standards
from prsm_lab.errors import BudgetExceededError
from prsm_lab.types import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.engine.standards import Grades
    from prsm_lab.types import Request, Target


class Considered(Value, frozen=True, kw_only=True):
    """One model at one provider, and whether it would be asked."""

    place: int | None
    """When it is asked, from 1; None: it is left out."""
    provider: str
    model: str
    role: Literal["requested", "fallback", "peer", "other"]
    """`peer`: joined for its price or speed; `other`: a model of the catalogue that did not."""
    expected_cost: float | None = None
    """USD of a usual answer; None where no price is known."""
    worst_cost: float | None = None
    """USD of the prompt and `max_tokens`, at most; None where no price or no limit is known."""
    quality: float | None = None
    """What a threshold is held against."""
    quality_from: str | None = None
    latency_ms: float | None = None
    """Recent 95th percentile, where latency decides."""
    timeout_ms: float | None = None
    reason: str


def explained(request: Request, origins: Mapping[str, str], facts: plan.Facts) -> list[Considered]:
    """Say who would be asked, in order, and then who would not; nothing is called.

    Args:
        request: What is asked.
        origins: The providers there are.
        facts: What the moment adds.

    Raises:
        PRSMError: If nobody could be asked at all; see `plan.candidates`.
    """
    known = routers.of(request.model)
    if known is not None:
        return _routed(known, request, origins, facts)
    targets = plan.candidates(request, origins, facts.grades)
    cap = request.routing.max_cost
    dear = [target for target in targets if cap is not None and not plan.affordable(target, request, cap)]
    try:
        order = plan.ordered(targets, request, facts)
    except BudgetExceededError:
        order = ()
    first = plan.requested_model(request, origins).name
    rows = [
        _row(target, request, facts, targets, place=n, reason=_asked(target, request, facts, targets, n))
        for n, target in enumerate(order, 1)
    ]
    rows += [
        _row(target, request, facts, targets, place=None, reason=_dear(target, request) if target in dear else _cut())
        for target in targets
        if target not in order
    ]
    return rows + _others(first, targets, request, origins, facts.grades)


def _row(
    target: Target, request: Request, facts: plan.Facts, targets: tuple[Target, ...], *, place: int | None, reason: str
) -> Considered:
    figure, source = _quality(target.name, request.routing.task, facts.grades)
    return Considered(
        place=place, provider=target.provider, model=target.name,
        role="requested" if target == targets[0] else "peer" if target.peer else "fallback",
        expected_cost=plan.expected_cost(target, request), worst_cost=plan.worst_case((target,), request),
        quality=figure, quality_from=source,
        latency_ms=facts.latency_ms.get((target.provider, target.model)),
        timeout_ms=None if target.timeout is None else target.timeout * 1000, reason=reason,
    )  # fmt: skip


def _asked(target: Target, request: Request, facts: plan.Facts, targets: tuple[Target, ...], place: int) -> str:
    """Why a target stands where it stands."""
    routing, where = request.routing, (target.provider, target.model)
    if facts.is_open(target):
        return "it failed again and again just now: asked after all others"
    if routing.latency_optimization and not routing.cost_optimization and where == facts.explore and place == 1:
        return "tried first: what is known of its speed is old"
    said = "requested" if target == targets[0] else "named as a fallback"
    if target.peer:
        said = "good enough and cheaper" if routing.cost_optimization else "good enough and faster"
        if not routing.cost_optimization and facts.latency_ms.get(where) is None:
            said = "good enough; nothing is known of its speed"
    return said


def _dear(target: Target, request: Request) -> str:
    worst = plan.worst_case((target,), request)
    if worst is None and plan.expected_cost(target, request) is None:
        return "its price is not known, and max_cost is set"
    return f"its worst case may pass max_cost, ${request.routing.max_cost:g}"


def _cut() -> str:
    return f"good enough, but {plan.MOST_CHEAPER} cheaper ones come before it"


def _others(
    first: str, targets: tuple[Target, ...], request: Request, origins: Mapping[str, str], grades: Grades
) -> list[Considered]:
    """The catalogue's other models, where some might have joined."""
    routing = request.routing
    if not (routing.cost_optimization or routing.latency_optimization):
        return []
    bar = standards.bar(first, routing, grades)
    there = {(target.provider, target.model) for target in targets}
    rows = []
    for model in catalog.all_models():
        if (model.provider, model.id) in there:
            continue
        if bar is None:
            why: str | None = f"nothing says what is good enough: {first} has no known quality; set quality_threshold"
        else:
            why = plan.unfit(model, request, origins, grades, bar)
        if why is None:
            why = "this key may not ask it"
        figure, source = _quality(model.name, routing.task, grades)
        rows.append(
            Considered(
                place=None,
                provider=model.provider,
                model=model.name,
                role="other",
                quality=figure,
                quality_from=source,
                reason=why,
            )
        )
    return rows


def _quality(name: str, task: str | None, grades: Grades) -> tuple[float | None, str | None]:
    grade = standards.measured(name, task, grades)
    if grade is not None:
        return grade.low, f"measured at {grade.task!r}, {grade.n} rows: lower end of the interval"
    return quality.lookup(name) or (None, None)


def _routed(known: routers.Known, request: Request, origins: Mapping[str, str], facts: plan.Facts) -> list[Considered]:
    """Both models of a router: the one that is asked, or the one that is asked first."""
    rule = known.rule
    order, why = [rule.cheap, rule.strong], ["asked first", f"asked too where {rule.signal} is not enough"]
    if rule.kind == "predictive":
        figure = routers.foretold(known, signals.prompt_text(request.messages))
        trusted = rule.serves(figure)
        chosen, other = (rule.cheap, rule.strong) if trusted else (rule.strong, rule.cheap)
        sign = "at least" if trusted else "below"
        least = "any" if rule.threshold is None else f"{rule.threshold:.3g}"
        order = [chosen, other]
        why = [f"the router foretells {figure:.3g}, {sign} {least}", "the router does not choose it for this question"]
    rows: list[Considered] = []
    for n, (model, said) in enumerate(zip(order, why, strict=True)):
        one = msgspec.structs.replace(request, model=model)
        shown = [row for row in explained(one, origins, facts) if row.role != "other"]
        out = rule.kind == "predictive" and n == 1
        place = sum(row.place is not None for row in rows)
        rows += [
            msgspec.structs.replace(
                row,
                place=None if out or row.place is None else row.place + place,
                reason=said if row.role == "requested" else f"{said}; {row.reason}",
            )
            for row in shown
        ]
    return rows
