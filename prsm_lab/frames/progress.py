"""A bar with rows, errors, cost and rate while a run goes; one line when it ends."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from prsm_lab.catalog import prices
from prsm_lab.errors import BudgetExceededError, PRSMError
from prsm_lab.types.shown import money

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prsm_lab.types import Inference


class Tally:
    """Counts of one run; written on the engine's loop, read by the bar.

    Args:
        rows: Rows of the result.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.done = 0
        self.asked = 0
        self.reused = 0
        self.failed = 0
        self.unaffordable = 0
        """Failed rows that were not sent for want of money."""
        self.spent = 0.0
        self.saved = 0.0
        self.unpriced = 0
        self.prompt_tokens = 0
        self.cached_tokens = 0
        """Of the prompt tokens, those that the provider's own cache served."""
        self.discount = 0.0
        """USD less than without that cache; negative where writing to it cost more than reading saved."""
        self.simulated = False
        self.waits = False
        """Another call asks this run: its answers are waited for."""
        self._took = 0.0
        self._began: float | None = None

    def begin(self) -> None:
        """The run begins, or goes on."""
        self._began = time.monotonic()

    def end(self) -> None:
        """The run has ended, for now."""
        self._took, self._began = self.seconds, None

    def reuse(self, inference: Inference, rows: int) -> None:
        """Count an answer that was paid for earlier."""
        self.done += rows
        self.reused += rows
        self.saved += inference.cost.amount or 0.0
        self._look(inference)

    def answer(self, outcome: Inference | PRSMError, rows: int) -> None:
        """Count an outcome that fills so many rows; it was paid for once."""
        self.done += rows
        if isinstance(outcome, BudgetExceededError):
            self.unaffordable += rows
        if isinstance(outcome, PRSMError):
            self.failed += rows
            self.asked += 0 if outcome.details.get("not_sent") else 1
            if outcome.answer is not None:
                self._pay(outcome.answer)
            return
        self.asked += 1
        self._pay(outcome)

    def _pay(self, inference: Inference) -> None:
        if inference.cost.amount is None:
            self.unpriced += 1
        else:
            self.spent += inference.cost.amount
        usage = inference.usage
        self.prompt_tokens += usage.prompt_tokens or 0
        if usage.cached_tokens or usage.cache_write_tokens:
            self.cached_tokens += usage.cached_tokens or 0
            self.discount += prices.discount(usage, prices.line(inference.model, inference.provider)) or 0.0
        self._look(inference)

    def skip(self, rows: int = 1) -> None:
        """Count rows that have no prompt."""
        self.done += rows
        self.failed += rows

    def wait(self, process: str | None) -> None:
        """Another process asks this run: it is waited for; None: not any more."""
        self.waits = process is not None

    def forget_failures(self) -> None:
        """Rows that have failed are asked again."""
        self.done -= self.failed
        self.failed = self.unaffordable = 0

    def _look(self, inference: Inference) -> None:
        self.simulated |= (inference.served_model or "").startswith("simulated/")

    @property
    def cached_share(self) -> float | None:
        """Part of the paid prompt tokens that the provider's cache served, 0 to 1; None: nothing was paid for."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None

    @property
    def seconds(self) -> float:
        """Wall time of the run so far."""
        return self._took + (0.0 if self._began is None else time.monotonic() - self._began)

    def totals(self) -> dict[str, Any]:
        """Return the figures of the end as plain JSON."""
        return {
            "rows": self.rows, "asked": self.asked, "reused": self.reused, "failed": self.failed - self.unaffordable,
            "not_sent": self.rows - self.done + self.unaffordable, "spent_usd": self.spent, "saved_usd": self.saved,
            "unpriced": self.unpriced, "cached_share": self.cached_share, "cache_saved_usd": self.discount,
            "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def line(self) -> str:
        """Say it in one line."""
        priced = money(self.spent) + (f" + {self.unpriced} unpriced" if self.unpriced else "")
        parts = [
            f"{self.rows:,} rows: {self.asked:,} asked",
            f"{self.reused:,} reused",
            f"{self.failed - self.unaffordable:,} failed",
        ]
        if left := self.rows - self.done + self.unaffordable:
            parts.append(f"{left:,} not sent")
        kept = f" ({money(self.saved)} not paid again)" if self.reused and self.saved else ""
        if self.cached_share and self.discount > 0:  # weights on this machine cache as well, and save nothing
            kept += f" · {self.cached_share:.0%} of the prompts cached, {money(self.discount)} less"
        label = " · simulated" if self.simulated else ""
        return f"{', '.join(parts)} · {priced} spent{kept} · {self.seconds:.1f} s{label}"


class Bar:
    """Paints a tally; called in the thread that waits."""

    def __init__(self, tally: Tally) -> None:
        from tqdm.auto import tqdm

        self._tally = tally
        self._bar = tqdm(total=tally.rows, unit="row", dynamic_ncols=True, leave=True)
        self._shown = (-1, -1, False)

    def __call__(self) -> None:
        """Repaint if something has changed."""
        tally = self._tally
        if (tally.done, tally.failed, tally.waits) == self._shown:
            return
        self._shown = (tally.done, tally.failed, tally.waits)
        said = "another call asks this run: waiting for its answers"
        if not tally.waits:
            said = f"{tally.failed} failed, {money(tally.spent)}"
        self._bar.set_postfix_str(said, refresh=tally.waits)
        self._bar.update(tally.done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self()
        self._bar.close()


@contextlib.contextmanager
def shown(tally: Tally, *, wanted: bool) -> Iterator[Bar | None]:
    """Show a bar while the block runs, and the line at its end; nothing if it is not wanted."""
    if not wanted:
        yield None
        return
    bar = Bar(tally)
    try:
        yield bar
    finally:
        bar.close()
        print(tally.line())


@contextlib.contextmanager
def rows(total: int, *, wanted: bool) -> Iterator[Callable[[int, str], None]]:
    """Show a bar over rows that is told how far they are, and what there is to say."""
    if not wanted:
        yield lambda done, said: None  # noqa: ARG005
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit="row", dynamic_ncols=True, leave=True) as bar:

        def tell(done: int, said: str) -> None:
            bar.set_postfix_str(said, refresh=False)
            bar.update(done - bar.n)

        yield tell
