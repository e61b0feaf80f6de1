"""The composition root: settings become windows and an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prsm_lab.errors import InvalidRequestError
from prsm_lab.settings import sealed

if TYPE_CHECKING:
    from prsm_lab.protocols import Engine, Provider
    from prsm_lab.settings import Access, Settings

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
        if providers:
            raise InvalidRequestError(
                "providers= and a share server (base_url= or PRSM_API_URL) contradict each other: the server has its "
                "own. For an OpenAI-compatible server leave base_url out and pass providers={'name': {'base_url': …}}.",
                details={"parameter": "providers"},
            )
        from prsm_lab.engine.remote import Remote

        return Remote(chosen.api_url, chosen.api_key, proxy_token=chosen.proxy_token, max_retries=max_retries)
    from prsm_lab.engine.embedded import Embedded
    from prsm_lab.ledger import Ledger

    windows = _mocks(chosen, providers, mocked) if mocked is not None else _windows(chosen, providers)
    return Embedded(windows, Ledger.open(chosen.ledger), max_retries=max_retries)


def window(access: Access) -> Provider:
    """Return the window to a provider, as wide as the engine lets it be."""
    from prsm_lab.engine.embedded import MOST_IN_FLIGHT
    from prsm_lab.providers import connect

    return connect(access, pool=MOST_IN_FLIGHT)


def _windows(chosen: Settings, given: Mapping[str, Any]) -> dict[str, Provider]:
    from prsm_lab.providers import function, weights

    windows: dict[str, Provider] = {"local": weights.Weights()}
    for name, access in chosen.providers.items():
        windows[name] = window(access)
    for name, value in given.items():
        if callable(value) and not hasattr(value, "send"):
            windows[name] = function.Function(name, value)
        elif not isinstance(value, Mapping):
            windows[name] = value
    return windows


def _mocks(chosen: Settings, given: Mapping[str, Any], responses: MockResponses) -> dict[str, Provider]:
    from prsm_lab.providers.mock import Mock

    return {name: Mock(name, responses) for name in (*chosen.providers, *given, "local")}
