"""What was asked and what it cost, over time: the state of `panels.usage`. `usage.js` shows it.

It looks when it is made, when a filter changes, and when it is told to; it does not ask by itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import msgspec

from prsm_lab import render
from prsm_lab.engine import portal
from prsm_lab.engine.timeframe import span
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.panels import periods, still
from prsm_lab.panels.panel import Panel
from prsm_lab.types import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from prsm_lab.client import Client
    from prsm_lab.types import JSON, Report

SPANS: Final = ("last_24_hours", "last_7_days", "last_30_days", "all")
_SHOWN: Final = (
    "total_requests", "total_tokens", "total_cost", "unpriced_requests", "success_rate", "p50_latency_ms",
    "p95_latency_ms", "cached_requests",
)  # fmt: skip
_UNNAMED: Final = {"key": "this notebook", "model": "not answered"}
"""What the ledger has no name for: the owner's own questions, and those that nobody answered."""


class Filters(NamedTuple):
    """What is looked at; None is all."""

    timeframe: str
    model: str | None = None
    provider: str | None = None
    key: str | None = None

    def query(self) -> Query:
        """As the ledger is asked."""
        since, until = span(self.timeframe)
        return Query(since=since, until=until, model=self.model, provider=self.provider, person=self.key)


class Found(NamedTuple):
    """What was found."""

    filters: Filters
    since: float | None
    until: float | None
    whole: Report
    groups: dict[str, tuple[JSON, ...]]
    choices: dict[str, list[str]]
    """Models, providers and keys of the time span, whatever else is filtered."""


class UsagePanel(Panel):
    """Costs, requests, success and speed, by day, model and key.

    Args:
        client: Whose ledger; a share server's if it is a remote one, and then only what its key may see.
        timeframe: One of `SPANS`, or `ISO/ISO`.
    """

    kind: ClassVar[str] = "usage"

    def __init__(self, client: Client, timeframe: str) -> None:
        super().__init__()
        self._client = client
        self._lock = threading.RLock()
        self._job: portal.Job[None] | None = None
        self.filters = Filters(timeframe)
        """What is looked at, or will be in a moment."""
        self._found = portal.call(self._read(self.filters))

    # ------------------------------------------------------------------------------------------------ doing

    def look(
        self, timeframe: str | None = None, *, model: str | None = None, provider: str | None = None,
        key: str | None = None,
    ) -> UsagePanel:  # fmt: skip
        """Set the filters and look; None is all.

        Args:
            timeframe: One of `SPANS`, or `ISO/ISO` in UTC; None: as it is.
            model: Only this model.
            provider: Only this provider.
            key: Only what this person's keys asked.

        Returns:
            The panel, with the new figures.

        Raises:
            PRSMError: If the timeframe is none, or a share server cannot be asked; the filters stay as they were.
        """
        self._begin(Filters(timeframe or self.filters.timeframe, model, provider, key))
        return self._looked()

    def refresh(self) -> UsagePanel:
        """Look again, with the same filters."""
        self._begin(self.filters)
        return self._looked()

    def wait(self) -> UsagePanel:
        """Block until what was chosen in the page is there."""
        while self._job is not None and not self._job.wait(0.1):
            pass  # an interrupt gets through
        self.settle()
        return self

    # --------------------------------------------------------------------------------------------- knowing

    def to_frame(self, by: str = "day") -> pd.DataFrame:
        """Return the figures as a frame, one row a `day`, `model` or `key`."""
        groups = self._found.groups
        if by not in groups:
            raise InvalidRequestError(f"by={by!r:.40} is none of {', '.join(groups)}.", details={"parameter": "by"})
        made = msgspec.structs.replace(self._found.whole, groups=groups[by]).to_frame()
        if not groups[by]:
            made = made.iloc[:0]
            made.insert(0, by, "")
        return made

    def figure(self, by: str = "day") -> Any:
        """Return cost and requests by `day`, `model` or `key` as a plotly figure."""
        from prsm_lab import plot

        return plot.usage(self.to_frame(by))

    def code(self) -> str:
        """The line that gives the same figures without a panel."""
        timeframe, model, provider, key = self.filters
        if provider or key:
            filters = f"model={model!r}, provider={provider!r}, key={key!r}"
            return f"lab.panels.usage({timeframe!r}).look({filters}).to_frame()"
        if model:
            return f'client.inference.performance({model!r}, timeframe={timeframe!r}, group_by="day").to_frame()'
        return f'client.inference.analytics({timeframe!r}, group_by="day").to_frame()'

    @property
    def busy(self) -> bool:
        """Is it looking?"""
        return self._job is not None and not self._job.wait(0)

    @property
    def commands(self) -> Mapping[str, Callable[..., None]]:
        """What the page may call."""
        return {
            "look": lambda timeframe=None, **filters: self._begin(
                Filters(timeframe or self.filters.timeframe, **filters)
            ),
            "refresh": lambda: self._begin(self.filters),
        }

    def snapshot(self) -> JSON:
        """All that is shown."""
        with self._lock:
            filters, found = self.filters, self._found
        groups = {name: [_line(one, name) for one in found.groups[name]] for name in found.groups}
        per, shown = periods.of(groups["day"], found.since, found.until, now=time.time())
        return {
            **filters._asdict(), "busy": self.busy, "code": render.plain(self.code()),
            "notice": render.plain(self.notice),
            "spans": list(SPANS if filters.timeframe in SPANS else (*SPANS, filters.timeframe)),
            "models": found.choices["model"], "providers": found.choices["provider"], "keys": found.choices["key"],
            "whole": _figures(found.whole), "per": per, "periods": shown, "days": groups["day"],
            "by_model": _dearest(groups["model"]), "by_key": _dearest(groups["key"]),
        }  # fmt: skip

    def html(self) -> str:
        """The figures as tables."""
        return still.usage(self.snapshot())

    def __repr__(self) -> str:
        return f"<UsagePanel {self._found.filters.timeframe}: {self._found.whole.total_requests:,} requests>"

    # ---------------------------------------------------------------------------------------------- helpers

    def _begin(self, filters: Filters) -> None:
        """Look, and return at once; what was looked for meanwhile is not waited for any more."""
        filters.query()
        with self._lock:
            if self._job is not None:
                self._job.cancel()
            self.filters = filters
            self._job = portal.begin(self._look(filters))
            self._job.notify(self.changed)
        self.changed()

    def _looked(self) -> UsagePanel:
        self.wait()
        assert self._job is not None
        self._job.result()
        return self

    async def _look(self, filters: Filters) -> None:
        try:
            found = await self._read(filters)
        except PRSMError as fault:
            with self._lock:
                self.filters, self.notice = self._found.filters, fault.message
            raise
        with self._lock:
            self._found = found

    async def _read(self, filters: Filters) -> Found:
        query = filters.query()
        every = Query(since=query.since, until=query.until)
        names = (await self._ask(every, "model", "provider", "key")).groups
        reports = {name: await self._ask(query, name) for name in ("day", "model", "key")}
        return Found(
            filters, query.since, query.until, reports["day"],
            {name: report.groups for name, report in reports.items()},
            {name: sorted({str(one[name]) for one in names if one[name]}) for name in ("model", "provider", "key")},
        )  # fmt: skip

    async def _ask(self, query: Query, *by: Any) -> Report:
        await asyncio.sleep(0)  # a ledger of this process answers without a pause, and others stream meanwhile
        return await self._client.engine.usage(msgspec.structs.replace(query, group_by=by))


def _figures(report: Report) -> JSON:
    return {name: getattr(report, name) for name in _SHOWN}


def _line(group: JSON, name: str) -> JSON:
    named = render.line(group[name]) if group[name] else _UNNAMED.get(name, "–")
    return {"name": named, **{field: group[field] for field in _SHOWN}}


def _dearest(lines: list[JSON]) -> list[JSON]:
    return sorted(lines, key=lambda line: (-(line["total_cost"] or 0.0), -line["total_requests"], line["name"]))
