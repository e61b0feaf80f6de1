"""A run at work in the background: watched, retuned, paused, cancelled, awaited, found again by its id."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prsm_lab import checks
from prsm_lab.client import default_client
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.types import shown

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd

    from prsm_lab.client import Client
    from prsm_lab.frames.work import Work

_at_work: Final[weakref.WeakValueDictionary[tuple[int, str], Job]] = weakref.WeakValueDictionary()
"""This process's jobs by engine and run; one that runs is kept alive by the loop that runs it."""


class Progress(NamedTuple):
    """How far a run is."""

    rows: int
    done: int
    """Rows that are filled: answered, reused or failed."""
    asked: int
    reused: int
    failed: int
    not_sent: int
    """Rows that there was no money for."""
    spent_usd: float
    """Of the answers whose price is known."""
    unpriced: int
    """Answers whose price is not."""
    seconds: float
    rate: float | None
    """Rows a second that were asked, over the whole time; None: not known yet."""

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until its end at this rate; None: not known."""
        return (self.rows - self.done) / self.rate if self.rate else None


class Job:
    """A run that goes on while the notebook does something else; `lab.batch(…, background=True)` makes one.

    `await job` waits for the frame as `job.result()` does; to stop waiting does not stop the run. Answers are in the
    ledger as they come: a kernel that dies loses nothing, and the same call goes on.

    >>> import prsm_lab as lab
    >>> client = lab.Client(mock_mode=True, ledger=":memory:")
    >>> job = lab.batch(["a", "b"], "{text}", model="gpt-4", client=client, background=True)
    >>> len(job.result()), job.state, job.progress.done
    (2, 'done', 2)
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._state = "running"
        self._job: portal.Job[None] = portal.begin(self._run())

    @property
    def id(self) -> str:
        """The run's id: `lab.load(job.id)` lays its frame out, now or in another kernel."""
        return self._work.id

    @property
    def state(self) -> str:
        """`running`, `paused`, `done`, `stopped` (cancelled) or `failed` (it could not begin)."""
        return "paused" if self._state == "running" and self._work.crew.paused else self._state

    @property
    def progress(self) -> Progress:
        """How far it is, at this moment."""
        tally, seconds = self._work.tally, self._work.tally.seconds
        fresh = tally.done - tally.reused - tally.unaffordable
        return Progress(
            tally.rows, tally.done, tally.asked, tally.reused, tally.failed - tally.unaffordable, tally.unaffordable,
            tally.spent, tally.unpriced, seconds, fresh / seconds if fresh > 0 and seconds > 0 else None,
        )  # fmt: skip

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, at most so long; tell whether it has come."""
        return self._job.wait(seconds)

    def results(self) -> pd.DataFrame:
        """Return the frame so far, at once; rows that are not answered yet are NA."""
        return self._work.result(final=False)

    def result(self, timeout: float | None = None) -> pd.DataFrame:
        """Wait for the end and return the frame.

        Args:
            timeout: Seconds to wait; None: for as long as it takes. An interrupt ends the waiting, not the run.

        Raises:
            TimeoutError: If it has not ended by then (the builtin one).
            PRSMError: What kept it from beginning; the first row's error under `on_error="raise"`.
        """
        if not self._job.wait(timeout):
            raise TimeoutError(f"{self!r} has not ended within {timeout:g} s; it goes on.")
        return self._ended()

    def __await__(self) -> Generator[Any, None, pd.DataFrame]:
        async def ended() -> pd.DataFrame:
            await portal.joined(self._job)
            return self._ended()

        return ended().__await__()

    # ------------------------------------------------------------------------------------------------- steering

    def cancel(self) -> None:
        """Stop paying: what is in flight is cancelled, what was answered is kept; the same call asks the rest."""
        self._job.cancel()

    def pause(self) -> None:
        """Send nothing new; what is in flight ends."""
        self._work.crew.pause()

    def resume(self) -> None:
        """Go on."""
        self._work.crew.resume()

    @property
    def max_concurrency(self) -> int:
        """Most questions in flight; may be set while it runs."""
        return self._work.crew.size

    @max_concurrency.setter
    def max_concurrency(self, most: int) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise checks.wrong("max_concurrency", "number of at least 1", most)
        self._work.crew.size = most

    @property
    def max_cost(self) -> float | None:
        """USD that the run may spend; may be set while it runs, not on a share server's client."""
        return self._work.max_cost

    @max_cost.setter
    def max_cost(self, usd: float | None) -> None:
        self._work.max_cost = checks.number(usd, "max_cost", low=0)

    # -------------------------------------------------------------------------------------------------- helpers

    def same(self, work: Work) -> bool:
        """Does another call ask the same?"""
        return self._work.same(work)

    async def _run(self) -> None:
        ended = "failed"
        try:
            await self._work.run()
            ended = "done"
        except asyncio.CancelledError:
            ended = "stopped"
            raise
        finally:
            self._state = ended

    def _ended(self) -> pd.DataFrame:
        if self._state == "failed":
            self._job.result()
        return self._work.result(final=self._state == "done")

    def __repr__(self) -> str:
        now = self.progress
        some = f"{now.done:,} of {now.rows:,} rows, {now.failed:,} failed, {shown.money(now.spent_usd)} spent"
        return shown.line(f"Job {self.id} {self.state}: {some}")

    def _repr_html_(self) -> str:
        """Show it as a line of figures; a panel (`lab.panels.batch`) shows them live."""
        now, eta = self.progress, self.progress.eta_seconds
        headings = ("run", "state", "rows", "reused", "failed", "not sent", "spent", "rows/s", "left")
        spent = shown.paid(now.spent_usd, now.unpriced)
        rate = None if now.rate is None else f"{now.rate:,.1f}"
        left = None if eta is None or self.state != "running" else f"{eta:,.0f} s"
        rows = f"{now.done:,} / {now.rows:,}"
        row = (self.id, self.state, rows, now.reused, now.failed, now.not_sent, spent, rate, left)
        return shown.table(headings, [row], figures=7)


def begin(work: Work) -> Job:
    """Start a run in the background, or return the job that is at it already.

    Raises:
        InvalidRequestError: If the run is at work with other settings.
    """
    place = (id(work.client.engine), work.id)
    known = _at_work.get(place)
    if known is not None and known.state in ("running", "paused"):
        if known.same(work):
            return known
        raise InvalidRequestError(
            f"{work.id} is at work already with other settings: lab.job({work.id!r}).cancel() stops it.",
            details={"parameter": "background"},
        )
    made = Job(work)
    _at_work[place] = made
    return made


def job(run: str, *, client: Client | None = None) -> Job:
    """Return the job of a run that was begun in this process.

    Args:
        run: Its id.
        client: Who runs it; default the process's client.

    Raises:
        NotFoundError: If there is none here; `lab.load(run)` has what a run of another kernel got so far.
    """
    found = _at_work.get((id((client or default_client()).engine), run))
    if found is None:
        raise NotFoundError(
            f"No job of run {run!r} in this process. lab.load({run!r}) returns what it got so far; the call that began "
            "it goes on with the rest.",
            details={"parameter": "run"},
        )
    return found
