"""How the providers of a living client are reached, and how that is changed.

A key belongs to one place: it goes with its provider to another path of the same host, and is left behind when the
provider moves to another host.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from prsm_lab import settings
from prsm_lab.client import compose
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.render import line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prsm_lab.engine.embedded import Embedded, Listing
    from prsm_lab.protocols import Engine, Provider
    from prsm_lab.settings import Access, Secret, Settings

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
LONGEST_URL: Final = 400


class Reach:
    """The providers of an embedded client; to be used on the engine's loop.

    Args:
        engine: Who asks them.
        accesses: How those are reached that have an address; the others are functions, weights, own windows.
    """

    def __init__(self, engine: Embedded, accesses: Mapping[str, Access]) -> None:
        self._engine = engine
        self._accesses = dict(accesses)
        self._added: set[str] = set()

    @property
    def accesses(self) -> Mapping[str, Access]:
        """How those providers are reached that have an address."""
        return self._accesses

    @property
    def names(self) -> tuple[str, ...]:
        """All providers."""
        return tuple(self._engine.origins)

    def added(self, name: str) -> bool:
        """Was it added while the client lived?"""
        return name in self._added

    async def set(
        self, name: str, *, key: Secret | None = None, base_url: str | None = None, keep: bool = False
    ) -> None:
        """Give a provider another key, or another address, from the next question on.

        Args:
            name: The provider.
            key: Its key at that address; None: the one it has, if the address is at the same place.
            base_url: Its address; None: the one it has.
            keep: Put the key into the system's keyring too.

        Raises:
            InvalidRequestError: If the provider has no address, the address is none, or there is no keyring; in the
                last case the key is set nevertheless.
            AuthenticationError: If the key cannot be one.
        """
        had = self._accesses.get(name)
        if had is None:
            raise InvalidRequestError(f"{name!r} has no address or key to be set.", details={"parameter": "provider"})
        if had.members:
            raise InvalidRequestError(
                f"{name!r} has several keys or addresses; they are set with Client(providers=…).",
                details={"parameter": "provider"},
            )
        url = address(base_url, name) if base_url else had.base_url
        await self._open(await asyncio.to_thread(_moved, had, url, key))
        if keep and key is not None:
            await asyncio.to_thread(settings.keep, name, url, self._accesses[name].key or key)
            self._accesses[name] = msgspec.structs.replace(self._accesses[name], key_source="keyring")

    async def add(self, name: str, base_url: str, *, key: Secret | None = None, keep: bool = False) -> None:
        """Connect a server that speaks Chat Completions; its models are `name/model`.

        Raises:
            InvalidRequestError: If the name or the address is none, or the name is taken.
            AuthenticationError: If the key cannot be one.
        """
        if not _NAME.fullmatch(name):
            raise InvalidRequestError(
                "A server's name is of small letters, digits and _, and begins with a letter, as in my_server.",
                details={"parameter": "name"},
            )
        if name in self._engine.origins:
            raise InvalidRequestError(f"There is a provider {name!r} already.", details={"parameter": "name"})
        url = address(base_url, name)
        access = await asyncio.to_thread(settings.access, name, api_key=key, base_url=url, insecure=True)
        self._added.add(name)
        await self._open(access)
        if keep:
            await self.set(name, key=key, keep=True)

    async def put(self, access: Access) -> None:
        """Connect a server as it was resolved elsewhere, or move it."""
        self._added.add(access.provider)
        await self._open(access)

    async def own(self, name: str, window: Provider) -> None:
        """Ask through a window of one's own from the next question on."""
        self._accesses.pop(name, None)
        await self._engine.replace(name, window)

    async def part(self, name: str) -> None:
        """Take away a server or a window of one's own, if it is there."""
        self._added.discard(name)
        self._accesses.pop(name, None)
        if name in self._engine.origins:
            await self._engine.replace(name, None)

    async def remove(self, name: str) -> None:
        """Take away a server that was added; what is in the keyring stays there."""
        if name not in self._added:
            raise InvalidRequestError(f"{name!r} was not added here.", details={"parameter": "provider"})
        self._added.discard(name)
        del self._accesses[name]
        await self._engine.replace(name, None)

    async def forget(self, name: str) -> None:
        """Forget the key that a provider has from this kernel or the keyring; the environment's may show then."""
        had = self._accesses[name]
        if had.members:
            raise InvalidRequestError(
                f"{name!r} has several keys or addresses; they are set with Client(providers=…).",
                details={"parameter": "provider"},
            )
        if had.key_source == "keyring":
            await asyncio.to_thread(settings.unkeep, name, had.base_url)
        await self._open(await asyncio.to_thread(_without_key, had))

    async def test(self, name: str) -> Listing:
        """List a provider's models.

        Raises:
            PRSMError: What is wrong, with its remedy; it does not hold the key, even where the server echoes it.
        """
        access = self._accesses.get(name)
        key = access.key if access else None
        try:
            found = await self._engine.listing(name)
        except PRSMError as fault:
            fault.message = _hidden(fault.message, key)
            raise
        return found._replace(models=tuple(line(_hidden(model, key)) for model in found.models))

    async def _open(self, access: Access) -> None:
        self._accesses[access.provider] = access
        await self._engine.replace(access.provider, compose.window(access))


def of(engine: Engine, chosen: Settings, given: Mapping[str, Any], *, mocked: bool) -> Reach | None:
    """Return how a new client's providers are reached; None if that is not the client's to say."""
    from prsm_lab.engine.embedded import Embedded

    if mocked or not isinstance(engine, Embedded):
        return None
    own = {name for name, value in given.items() if not compose.is_place(value)}
    return Reach(engine, {name: access for name, access in chosen.providers.items() if name not in own})


def address(url: str, provider: str) -> str:
    """Check an address that somebody typed; a key that was typed in its place is not repeated.

    Raises:
        InvalidRequestError: Saying what is wrong, without what was typed.
    """
    url = url.strip()
    if not url.startswith(("http://", "https://")) or len(url) > LONGEST_URL or any(c in url for c in " ?#\\"):
        raise InvalidRequestError(
            "The base URL must be an address like https://host/v1, without ? and #.", details={"parameter": "base_url"}
        )
    with contextlib.suppress(ValueError, InvalidRequestError):
        if not settings.place(url).endswith(":none"):
            return settings.address(url, provider)
    raise InvalidRequestError(
        "The base URL has no host, a wrong port, or a password in it; a key goes into its own field.",
        details={"parameter": "base_url"},
    )


def _moved(had: Access, url: str, key: Secret | None) -> Access:
    """The same provider at an address, with the key that belongs there."""
    if key is not None:
        return _at(had, url, settings.secret(key, name=f"the key of {had.provider}"), "argument")
    if settings.place(url) == settings.place(had.base_url):
        return _at(had, url, had.key, had.key_source)
    if had.provider not in settings.VARIABLES:
        return _at(had, url, None, None)
    ambient = _ambient(had.provider, url, None)
    kept = settings.kept(had.provider, url) if ambient[0] is None else None
    return _at(had, url, *(ambient if kept is None else (kept, "keyring")))


def _without_key(had: Access) -> Access:
    usual = None if had.provider in settings.VARIABLES else had.base_url
    return _at(had, had.base_url, *_ambient(had.provider, had.base_url, usual))


def _ambient(provider: str, url: str, usual: str | None) -> tuple[Secret | None, str | None]:
    """The key that environment and keyring have for a provider, if it belongs to that address."""
    try:
        found = settings.access(provider, base_url=usual)
    except PRSMError:
        return None, None
    same = settings.place(found.base_url) == settings.place(url)
    return (found.key, found.key_source) if same else (None, None)


def _at(had: Access, url: str, key: Secret | None, source: str | None) -> Access:
    origin = had.origin if url == had.base_url else url
    meant = had.insecure or url != had.base_url  # a panel says what http means where the address is typed
    return msgspec.structs.replace(had, base_url=url, key=key, key_source=source, origin=origin, insecure=meant)


def _hidden(text: str, key: Secret | None) -> str:
    return text if key is None else text.replace(key.reveal(), "[redacted]")
