"""`client.keys`: the keys of a share server, blocking and to be awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import Key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypedDict, Unpack

    from prsm_lab.client.desks import Owner
    from prsm_lab.engine.remote_keys import RemoteKeys

    class Terms(TypedDict, total=False):
        """What a key may be given; see `Keys.create`."""

        tier: str
        credits: float | None
        models: Sequence[str] | None
        expires: str | float | None
        scopes: Sequence[str]
        limits: Mapping[str, int | None] | None


class _Desk:
    def __init__(self, client: Owner) -> None:
        self._client = client

    @property
    def _there(self) -> RemoteKeys:
        from prsm_lab.engine.remote import Remote

        if not isinstance(self._client.engine, Remote):
            raise InvalidRequestError(
                "Keys belong to a share server, and this client works in its own process: share = lab.serve() starts "
                "one, share.new_key(name) makes a key; or set PRSM_API_URL and PRSM_API_KEY to reach one.",
                details={"parameter": "keys"},
            )
        return self._client.engine.keys


class Keys(_Desk):
    """`client.keys`: what this key may do; with the scope `admin`, everybody's."""

    def me(self) -> Key:
        """Return this client's own key: tier, limits, scopes, what is left of its credits."""
        return portal.call(self._there.me())

    def list(self) -> tuple[Key, ...]:
        """Return all keys, newest first."""
        return portal.call(self._there.all())

    def create(self, name: str, **terms: Unpack[Terms]) -> str:
        """Make a key for somebody and return it, this once: the server keeps a digest only.

        Args:
            name: Whose it is. A person's keys share limits and history.
            **terms: `tier` (`Free`, `Basic`, `Pro`, `Enterprise`), `credits` in USD, `models` that may answer,
                `expires` (`"12h"`, `"7d"`, seconds), `scopes` of `infer`, `read`, `admin`, and for Enterprise `limits`
                with `requests_per_minute`, `tokens_per_minute`, `concurrent`.

        Raises:
            AuthenticationError: If this client's key may not.
            InvalidRequestError: Naming the parameter; or if this client asks no share server.
        """
        return portal.call(self._there.make(name, dict(terms)))

    def revoke(self, key: str) -> Key:
        """End a key for good, by its id or by the key itself; its open streams end within a second."""
        return portal.call(self._there.revoke(Key.id_of(key)))

    def rotate(self, key: str) -> str:
        """End a key and return its successor: same person, tier, scopes, and what is left of its credits."""
        return portal.call(self._there.rotate(Key.id_of(key)))


class AsyncKeys(_Desk):
    """`client.keys`, to be awaited; see `Keys`."""

    async def me(self) -> Key:
        """Return this client's own key."""
        return await portal.arun(self._there.me())

    async def list(self) -> tuple[Key, ...]:
        """Return all keys, newest first."""
        return await portal.arun(self._there.all())

    async def create(self, name: str, **terms: Unpack[Terms]) -> str:
        """Make a key for somebody and return it, this once."""
        return await portal.arun(self._there.make(name, dict(terms)))

    async def revoke(self, key: str) -> Key:
        """End a key for good."""
        return await portal.arun(self._there.revoke(Key.id_of(key)))

    async def rotate(self, key: str) -> str:
        """End a key and return its successor."""
        return await portal.arun(self._there.rotate(Key.id_of(key)))
