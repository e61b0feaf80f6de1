"""The composition root: settings become windows and an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from prsm_lab import checks
from prsm_lab.errors import InvalidRequestError
from prsm_lab.settings import Settings, access, sealed

if TYPE_CHECKING:
    from prsm_lab.protocols import Engine, Provider
    from prsm_lab.settings import Access

MockResponses = Mapping[str, Mapping[str, Any]]


def sealed_options(given: Any) -> Any:
    """Hide the keys of a provider's options from the frames below."""
    if isinstance(given, (list, tuple)):
        return [sealed_options(one) for one in given]
    if isinstance(given, Mapping) and "api_key" in given:
        return {**given, "api_key": sealed(given["api_key"])}
    return given


def is_place(given: object) -> bool:
    """Tell whether a provider is given by key and address, or several, and is none of one's own."""
    return isinstance(given, (Mapping, list, tuple))


def options(providers: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the options of providers that are given by key and address; of several, those of the first."""
    found = {}
    for name, given in providers.items():
        if is_place(given):
            found[name] = given if isinstance(given, Mapping) else _members(name, given)[0][1]
    return found


def pooled(chosen: Settings, providers: Mapping[str, Any]) -> Settings:
    """Return settings with all keys and addresses of those providers that have several.

    Raises:
        InvalidRequestError: If one is wrong.
    """
    found = dict(chosen.providers)
    for name, given in providers.items():
        if not isinstance(given, (list, tuple)):
            continue
        members = tuple(
            msgspec.structs.replace(access(name, **options), weight=weight) for weight, options in _members(name, given)
        )
        origin = " | ".join(dict.fromkeys(member.origin for member in members))
        found[name] = msgspec.structs.replace(members[0], origin=origin, members=members)
    return msgspec.structs.replace(chosen, providers=found)


def _members(name: str, given: Sequence[Any]) -> list[tuple[float, dict[str, Any]]]:
    """The weight and the options of each key or address."""
    if not given:
        raise InvalidRequestError(
            f"providers[{name!r}] is an empty list: give a key or an address.", details={"parameter": "providers"}
        )
    members = []
    for position, one in enumerate(given):
        where = f"providers[{name!r}][{position}]"
        options = dict(checks.mapping(one, where))
        weight = checks.number(options.pop("weight", 1.0), f"{where}.weight", low=0, open_low=True)
        members.append((1.0 if weight is None else weight, options))
    return members


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
    own = {name: given for name, given in providers.items() if not is_place(given)}
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

    if place.members:
        from prsm_lab.engine.balance import Pool

        windows = [connect(member, pool=MOST_IN_FLIGHT) for member in place.members]
        return Pool(place.provider, windows, [member.weight for member in place.members], place.origin)
    return connect(place, pool=MOST_IN_FLIGHT)


def _windows(chosen: Settings, given: Mapping[str, Any]) -> dict[str, Provider]:
    from prsm_lab.providers import function, weights

    windows: dict[str, Provider] = {"local": weights.Weights()}
    for name, place in chosen.providers.items():
        windows[name] = window(place)
    for name, value in given.items():
        if callable(value) and not hasattr(value, "send"):
            windows[name] = function.Function(name, value)
        elif not is_place(value):
            windows[name] = value
    return windows


def _mocks(chosen: Settings, given: Mapping[str, Any], responses: MockResponses) -> dict[str, Provider]:
    from prsm_lab.providers.mock import Mock

    return {name: Mock(name, responses) for name in (*chosen.providers, *given, "local")}
