"""What this engine has seen of its routes: circuit breakers and the retry budget.

Retries are paid out of a budget per route (Finagle's: one retry per five requests, and ten to begin with), so
that a dead provider is not asked three times for every row. A route that failed five times in a row is asked
last and without retries until it answers again; the breaker never removes a route, because the last one must
still be tried. A provider that refused the key or has no credits is closed for runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prsm_lab.engine.pace import Route, route

if TYPE_CHECKING:
    from prsm_lab.errors import PRSMError
    from prsm_lab.types import Target

TRIP_AFTER: Final = 5
"""Consecutive failures that open a breaker (Envoy's default)."""
OPEN_SECONDS: Final = 30.0
CLOSED_SECONDS: Final = 60.0
"""How long runs do not ask a provider whose key or account was refused."""
RETRY_SHARE: Final = 0.2
RETRY_FLOOR: Final = 10.0


@dataclass
class _State:
    failures: int = 0
    open_until: float = 0.0
    retries: float = field(default=RETRY_FLOOR)


class Health:
    """Breakers, retry budgets and closed providers of one engine."""

    def __init__(self) -> None:
        self._routes: dict[Route, _State] = {}
        self._closed: dict[tuple[str, int | None], tuple[float, PRSMError]] = {}

    def _state(self, target: Target) -> _State:
        where = route(target)
        state = self._routes.get(where)
        if state is None:
            state = self._routes[where] = _State()
        return state

    def asked(self, target: Target) -> None:
        """A question goes to this target for the first time: it earns its share of a retry."""
        state = self._state(target)
        state.retries = min(state.retries + RETRY_SHARE, 100.0)

    def answered(self, target: Target) -> None:
        state = self._state(target)
        state.failures, state.open_until = 0, 0.0
        self._closed.pop((target.provider, target.member), None)

    def failed(self, target: Target, error: PRSMError) -> None:
        """Count a fault against the route; refused keys and empty accounts close the provider."""
        if error.closes_route:
            self._closed[target.provider, target.member] = (time.monotonic() + CLOSED_SECONDS, error)
        if error.status < 500:
            return  # throttled or refused: the provider is alive
        state = self._state(target)
        state.failures += 1
        if state.failures >= TRIP_AFTER:
            state.open_until = time.monotonic() + OPEN_SECONDS

    def is_open(self, target: Target) -> bool:
        """Has the breaker tripped?"""
        return self._state(target).open_until > time.monotonic()

    def take_retry(self, target: Target) -> bool:
        """Pay for one retry, if the budget of this route still allows one."""
        state = self._state(target)
        if state.retries < 1:
            return False
        state.retries -= 1
        return True

    def closed(self, target: Target) -> PRSMError | None:
        """Return why a provider is not asked at the moment, if it is not."""
        until, error = self._closed.get((target.provider, target.member), (0.0, None))
        return error if until > time.monotonic() else None

    def forget(self, provider: str) -> None:
        """Forget what was seen of a provider: it has another key or another place now."""
        self._closed = {place: why for place, why in self._closed.items() if place[0] != provider}
        for where in [where for where in self._routes if where.provider == provider]:
            del self._routes[where]
