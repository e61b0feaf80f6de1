"""A run over rows, watched: the state of `panels.batch`. `batch.js` shows it.

The run is the one of `lab.batch` and `lab.compare`: every answer is in the ledger before it is counted here, so that
stopping loses nothing and starting again asks only what is missing. It runs on the portal's loop; the panel's methods
may be called on any thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from prsm_lab import checks, render
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.frames import asking
from prsm_lab.frames import data as rows_of
from prsm_lab.panels import still
from prsm_lab.panels.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from prsm_lab.frames.work import Work
    from prsm_lab.types import JSON, Inference

State = Literal["ready", "running", "stopped", "done", "failed"]
RATE_SECONDS: Final = 10.0
"""Over which the rate is measured."""
LATENCIES: Final = 400
"""The latest, for the sketch and its quantiles."""
FIRST: Final = 5
"""Rows that are shown."""
_known: Final[weakref.WeakValueDictionary[tuple[int, str], BatchPanel]] = weakref.WeakValueDictionary()
"""The panels of this process by engine and run: the one that runs, or the latest."""


class BatchPanel(Panel):
    """Start, watch and stop one run.

    Args:
        work: The run, not begun.
        place: Engine and run: what may run only once at a time.
        code: The line that does the same without a panel.
    """

    kind: ClassVar[str] = "batch"

    def __init__(self, work: Work, place: tuple[int, str], code: str) -> None:
        super().__init__()
        self._work, self._place, self._code = work, place, code
        self._lock = threading.RLock()
        self._job: portal.Job[None] | None = None
        self._state: State = "ready"
        self._errors: dict[str, tuple[int, str]] = {}
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._moments: deque[tuple[float, int]] = deque()
        work.listen(self._heard)

    @property
    def run(self) -> str:
        """The run's id: `lab.load(panel.run)` lays its frame out again."""
        return self._work.id

    def same(self, work: Work) -> bool:
        """Would that run be shown here, as it is or was?"""
        return self._work.same(work) and (self.busy or not work.plan.fresh)

    # ------------------------------------------------------------------------------------------------ doing

    def start(self) -> None:
        """Begin, or go on where it was stopped, or ask the failed rows again; return at once.

        Raises:
            InvalidRequestError: If the same run is at work in another panel, with other settings or other columns.
        """
        with self._lock:
            if self.busy:
                return
            other = _known.get(self._place)
            if other is not None and other is not self and other.busy:
                raise InvalidRequestError(f"{self.run} is at work already with other settings: stop it there first.")
            _known[self._place] = self
            self._errors.clear()
            self._moments.clear()
            self._mark()
            self._state = "running"
            self._job = portal.begin(self._run())
            self._job.notify(self.changed)
        self.changed()

    def stop(self) -> None:
        """Stop what is in flight; what was answered is kept, and a new start asks only the rest."""
        if self._job is not None and self.busy:
            self._job.cancel()

    def pause(self) -> None:
        """Send nothing new; what is in flight comes in."""
        self._work.crew.pause()
        self.changed()

    def resume(self) -> None:
        """Go on."""
        self._work.crew.resume()
        self.changed()

    def retune(self, *, max_concurrency: int | None = None, max_cost: float | str | None = "as it is") -> None:
        """Change how the run goes, before it or while it works.

        Args:
            max_concurrency: Most questions in flight; None: as it is.
            max_cost: USD that the run may spend, what it has paid included; None: no cap.

        Raises:
            InvalidRequestError: If a figure is none, or the cap is a share server's to keep.
        """
        if max_concurrency is not None:
            if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int) or max_concurrency < 1:
                raise checks.wrong("max_concurrency", "number of at least 1", max_concurrency)
            self._work.crew.size = max_concurrency
        if max_cost != "as it is":
            self._work.max_cost = checks.number(max_cost, "max_cost", low=0)
        self.changed()

    def wait(self, seconds: float | None = None) -> BatchPanel:
        """Block until the run has ended, at most so long; an interrupt stops it."""
        until = None if seconds is None else time.monotonic() + seconds
        try:
            while self._job is not None and not self._job.wait(0.1):
                if until is not None and time.monotonic() > until:
                    return self
        except KeyboardInterrupt:
            self.stop()
            raise
        self.settle()
        return self

    def result(self) -> pd.DataFrame:
        """Wait for the end and return the frame, as `lab.batch` or `lab.compare` does.

        Raises:
            InvalidRequestError: If it was not started.
            PRSMError: What ended the run before its first question, such as an unknown model; the first row's error
                under `on_error="raise"`.
        """
        if self._job is None:
            raise InvalidRequestError("This run was not started: panel.start(), or the button.")
        self.wait()
        if self._state == "failed":
            self._job.result()
        return self._work.result()

    @property
    def frame(self) -> pd.DataFrame | None:
        """The frame, once the run has ended; rows that were not asked are NA. None before."""
        return None if self.busy or self._job is None else self._work.result()

    # --------------------------------------------------------------------------------------------- knowing

    @property
    def busy(self) -> bool:
        """Is it running?"""
        return self._job is not None and not self._job.wait(0)

    @property
    def commands(self) -> Mapping[str, Callable[..., None]]:
        """What the page may call."""
        return {
            "start": self.start, "stop": self.stop, "pause": self.pause, "resume": self.resume, "retune": self.retune,
        }  # fmt: skip

    def snapshot(self) -> JSON:
        """All that is shown."""
        tally = self._work.tally
        with self._lock:
            rate, left = self._rate(), tally.rows - tally.done
            latencies = sorted(self._latencies)
            spent = tally.spent if tally.spent or not tally.unpriced else None  # not known is no nought
            return {
                "state": self._state, "run": self.run, "rows": tally.rows, "done": tally.done, "asked": tally.asked,
                "reused": tally.reused, "failed": tally.failed - tally.unaffordable, "left": left, "spent": spent,
                "saved": tally.saved, "unpriced": tally.unpriced, "simulated": tally.simulated, "rate": rate,
                "eta_ms": left / rate * 1000 if rate and self._state == "running" else None,
                "took_ms": None if self._job is None else tally.seconds * 1000,
                "errors": [{"code": code, "n": n, "message": text} for code, (n, text) in sorted(self._errors.items())],
                "latencies": [round(value) for value in self._latencies], "p50_ms": _quantile(latencies, 0.5),
                "p95_ms": _quantile(latencies, 0.95), "first": [_shown(*row) for row in self._work.first(FIRST)],
                "paused": self._work.crew.paused and self.busy, "max_concurrency": self._work.crew.size,
                "max_cost": self._work.max_cost, "not_sent": tally.unaffordable,
                "code": self._code, "notice": render.plain(self.notice),
            }  # fmt: skip

    def html(self) -> str:
        """The figures as a table."""
        return still.run(self.snapshot())

    def __repr__(self) -> str:
        tally = self._work.tally
        return f"<BatchPanel {self.run} {self._state}: {tally.done:,} of {tally.rows:,} rows, {tally.failed:,} failed>"

    # ---------------------------------------------------------------------------------------------- helpers

    async def _run(self) -> None:
        ended: State = "failed"
        try:
            await self._work.run()
            ended = "done"
        except asyncio.CancelledError:
            ended = "stopped"
            raise
        except PRSMError as fault:
            self.notice = fault.message
            raise
        finally:
            with self._lock:
                self._state = ended
                self._mark()

    def _heard(self, positions: Sequence[int], outcome: Inference | PRSMError) -> None:
        with self._lock:
            self._mark()
            if isinstance(outcome, PRSMError):
                n, text = self._errors.get(outcome.code, (0, render.line(outcome.message, longest=400)))
                self._errors[outcome.code] = (n + len(positions), text)
            elif outcome.latency_ms is not None and not outcome.cached:
                self._latencies.append(outcome.latency_ms)
        self.changed()

    def _mark(self) -> None:
        """Remember how far it is now; reused rows say nothing about the speed."""
        now = time.monotonic()
        self._moments.append((now, self._work.tally.done - self._work.tally.reused))
        while now - self._moments[0][0] > RATE_SECONDS:
            self._moments.popleft()

    def _rate(self) -> float | None:
        """Rows a second of the last seconds; it falls while nothing comes."""
        if not self._moments:
            return None
        (first, before), (last, after) = self._moments[0], self._moments[-1]
        last = time.monotonic() if self._state == "running" else last
        return (after - before) / (last - first) if after > before and last > first else None


def _quantile(ordered: Sequence[float], part: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def _shown(row: int, model: str, outcome: Inference | PRSMError) -> JSON:
    failed = isinstance(outcome, PRSMError)
    text = outcome.message if isinstance(outcome, PRSMError) else outcome.content or ""
    cost = None if isinstance(outcome, PRSMError) else outcome.cost.amount
    said = render.line(text[:4000], longest=240)
    return {"row": row, "model": render.line(model), "text": said, "cost": cost, "failed": failed}


def of(
    data: object, prompt: Any, *, model: str | None, models: Sequence[str], system: str | None, options: dict[str, Any]
) -> BatchPanel:  # fmt: skip
    """Return the panel of a run: the one that shows it already, or a new one."""
    if (model is None) == (not models):
        raise InvalidRequestError("Give model= for one model, or models=[…].", details={"parameter": "model"})
    names = [models] if isinstance(models, str) else list(models)
    code = _code(data, prompt, {"model": model} if model is not None else {"models": names}, system, options)
    rows = rows_of.frame(data).copy()  # the cells below may change theirs while it runs
    if model is not None:
        work = asking.one_model(rows, prompt, model, system, cast("asking.Running", options))
    else:
        grid, samples = options.pop("grid", None) or {}, options.pop("samples", 1)
        work = asking.many_models(rows, prompt, names, system, grid, samples, cast("asking.Running", options))
    place = (id(options["client"].engine), work.id)
    known = _known.get(place)
    if known is not None and known.same(work):
        return known
    made = BatchPanel(work, place, code)
    if known is None or not known.busy:
        _known[place] = made
    return made


def _code(data: object, prompt: Any, whom: JSON, system: str | None, options: Mapping[str, Any]) -> str:
    named = repr(data) if isinstance(data, str) else "data"
    given = {**whom, **({} if system is None else {"system": system}), **options}
    shown = "".join(f", {name}={value!r:.200}" for name, value in given.items() if name != "client")
    return render.plain(f"lab.{'batch' if 'model' in whom else 'compare'}({named}, {prompt!r:.200}{shown})")
