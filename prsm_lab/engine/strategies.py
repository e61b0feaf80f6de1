"""What a batch's `fallback_strategy` means for those of its questions that say nothing of their own. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab import catalog
from prsm_lab.engine import routers
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import Request, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from prsm_lab.types import Model

STRATEGIES: Final = ("best_available", "cheapest", "fastest", "none")


def check(strategy: object) -> None:
    """Refuse what is no strategy.

    Raises:
        InvalidRequestError: Naming those that there are.
    """
    if strategy not in STRATEGIES:
        raise InvalidRequestError(
            f"fallback_strategy must be one of {', '.join(STRATEGIES)}.",
            details={"parameter": "fallback_strategy", "expected_type": "string"},
        )


def applied(request: Request, strategy: str, own: Collection[str], may: Callable[[Model], bool]) -> Request:
    """Return a question under a batch's strategy.

    `best_available`: the comparable models of the other providers are its fallbacks. `cheapest` and `fastest`: cost or
    latency optimisation. `none`: no fallbacks.

    Args:
        request: The question.
        strategy: One of `STRATEGIES`.
        own: Options that the question itself names.
        may: Tells whether a model may be asked.

    Raises:
        NotFoundError: If the question's model is unknown.

    >>> made = applied(Request(model="gpt-4", messages=()), "best_available", (), lambda model: True)
    >>> [step.provider for step in made.routing.fallback]
    ['anthropic', 'huggingface']
    """
    routing = request.routing
    if strategy == "cheapest" and "cost_optimization" not in own:
        routing = msgspec.structs.replace(routing, cost_optimization=True)
    elif strategy == "fastest" and "latency_optimization" not in own:
        routing = msgspec.structs.replace(routing, latency_optimization=True)
    elif strategy == "best_available" and not routing.fallback:
        known = routers.of(request.model)
        name = request.model if known is None else known.rule.strong
        model = catalog.find(name, routing.provider if routing.provider not in catalog.BUILT_IN else None)
        others = [name for name in catalog.BUILT_IN if name not in (model.provider, "local")]
        peers = [(name, catalog.equivalent(model, name)) for name in others]
        steps = tuple(Strategy(provider=name) for name, peer in peers if peer is not None and may(peer))
        routing = msgspec.structs.replace(routing, fallback=steps)
    elif strategy == "none" and not ({"fallback_providers", "fallback_config"} & set(own)):
        routing = msgspec.structs.replace(routing, fallback=())
    return msgspec.structs.replace(request, routing=routing)
