"""The composition root: settings become windows and an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from prsm_lab.errors import InvalidRequestError
from prsm_lab.settings import Settings, access, sealed

if TYPE_CHECKING:
    from prsm_lab.protocols import Engine, Provider
    from prsm_lab.settings import Access

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


class Outfit(NamedTuple):
    """What a worker in another process needs to ask as this client does; no key is in it."""

    places: dict[str, dict[str, Any]]
    """Providers that have an address: `base_url`, `origin`, and whether a key may go there in the open."""
    own: dict[str, Any]
    """Functions and windows of one's own, as they were given: they travel as the caller's code does."""
    mocked: MockResponses | None


def outfit(chosen: Settings, providers: Mapping[str, Any], *, mocked: MockResponses | None) -> Outfit:
    """Return what of a client may travel."""
    own = {name: given for name, given in providers.items() if not isinstance(given, Mapping)}
    return Outfit(places(chosen.providers), own, mocked)


def places(accesses: Mapping[str, Access]) -> dict[str, dict[str, Any]]:
    """Return where providers are, without their keys."""
    return {
        name: {"base_url": one.base_url, "origin": one.origin, "insecure": one.insecure, "preset": one.preset}
        for name, one in accesses.items()
    }


def elsewhere(outfit: Outfit) -> dict[str, Provider]:
    """Make a client's windows in another process: at the same places, with the keys that are found there."""
    found = {name: access(name, **place) for name, place in outfit.places.items()}
    chosen = Settings(providers=found)
    return _windows(chosen, outfit.own) if outfit.mocked is None else _mocks(chosen, outfit.own, outfit.mocked)


def window(place: Access) -> Provider:
    """Return the window to a provider, as wide as the engine lets it be."""
    from prsm_lab.engine.embedded import MOST_IN_FLIGHT
    from prsm_lab.providers import connect

    return connect(place, pool=MOST_IN_FLIGHT)


def _windows(chosen: Settings, given: Mapping[str, Any]) -> dict[str, Provider]:
    from prsm_lab.providers import function, weights

    windows: dict[str, Provider] = {"local": weights.Weights()}
    for name, place in chosen.providers.items():
        windows[name] = window(place)
    for name, value in given.items():
        if callable(value) and not hasattr(value, "send"):
            windows[name] = function.Function(name, value)
        elif not isinstance(value, Mapping):
            windows[name] = value
    return windows


def _mocks(chosen: Settings, given: Mapping[str, Any], responses: MockResponses) -> dict[str, Provider]:
    from prsm_lab.providers.mock import Mock

    return {name: Mock(name, responses) for name in (*chosen.providers, *given, "local")}
