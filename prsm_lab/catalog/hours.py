"""Prices of machines that are paid by the hour: seconds become cost. Used through `prices.gpu_hour`."""

from __future__ import annotations

import datetime
import math
from typing import Final, NamedTuple

from prsm_lab.errors import InvalidRequestError
from prsm_lab.types import PriceLine

HOUR: Final = 3600.0

_rates: dict[str, Rate] = {}


class Rate(NamedTuple):
    """What an hour of a machine costs, and for whose answers."""

    name: str
    """A provider, or one model as `provider/model`."""
    usd: float
    line: PriceLine


def set_rate(name: str, usd: float, source: str) -> PriceLine:
    """Set what an hour costs; see `prices.gpu_hour`."""
    if isinstance(usd, bool) or not isinstance(usd, (int, float)) or not (usd >= 0 and math.isfinite(usd)):
        raise InvalidRequestError(f"{usd!r} is no amount of USD per hour.", details={"parameter": "usd"})
    if not isinstance(name, str) or not name:
        raise InvalidRequestError(
            "Whose hour? Name a provider ('vllm') or a model ('vllm/qwen').", details={"parameter": "name"}
        )
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    line = PriceLine(source=f"${usd:g} an hour of {name}, shared by what is in flight; {source}", date=today)
    _rates[name] = Rate(name, float(usd), line)
    return line


def rate(name: str, provider: str | None) -> Rate | None:
    """Return what an hour of the machine that serves a model costs; None where tokens are paid for."""
    if not _rates:
        return None
    return _rates.get(name) or _rates.get(provider or name.partition("/")[0])


def worst_case(name: str, provider: str, seconds: float | None) -> float | None:
    """Return the most that a question can cost: the machine for itself until its deadline; None: no rate, no deadline.

    >>> worst_case("gpt-4", "openai", 60.0) is None
    True
    """
    found = rate(name, provider)
    return None if found is None or seconds is None else found.usd * seconds / HOUR


def forget() -> None:
    """Forget all rates."""
    _rates.clear()
