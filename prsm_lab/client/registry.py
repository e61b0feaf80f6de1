"""What this process has connected or made: models of one's own that every embedded client has from then on.

The process-wide default client has them at once, a new one from its beginning. A share server's client has none: who
runs the server connects there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import catalog
from prsm_lab.errors import InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_given: Final[dict[str, Any]] = {}


def given() -> Mapping[str, Any]:
    """Return everything by name: a function, or the options of a server."""
    return dict(_given)


def keep(name: str, value: Any) -> None:
    """Keep something for clients that are made later."""
    _given[name] = value


def drop(name: str) -> bool:
    """Forget it; tell whether there was anything."""
    catalog.forget(name)
    return _given.pop(name, None) is not None


def check(name: object, what: str) -> str:
    """Return a name that a provider of one's own may have.

    Raises:
        InvalidRequestError: If it is none, or somebody else's.

    >>> check("mine", "model")
    'mine'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"{name!r:.80} is no name for a {what}: a letter, then letters, digits and _ . - (64 at most).",
            details={"parameter": "name"},
        )
    taken = name in catalog.BUILT_IN
    if not taken:
        try:
            taken = not catalog.is_registered(catalog.find(name))
        except NotFoundError:
            taken = False
    if taken:
        raise InvalidRequestError(
            f"{name!r} is the name of something else already; choose another for your {what}.",
            details={"parameter": "name"},
        )
    return name
