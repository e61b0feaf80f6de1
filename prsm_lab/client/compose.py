"""The composition root: settings become windows and an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prsm_lab.errors import InvalidRequestError
from prsm_lab.settings import Settings, sealed

if TYPE_CHECKING:
    from prsm_lab.protocols import Engine, Provider

MockResponses = Mapping[str, Mapping[str, Any]]


def sealed_options(given: Any) -> Any:
    """Hide the key of a provider's options from the frames below."""
    if isinstance(given, Mapping) and "api_key" in given:
        return {**given, "api_key": sealed(given["api_key"])}
    return given


def options(providers: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: given for name, given in providers.items() if isinstance(given, Mapping)}


def engine(chosen: Settings, providers: Mapping[str, Any], *, mocked: MockResponses | None, max_retries: int) -> Engine:
    """The composition root: choose and build the engine."""
    if chosen.api_url is not None and mocked is None:
        raise InvalidRequestError(
            "A share server (base_url= or PRSM_API_URL) cannot be used yet: this version answers in this process "
            "only. Unset PRSM_API_URL; for an OpenAI-compatible server pass "
            "providers={'name': {'base_url': …}}.",
            details={"parameter": "base_url"},
        )
    from prsm_lab.engine.embedded import Embedded
    from prsm_lab.ledger import Ledger

    windows = _mocks(chosen, providers, mocked) if mocked is not None else _windows(chosen, providers)
    return Embedded(windows, Ledger.open(chosen.ledger), max_retries=max_retries)


def _windows(chosen: Settings, given: Mapping[str, Any]) -> dict[str, Provider]:
    from prsm_lab.providers import connect, function, weights

    windows: dict[str, Provider] = {"local": weights.Weights()}
    for name, reach in chosen.providers.items():
        windows[name] = connect(reach)
    for name, value in given.items():
        if callable(value) and not hasattr(value, "send"):
            windows[name] = function.Function(name, value)
        elif not isinstance(value, Mapping):
            windows[name] = value
    return windows


def _mocks(chosen: Settings, given: Mapping[str, Any], responses: MockResponses) -> dict[str, Provider]:
    from prsm_lab.providers.mock import Mock

    return {name: Mock(name, responses) for name in (*chosen.providers, *given, "local")}
