"""May a question set out? It has a key where one is needed, and the key does not travel in the open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prsm_lab.addresses import in_the_open, place
from prsm_lab.errors import AuthenticationError

if TYPE_CHECKING:
    from prsm_lab.settings import Access


def check(access: Access, *, needs_key: bool) -> None:
    """Check how a provider would be asked.

    Raises:
        AuthenticationError: If there is no key, or others could read it on its way; nothing is sent.
    """
    name, variable = access.provider, access.key_variable
    if needs_key and access.key is None:
        raise AuthenticationError(
            f"No key for {name}: set {variable}, or pass Client(providers={{{name!r}: {{'api_key': …}}}}). Nothing was "
            "sent.",
            provider=name, closes_route=True,
            details={"parameter": variable, "kind": "missing_key", "not_sent": True},
        )  # fmt: skip
    if access.key is not None and not access.insecure and in_the_open(access.base_url):
        raise AuthenticationError(
            f"The key of {name} would travel unencrypted to {place(access.base_url)}. Use https, or say that it may: "
            f"Client(providers={{{name!r}: {{'insecure': True, …}}}}). Nothing was sent.",
            provider=name, closes_route=True,
            details={"parameter": "base_url", "kind": "insecure", "not_sent": True},
        )  # fmt: skip
