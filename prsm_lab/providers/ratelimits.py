"""What a provider says of its limits in the headers of its answers. Pure.

OpenAI and those who copy it: `x-ratelimit-limit|remaining|reset-requests|tokens`, the reset as a duration (`6m0s`,
`20ms`). Anthropic: `anthropic-ratelimit-requests|tokens|input-tokens|output-tokens-limit|remaining|reset`, the reset
as RFC 3339. Hugging Face and others: the IETF draft's `ratelimit` (`"api";r=0;t=55`, earlier `limit=100, remaining=0,
reset=5`), and the three `ratelimit-limit|remaining|reset` of its first versions, with or without `x-`. A value that
makes no sense is unknown.
"""

from __future__ import annotations

import datetime
import math
import re
from typing import TYPE_CHECKING, Final

from prsm_lab.types import Quota

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 86_400.0
"""Seconds: a reset further away is a mistake."""
MOST: Final = 10**12
_EPOCH: Final = 1e9
"""A bare number above is a Unix time, in milliseconds above a thousand times that."""

_DURATION = re.compile(
    r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m(?!s))?(?:([0-9]{1,6}(?:\.[0-9]+)?)s)?(?:([0-9]{1,9}(?:\.[0-9]+)?)ms)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_PAIR = re.compile(r"\b(r|t|q|limit|remaining|reset)\s*=\s*\"?([0-9]{1,15}(?:\.[0-9]+)?)")

_NAMED: Final = (
    *(("x-ratelimit-{}-" + kind, kind) for kind in ("requests", "tokens")),
    *(
        ("anthropic-ratelimit-" + kind + "-{}", kind.replace("-", "_"))
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
    ("ratelimit-{}", "requests"),
    ("x-ratelimit-{}", "requests"),
)
_MARKS: Final = (*(pattern.format("remaining") for pattern, _ in _NAMED), "ratelimit")


def read(headers: Mapping[str, str], *, now: float) -> tuple[Quota, ...]:
    """Return the limits that an answer's headers tell of, those that were left out unknown.

    Args:
        headers: Lower-case names, or a mapping that does not mind.
        now: Unix time of the answer, for resets that are dates.

    >>> read({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, now=0.0)
    (Quota(kind='requests', remaining=0, reset=360.0),)
    >>> read({"ratelimit": '"api";r=3;t=55'}, now=0.0)
    (Quota(kind='requests', remaining=3, reset=55.0),)
    """
    found: list[Quota] = []
    if not any(mark in headers for mark in _MARKS):
        return ()
    for pattern, kind in _NAMED:
        remaining = _count(headers.get(pattern.format("remaining")))
        if remaining is not None:
            limit = _count(headers.get(pattern.format("limit")))
            reset = seconds(headers.get(pattern.format("reset"), ""), now=now)
            found.append(Quota(kind=kind, limit=limit, remaining=remaining, reset=reset))
    for item in _items(headers.get("ratelimit", "")):
        pairs: dict[str, str] = dict(_PAIR.findall(item))
        remaining = _count(pairs.get("r", pairs.get("remaining")))
        if remaining is not None:
            limit = _count(pairs.get("q", pairs.get("limit")))
            reset = seconds(pairs.get("t", pairs.get("reset", "")), now=now)
            found.append(Quota(kind="requests", limit=limit, remaining=remaining, reset=reset))
    return tuple(found)


def pause(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds until the last of the exhausted limits is renewed; None: none is, or it is not said when.

    For a 429 that names no `retry-after`.
    """
    resets = [quota.reset for quota in read(headers, now=now) if quota.remaining == 0 and quota.reset]
    return max(resets, default=None)


def seconds(text: str, *, now: float) -> float | None:
    """Read when a limit is renewed, in seconds from now; what is past is 0, what makes no sense None.

    >>> seconds("1m30.5s", now=0.0), seconds("20ms", now=0.0), seconds("1970-01-01T00:00:07Z", now=2.0)
    (90.5, 0.02, 5.0)
    """
    text = text.strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return _spelled(text, now)
    if number >= _EPOCH:
        return _within(number / (1000.0 if number >= _EPOCH * 1000 else 1.0) - now)
    return _within(number) if number >= 0 else None


def _spelled(text: str, now: float) -> float | None:
    """A duration, or a moment."""
    if match := _DURATION.fullmatch(text):
        return _within(sum(float(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True)))
    if not text[:1].isdigit() or not text.isascii():
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        return _within((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _within(number: float) -> float | None:
    return max(0.0, number) if math.isfinite(number) and number <= LONGEST else None


def _count(text: str | None) -> int | None:
    """A number of requests or tokens; some servers write `99.0`."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return int(number) if 0 <= number <= MOST else None


def _items(text: str) -> list[str]:
    """The limits of a `ratelimit` header: each has its parameters after `;`, or it is one list of pairs."""
    return text.split(",") if ";" in text else [text]
