"""The time axis of usage: a day that nobody asked on has its place, and years are read by month."""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.types import JSON

MOST_DAYS: Final = 62
"""That are drawn one by one."""
_ADDED: Final = ("total_requests", "unpriced_requests")


def of(days: Sequence[JSON], since: float | None, until: float | None, *, now: float) -> tuple[str, list[JSON]]:
    """Return what a period is, and the periods of a time span without gaps.

    Args:
        days: Figures of the days on which something was asked (`name` is the date in UTC), in their order.
        since: Begin of the span, Unix time; None: the first day.
        until: Its end, which is not in it; None: now.
        now: The clock.

    Returns:
        `day` or `month`; and for each its `name`, requests, requests of unknown cost, and known cost (None if nothing
        is known of it).

    >>> day = {"name": "1970-01-02", "total_requests": 3, "unpriced_requests": 0, "total_cost": 0.5}
    >>> [(one["name"], one["total_requests"]) for one in of([day], 0.0, None, now=200_000.0)[1]]
    [('1970-01-01', 0), ('1970-01-02', 3), ('1970-01-03', 0)]
    """
    if not days:
        return "day", []
    first, last = (datetime.date.fromisoformat(days[n]["name"]) for n in (0, -1))
    end = max(last, _date(now if until is None else min(now, until - 0.001)))
    begin = first if since is None else min(first, max(_date(since), end - datetime.timedelta(MOST_DAYS - 1)))
    names = [(begin + datetime.timedelta(n)).isoformat() for n in range((end - begin).days + 1)]
    if len(names) <= MOST_DAYS:
        return "day", _added(days, names, 10)
    return "month", _added(days, list(dict.fromkeys(name[:7] for name in names)), 7)


def _added(days: Sequence[JSON], names: Sequence[str], letters: int) -> list[JSON]:
    """Put each day into the period whose name its own begins with."""
    found: dict[str, JSON] = {
        name: {"name": name, **dict.fromkeys(_ADDED, 0), "total_cost": 0.0, "asked": False} for name in names
    }
    for day in days:
        period = found[day["name"][:letters]]
        before = period["total_cost"] if period["asked"] else None
        known = [cost for cost in (before, day["total_cost"]) if cost is not None]
        period |= {"total_cost": math.fsum(known) if known else None, "asked": True}
        for name in _ADDED:
            period[name] += day[name]
    return [{name: value for name, value in period.items() if name != "asked"} for period in found.values()]


def _date(moment: float) -> datetime.date:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).date()
