"""Pure: who may answer a request, in which order.

`candidates` depends only on the request, the catalogue and which providers there are, so the fingerprint can
rest on it; `ordered` then looks at prices, latencies and breakers of the moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from prsm_lab import catalog
from prsm_lab.catalog import hours, prices
from prsm_lab.engine import routers, standards
from prsm_lab.engine.standards import NO_GRADES
from prsm_lab.errors import BudgetExceededError, InvalidRequestError, NotFoundError
from prsm_lab.types import Capabilities, Model, Request, Strategy, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prsm_lab.engine.standards import Grades

_json = msgspec.json.Encoder(enc_hook=str).encode
MOST_CHEAPER = 3
"""Under cost optimisation, so many cheaper models are tried before the requested one."""
USUAL_COMPLETION = 500
"""Completion tokens assumed where neither the request nor the model sets a limit, to compare prices."""


class Facts(NamedTuple):
    """What the moment adds to a plan."""

    is_open: Callable[[Target], bool]
    """Has this target's breaker tripped?"""
    latency_ms: Mapping[tuple[str, str], float | None]
    """Recent 95th percentile by provider and model id: of the latency, or of the time to the first piece."""
    grades: Grades = NO_GRADES
    """Measured qualities."""
    explore: tuple[str, str] | None = None
    """Under latency optimisation: the place that is tried first, because what is known of it is old."""


def candidates(request: Request, origins: Mapping[str, str], grades: Grades = NO_GRADES) -> tuple[Target, ...]:
    """Name the targets that may answer: the requested model, its fallbacks, its cheaper or faster peers.

    Args:
        request: What is asked.
        origins: The providers there are, with where each really is.
        grades: Measured qualities.

    Returns:
        Targets in the caller's order of preference, without duplicates; the first is the requested one.

    Raises:
        NotFoundError: If the model is unknown (with the nearest names), or a router.
        InvalidRequestError: If a provider is unknown, or a fallback has no comparable model or cannot take
            what the request uses.
    """
    if (known := routers.of(request.model)) is not None:
        both = [_as(request, known.rule.strong), _as(request, known.rule.cheap)]
        return tuple(dict.fromkeys(target for one in both for target in candidates(one, origins, grades)))
    requested = requested_model(request, origins)
    chosen = [_target(requested, origins)]
    for step in request.routing.fallback:
        _add_fallback(chosen, step, requested, request, origins)
    if request.routing.cost_optimization or request.routing.latency_optimization:
        peers = (_target(model, origins, peer=True) for model in _peers(requested, request, origins, grades))
        chosen += [target for target in peers if not _contains(chosen, target)]
    return tuple(chosen) if request.routing.only is None else _permitted(chosen, request.routing.only)


def ordered(targets: tuple[Target, ...], request: Request, facts: Facts) -> tuple[Target, ...]:
    """Order the candidates for this moment.

    Raises:
        BudgetExceededError: If every target could cost more than the request's `max_cost`, or its price is
            unknown under one.
    """
    routing, chosen = request.routing, list(targets)
    if routing.max_cost is not None:
        chosen = [target for target in chosen if affordable(target, request, routing.max_cost)]
        if not chosen:
            raise BudgetExceededError(
                f"No target can answer for at most ${routing.max_cost:g}: a request's worst case is its prompt plus "
                "max_tokens at list price. Lower max_tokens, raise cost_optimization['max_cost'], or set a missing "
                "price with lab.prices.set.",
                details={"parameter": "cost_optimization.max_cost"},
            )
    if routing.cost_optimization or routing.latency_optimization:
        chosen = _optimised(chosen, targets[0], request, facts)
    chosen.sort(key=facts.is_open)  # stable: tripped routes go last, none is removed
    return tuple(chosen)


def worst_case(targets: tuple[Target, ...], request: Request) -> float | None:
    """Return the most that a question can cost in USD, whichever target answers.

    A token is at least one byte, so a prompt has at most as many tokens as bytes; the answer is bounded by
    `max_tokens`.

    Returns:
        None where a price is unknown, or nothing bounds the answer's length.
    """
    worst, known = 0.0, routers.of(request.model)
    for target in targets:
        limit = request.options.max_tokens or target.capabilities.default_max_tokens or target.capabilities.max_output
        line = prices.line(target.name, target.provider)
        cost = None if limit is None else prices.worst_case(most_prompt_tokens(request), limit, line)
        if cost is None:
            cost = hours.worst_case(target.name, target.provider, request.timeout)
        if cost is None:
            return None
        worst = max(worst, cost)
    return worst * (known.rule.calls if known is not None else 1)


# ------------------------------------------------------------------------------------------------ candidates


def _as(request: Request, model: str) -> Request:
    return msgspec.structs.replace(request, model=model)


def requested_model(request: Request, origins: Mapping[str, str]) -> Model:
    """Return the model that a request means, at the provider that it means.

    Raises:
        NotFoundError: If there is no such model, or this client lacks its provider.
        InvalidRequestError: If the provider is unknown, or has no comparable model.
    """
    wanted = request.routing.provider
    if wanted is not None:
        _known(wanted, "provider", origins)
    model = _named(request.model, wanted, origins)
    if wanted is not None and model.provider != wanted:
        return _at(model, wanted, "provider", request.model)
    if model.provider not in origins:
        raise NotFoundError(
            f"Model {request.model!r} belongs to provider {model.provider!r}, which this client does not have. "
            f"Its providers: {', '.join(sorted(origins))}. Connect it with "
            f"Client(providers={{{model.provider!r}: {{'base_url': …, 'api_key': …}}}}).",
            details={"parameter": "model"},
        )
    primary = request.routing.primary
    free = wanted is None and model.provider in _BUILT_IN  # `provider=` and `mine/model` say where
    if primary in origins and primary != model.provider and free and (same := _same_model(model, str(primary))):
        return same
    return model


_BUILT_IN = frozenset(catalog.BUILT_IN)


def _named(name: str, provider: str | None, origins: Mapping[str, str]) -> Model:
    """Read a model's name: `mine/anything` belongs to a provider that this client calls `mine`."""
    head, slash, rest = name.partition("/")
    if slash and head in origins and head not in _BUILT_IN:
        return catalog.find(rest, head)
    return catalog.find(name, provider if provider not in _BUILT_IN else None)


def _known(provider: str, parameter: str, origins: Mapping[str, str]) -> None:
    if provider not in origins:
        raise InvalidRequestError(
            f"Unknown provider {provider!r}; this client has {', '.join(sorted(origins))}.",
            details={"parameter": parameter},
        )


def _at(model: Model, provider: str, parameter: str, asked: str) -> Model:
    """The comparable model at another provider."""
    if provider not in _BUILT_IN:
        return catalog.find(model.id, provider)
    peer = catalog.equivalent(model, provider)
    if peer is None:
        raise InvalidRequestError(
            f"{provider!r} has no model comparable to {asked!r}; name one, "
            f'e.g. fallback_config={{"strategies": [{{"provider": "{provider}", "model": "…"}}]}}.',
            details={"parameter": parameter},
        )
    return peer


def _same_model(model: Model, provider: str) -> Model | None:
    """The very same weights elsewhere (an open model on one's own server), if the catalogue or the user lists them."""
    return next((other for other in catalog.all_models() if (other.provider, other.id) == (provider, model.id)), None)


def _add_fallback(
    chosen: list[Target], step: Strategy, requested: Model, request: Request, origins: Mapping[str, str]
) -> None:
    if step.provider is not None:
        _known(step.provider, "fallback_config.strategies", origins)
    if step.model is not None:
        model = _named(step.model, step.provider, origins)
        if step.provider is not None and model.provider != step.provider:
            model = _at(model, step.provider, "fallback_config.strategies", step.model)
    elif step.provider == requested.provider:
        model = requested
    else:
        model = _at(requested, str(step.provider), "fallback_providers", request.model)
    target = _target(model, origins, timeout=step.timeout)
    for position, other in enumerate(chosen):
        if (other.provider, other.model) == (target.provider, target.model):
            if step.timeout is not None and other.timeout is None:
                chosen[position] = target  # the step only sets the time limit of a target that is there already
            return
    lacking = _lacking(target.capabilities, request)
    if lacking:
        raise InvalidRequestError(
            f"Fallback {model.name!r} ({model.provider}) cannot take {', '.join(lacking)}, which this request uses.",
            details={"parameter": "fallback_config.strategies"},
        )
    chosen.append(target)


def _lacking(capabilities: Capabilities, request: Request) -> list[str]:
    options, lacking = request.options, []
    if options.tools and not capabilities.tools:
        lacking.append("tools")
    if not capabilities.images and any(
        isinstance(part, dict) and part.get("type") in ("image_url", "file")
        for message in request.messages
        if isinstance(message.get("content"), (list, tuple))
        for part in message["content"]
    ):
        lacking.append("images")
    return lacking


def _peers(requested: Model, request: Request, origins: Mapping[str, str], grades: Grades) -> list[Model]:
    """Living models of known price and of enough quality to stand in for the requested one."""
    bar = standards.bar(requested.name, request.routing, grades)
    if bar is None:
        return []  # nothing says what would be good enough
    return [model for model in catalog.all_models() if unfit(model, request, origins, grades, bar) is None]


def unfit(model: Model, request: Request, origins: Mapping[str, str], grades: Grades, bar: standards.Bar) -> str | None:
    """Say why a model of the catalogue may not stand in for the requested one; None if it may."""
    if model.provider not in origins:
        return f"this client has no provider {model.provider!r}"
    if catalog.is_retired(model):
        return catalog.retirement_note(model)
    if (lack := standards.below(model.name, request.routing.task, grades, bar)) is not None:
        return lack
    if prices.line(model) is None:
        return "its price is not known: lab.prices.set gives it one"
    lacking = _lacking(model.capabilities, request)
    return f"it does not take {', '.join(lacking)}" if lacking else None


def _target(model: Model, origins: Mapping[str, str], *, timeout: float | None = None, peer: bool = False) -> Target:
    return Target(
        provider=model.provider,
        model=model.id,
        name=model.name,
        capabilities=model.capabilities,
        timeout=timeout,
        peer=peer,
        origin=origins.get(model.provider, ""),
    )


def _permitted(chosen: list[Target], only: tuple[str, ...]) -> tuple[Target, ...]:
    """Leave out peers that may not answer; what was named and may not is refused."""
    refused = next((target for target in chosen if not target.peer and target.name not in only), None)
    if refused is not None:
        raise NotFoundError(
            f"This key may not ask {refused.name!r}; it may ask {', '.join(only)}.", details={"parameter": "model"}
        )
    return tuple(target for target in chosen if target.name in only)


def _contains(targets: list[Target], target: Target) -> bool:
    return any((other.provider, other.model) == (target.provider, target.model) for other in targets)


# --------------------------------------------------------------------------------------------------- ordering


def prompt_tokens(request: Request) -> int:
    """Estimate a prompt's tokens: four characters each, and four for each message's frame.

    Good to about 12 % in the median and 50 % at worst on mixed text; only used to compare targets and bound
    their cost before anything is sent.
    """
    characters = sum(len(str(message.get("content") or "")) + 16 for message in request.messages)
    return characters // 4 + 1


MOST_IMAGE_TOKENS = 16_384
"""What one image costs at most, at any of the providers' present models and details."""


MOST_SCHEMA_TOKENS = 1024
"""What asking for a fitting answer adds to the schema itself: our instruction, or a provider's own words about tools
and formats. Ours has under 200 bytes; nobody publishes a bound of theirs, so the rest is room."""


def most_prompt_tokens(request: Request) -> int:
    """Bound a prompt's tokens from above: one for each byte of what is sent, images apart."""
    options, images, size = request.options, 0, 0
    for message in request.messages:
        parts = message.get("content")
        if isinstance(parts, (list, tuple)):
            texts = [part for part in parts if not (isinstance(part, dict) and part.get("type") == "image_url")]
            images += len(parts) - len(texts)
            message = {**message, "content": texts}  # noqa: PLW2901 -- the message without its images
        size += _size(message) + 16
    if options.schema is not None:
        size += MOST_SCHEMA_TOKENS
    return size + _size((options.tools, options.schema, options.extra)) + images * MOST_IMAGE_TOKENS


def _size(value: object) -> int:
    try:
        return len(_json(value))
    except (UnicodeEncodeError, ValueError):  # a lone surrogate
        return 4 * len(repr(value))


def _completion_tokens(target: Target, request: Request) -> int:
    limit = request.options.max_tokens or target.capabilities.default_max_tokens
    return USUAL_COMPLETION if limit is None else limit


def expected_cost(target: Target, request: Request) -> float | None:
    """Return what a usual answer costs in USD; None where no price is known."""
    line = prices.line(target.name, target.provider)
    completion = min(_completion_tokens(target, request), USUAL_COMPLETION)
    return prices.worst_case(prompt_tokens(request), completion, line)


def affordable(target: Target, request: Request, cap: float) -> bool:
    """Tell whether a target's worst case is within a cap in USD; an unknown one is not."""
    line = prices.line(target.name, target.provider)
    worst = prices.worst_case(prompt_tokens(request), _completion_tokens(target, request), line)
    if worst is None:
        worst = hours.worst_case(target.name, target.provider, request.timeout)
    return worst is not None and worst <= cap


def _rank(figure: float | None) -> tuple[bool, float]:
    """Known figures in their order, unknown ones after them."""
    return (figure is None, figure or 0.0)


def _optimised(chosen: list[Target], requested: Target, request: Request, facts: Facts) -> list[Target]:
    """Cheapest or fastest first, of those that are good enough; named fallbacks that are weaker stay fallbacks."""
    good = [target for target in chosen if target == requested or _stands_in(target, requested, request, facts.grades)]
    weaker = [target for target in chosen if target not in good]
    if request.routing.cost_optimization:
        good.sort(key=lambda target: _rank(expected_cost(target, request)))
        return _cut(good) + weaker
    latency = [(facts.latency_ms.get((target.provider, target.model)), target) for target in good]
    latency.sort(key=lambda pair: _rank(pair[0]))
    fast = [
        *(target for known, target in latency if known is not None or not target.peer),
        *weaker,
        *(target for known, target in latency if known is None and target.peer),  # nothing says that these are faster
    ]
    fast.sort(key=lambda target: target not in good or (target.provider, target.model) != facts.explore)
    return fast


def _stands_in(target: Target, requested: Target, request: Request, grades: Grades) -> bool:
    """May optimisation put this target before the requested one? Peers by choice; a named one unless it is weaker."""
    bar = standards.bar(requested.name, request.routing, grades)
    if target.peer or bar is None:
        return True
    if standards.known(target.name, request.routing.task, grades) is None:
        return request.routing.quality_threshold is None
    return standards.below(target.name, request.routing.task, grades, bar) is None


def _cut(chosen: list[Target]) -> list[Target]:
    """Keep the few cheapest and everything that was asked for by name."""
    return [*chosen[:MOST_CHEAPER], *(target for target in chosen[MOST_CHEAPER:] if not target.peer)]
