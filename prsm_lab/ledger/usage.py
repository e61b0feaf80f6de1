"""What it cost and how fast it was: reports over the ledger.

Latencies are those of answered questions that no cache served. Percentiles interpolate linearly between the
nearest ranks (Hyndman and Fan's type 7, numpy's and pandas' default).
"""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from prsm_lab.types import Query, Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prsm_lab.ledger.database import Database, Row
    from prsm_lab.types import Attempt

ROWS: Final = """
SELECT created, status, coalesce(model, requested_model) AS model, provider, prompt_tokens, completion_tokens, cost,
       latency_ms, cached, person
FROM inference
WHERE status <> 'running' AND owner <> 'imported' AND (error_code IS NULL OR error_code <> 'cancelled')
  AND (CAST(:since AS DOUBLE PRECISION) IS NULL OR created >= :since)
  AND (CAST(:until AS DOUBLE PRECISION) IS NULL OR created < :until)
  AND (CAST(:model AS TEXT) IS NULL OR model = :model OR requested_model = :model)
  AND (CAST(:provider AS TEXT) IS NULL OR provider = :provider)
  AND (CAST(:person AS TEXT) IS NULL OR person = :person)
"""

KNOCKS: Final = """
SELECT provider, model, started, latency_ms, ttft_ms, error_code FROM attempt WHERE started >= ?
ORDER BY started DESC LIMIT 10000
"""


def report(connection: Database, query: Query) -> Report:
    """Sum up the finished inferences that a query covers, and each of its groups."""
    found = connection.execute(
        ROWS,
        {
            "since": query.since, "until": query.until, "model": query.model, "provider": query.provider,
            "person": query.person,
        },
    ).fetchall()  # fmt: skip
    whole = _summed(found)
    if not query.group_by:
        return whole
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in found:
        groups[tuple(_key(row, name) for name in query.group_by)].append(row)
    lines = tuple(
        {**dict(zip(query.group_by, key, strict=True)), **_fields(_summed(groups[key]))}
        for key in sorted(groups, key=str)
    )
    return msgspec.structs.replace(whole, groups=lines)


def _key(row: Row, name: str) -> Any:
    if name == "day":
        return datetime.datetime.fromtimestamp(row["created"], datetime.UTC).date().isoformat()
    return row["person"] if name == "key" else row[name]


def _fields(summed: Report) -> dict[str, Any]:
    fields = msgspec.structs.asdict(summed)
    del fields["groups"]
    return fields


def _summed(found: Sequence[Row]) -> Report:
    answered = [row for row in found if row["status"] == "completed"]
    latencies = sorted(row["latency_ms"] for row in answered if not row["cached"] and row["latency_ms"] is not None)
    counted = [row for row in answered if row["prompt_tokens"] is not None and row["completion_tokens"] is not None]
    priced = [row["cost"] for row in found if row["cost"] is not None]  # an answer that fits no schema was paid as well
    unpriced = sum(1 for row in answered if row["cost"] is None)
    return Report(
        total_requests=len(found),
        total_tokens=sum(row["prompt_tokens"] + row["completion_tokens"] for row in counted) if counted else None,
        total_cost=math.fsum(priced) if priced else None,
        unpriced_requests=unpriced,
        avg_latency_ms=math.fsum(latencies) / len(latencies) if latencies else None,
        p50_latency_ms=percentile(latencies, 0.50),
        p95_latency_ms=percentile(latencies, 0.95),
        p99_latency_ms=percentile(latencies, 0.99),
        success_rate=len(answered) / len(found) if found else None,
        cached_requests=sum(1 for row in answered if row["cached"]),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return a percentile of figures in ascending order; None if there are none.

    >>> percentile([10.0, 20.0], 0.5)
    15.0
    """
    if not ordered:
        return None
    position = (len(ordered) - 1) * share
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


class Speed(NamedTuple):
    """How fast a place answered lately."""

    last: float
    """Unix time of the last attempt, whatever came of it."""
    latencies: tuple[float, ...]
    """ms of the answers, the oldest first."""
    firsts: tuple[float, ...]
    """ms to the first piece, of those that were asked for live."""

    def then(self, attempt: Attempt, most: int) -> Speed:
        """Return it after one more attempt; so many answers count at most."""
        last = max(self.last, attempt.started)
        if attempt.error_code is not None or attempt.latency_ms is None:
            return self._replace(last=last)
        first = () if attempt.ttft_ms is None else (attempt.ttft_ms,)
        return Speed(last, (*self.latencies, attempt.latency_ms)[-most:], (*self.firsts, *first)[-most:])

    def figure(self, *, live: bool) -> float | None:
        """Return the 95th percentile: of the time to the first piece where that counts and is known, else of the
        latency; None where no attempt answered."""
        return percentile(sorted(self.firsts if live and self.firsts else self.latencies), 0.95)


def paces(connection: Database, since: float, most: int) -> dict[tuple[str, str], Speed]:
    """Return how fast each (provider, model id) answered since a Unix time, of so many latest answers at most."""
    found: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in connection.execute(KNOCKS, (since,)):  # the latest first
        if len(lately := found[row["provider"], row["model"]]) < most:
            lately.append(row)
    return {place: _speed(list(reversed(lately))) for place, lately in found.items()}


def _speed(knocks: Sequence[Row]) -> Speed:
    answered = [row for row in knocks if row["error_code"] is None and row["latency_ms"] is not None]
    firsts = tuple(row["ttft_ms"] for row in answered if row["ttft_ms"] is not None)
    return Speed(max(row["started"] for row in knocks), tuple(row["latency_ms"] for row in answered), firsts)
