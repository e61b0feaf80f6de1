"""What a usage report covers and how it is grouped, in the seed's names."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

GROUPS: Final = ("model", "provider", "key", "day")
_LAST = re.compile(r"last_(\d{1,5})_(hour|day|week)s?")
_SECONDS = {"hour": 3600.0, "day": 86400.0, "week": 7 * 86400.0}


def span(timeframe: str | None, *, now: float | None = None) -> tuple[float | None, float | None]:
    """Return since and until in Unix seconds; None is open.

    Args:
        timeframe: `last_24_hours`, `last_7_days`, `last_30_days` …, `all`, or `ISO/ISO` (UTC where no zone is
            given; either side may be empty).
        now: Stands in for the clock.

    >>> span("last_24_hours", now=86400.0)
    (0.0, None)
    >>> span("1970-01-01/1970-01-02")
    (0.0, 86400.0)
    """
    if timeframe is None or timeframe == "all":
        return None, None
    match = _LAST.fullmatch(timeframe)
    if match:
        return (time.time() if now is None else now) - int(match[1]) * _SECONDS[match[2]], None
    start, slash, end = timeframe.partition("/")
    try:
        if not slash:
            raise ValueError(timeframe)
        return _instant(start), _instant(end)
    except ValueError:
        raise InvalidRequestError(
            f"Unknown timeframe {timeframe!r}; use last_24_hours, last_7_days, last_30_days, all, or "
            "2026-01-01/2026-02-01.",
            details={"parameter": "timeframe", "expected_type": "string"},
        ) from None


def groups(names: str | Iterable[str]) -> tuple[Any, ...]:
    """Check what a report is grouped by: one name of `GROUPS`, or several.

    >>> groups("model"), groups(["key", "day"])
    (('model',), ('key', 'day'))
    """
    found = (names,) if isinstance(names, str) else tuple(names)
    for name in found:
        if name not in GROUPS:
            raise InvalidRequestError(
                f"group_by must be some of {', '.join(GROUPS)}, not {name!r:.40}.", details={"parameter": "group_by"}
            )
    return found


def _instant(text: str) -> float | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
