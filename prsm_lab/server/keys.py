"""Keys: made from 256 random bits, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import Key, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.ledger.accounts import Accounts

TIERS: Final = {
    "Free": Limits(requests_per_minute=20, tokens_per_minute=40_000, concurrent=2),
    "Basic": Limits(requests_per_minute=100, tokens_per_minute=200_000, concurrent=5),
    "Pro": Limits(requests_per_minute=500, tokens_per_minute=1_000_000, concurrent=20),
    "Enterprise": Limits(),
}
"""The seed's tiers; Enterprise has the limits that are given, else none."""
SCOPES: Final = ("infer", "read", "admin")
_SHAPE: Final = re.compile(rb"pk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_SPAN: Final = re.compile(r"(\d+)\s*([mhdw])")
_SECONDS: Final = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def digest(key: bytes) -> bytes:
    """Return what is stored of a key. A key of 256 random bits cannot be guessed: a slow hash would only slow us."""
    return hashlib.blake2b(key, digest_size=32).digest()


def holder(accounts: Accounts, given: bytes) -> Key | None:
    """Return the good key that was given, in the same time for every wrong one."""
    shape = _SHAPE.fullmatch(given)
    found = accounts.find(shape[1].decode()) if shape else None
    kept = found[1] if found else bytes(32)
    same = hmac.compare_digest(digest(given), kept)
    return found[0] if found and same and found[0].is_good(time.time()) else None


def make(
    accounts: Accounts,
    person: str,
    *,
    tier: str = "Free",
    credits: float | None = None,
    models: Sequence[str] | None = None,
    expires: str | float | None = None,
    scopes: Sequence[str] = ("infer", "read"),
    limits: Mapping[str, int | None] | None = None,
) -> str:
    """Make a key and return it; it is never seen again.

    Args:
        accounts: Where it is kept.
        person: Whose it is.
        tier: `Free`, `Basic`, `Pro`, `Enterprise`.
        credits: USD that it may spend; None: not metered.
        models: Names of the models that may answer; None: all.
        expires: A span such as `"12h"`, `"7d"`, `"2w"`, or seconds from now; None: never.
        scopes: Of `infer`, `read`, `admin`.
        limits: For `Enterprise`: `requests_per_minute`, `tokens_per_minute`, `concurrent`.
    """
    if not isinstance(person, str) or not re.fullmatch(r"[\w .@+-]{1,64}", person):
        raise _wrong("name", "1 to 64 letters, digits, blanks or . @ + -", person)
    if not isinstance(tier, str) or tier not in TIERS:
        raise _wrong("tier", "one of " + ", ".join(TIERS), tier)
    if credits is not None and (
        isinstance(credits, bool) or not (isinstance(credits, (int, float)) and 0 <= credits < 1e9)
    ):
        raise _wrong("credits", "USD, at least 0", credits)
    if not _are_names(scopes) or not scopes or not set(scopes) <= set(SCOPES):
        raise _wrong("scopes", "some of " + ", ".join(SCOPES), scopes)
    if models is not None and not _are_names(models):
        raise _wrong("models", "a list of names", models)
    if limits is not None and not isinstance(limits, Mapping):
        raise _wrong("limits", "an object", limits)
    if limits and tier != "Enterprise":
        raise _wrong("limits", "none: only tier Enterprise has limits of its own", dict(limits))
    id, now = secrets.token_hex(6), time.time()  # noqa: A001 -- the column's name
    key = f"pk_{id}_{secrets.token_urlsafe(32)}"
    accounts.add(
        Key(
            id=id, person=person, tier=tier, limits=_limits(limits) if limits else TIERS[tier], scopes=tuple(scopes),
            models=_models(models), credits=None if credits is None else float(credits), created=now,
            expires=None if expires is None else now + seconds(expires),
        ),
        digest(key.encode()),
    )  # fmt: skip
    return key


def rotate(accounts: Accounts, id: str) -> str:
    """Make a key that takes over from another, which ends at once: same person, tier, scopes, what is left."""
    old = accounts.revoke(id)
    new, now = secrets.token_hex(6), time.time()
    key = f"pk_{new}_{secrets.token_urlsafe(32)}"
    accounts.add(msgspec.structs.replace(old, id=new, created=now, revoked=None, last_used=None), digest(key.encode()))
    return key


def seconds(span: str | float) -> float:
    """Read a span of time.

    >>> seconds("7d"), seconds(90)
    (604800.0, 90.0)
    """
    if isinstance(span, (int, float)) and not isinstance(span, bool) and span > 0:
        return float(span)
    match = _SPAN.fullmatch(span.strip()) if isinstance(span, str) else None
    if match is None:
        raise _wrong("expires", 'a span such as "12h", "7d", "2w", or seconds', span)
    return int(match[1]) * _SECONDS[match[2]]


def _are_names(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _models(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The catalogue's names of the models that are meant, so that no alias slips through."""
    if names is None:
        return None
    from prsm_lab import catalog

    return tuple(catalog.find(name).name for name in names)


def _limits(given: Mapping[str, int | None]) -> Limits:
    for name, value in given.items():
        if name not in Limits.__struct_fields__ or not (value is None or _is_count(value)):
            raise _wrong(f"limits.{name}", "a whole number of " + " or ".join(Limits.__struct_fields__), value)
    return Limits(**given)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _wrong(parameter: str, expected: str, got: object) -> InvalidRequestError:
    return InvalidRequestError(
        f"{parameter} must be {expected}, not {got!r:.80}.",
        details={"parameter": parameter, "expected_type": expected},
    )
