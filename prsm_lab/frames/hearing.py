"""A judge's questions, asked as one run: planned, priced, cached and kept like any other."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from prsm_lab import checks
from prsm_lab.engine import portal
from prsm_lab.errors import InvalidRequestError, PRSMError
from prsm_lab.frames import asking, convert, progress
from prsm_lab.frames.data import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from prsm_lab.frames.asking import Shared
    from prsm_lab.frames.rubrics import Brief
    from prsm_lab.frames.work import Work
    from prsm_lab.types import JSON


_OPTIONS: Final = frozenset(asking.Shared.__annotations__) - {"schema", "tools", "tool_choice", "parallel_tool_calls"}


class Hearing(NamedTuple):
    """One run of a judge, and what is made of it."""

    work: Work
    home: Callable[[int], int]
    """From a row of the run to the row that it is about."""
    result: Callable[[pd.DataFrame, Work], pd.DataFrame]
    """From what the judge said to what the caller gets."""
    said: Callable[[pd.DataFrame], str | None]
    """What else there is to say at the end."""
    options: Shared

    def wait(self) -> pd.DataFrame:
        """Ask, and wait for it in this thread."""
        with progress.shown(self.work.tally, wanted=self.work.plan.progress) as bar:
            portal.call(self.work.run(), tick=bar)
        return self._end()

    async def heard(self) -> pd.DataFrame:
        """Ask, and await it."""
        with progress.shown(self.work.tally, wanted=self.work.plan.progress) as bar:
            await portal.arun(self.work.run(), tick=bar)
        return self._end()

    def _end(self) -> pd.DataFrame:
        if self.options.get("on_error") == "raise":
            self._raise_first()
        made = self.result(self.work.result(), self.work)
        said = self.said(made)
        if said and self.work.plan.progress:
            print(said)
        return cast("pd.DataFrame", convert.returned(made, self.options.get("returns", "pandas")))

    def _raise_first(self) -> None:
        for row, model, outcome in self.work.first(self.work.tally.rows):
            if isinstance(outcome, PRSMError):
                told = copy.copy(outcome)
                told.message = (
                    f"Row {self.home(row)} (judged by {model}): {outcome.message} The other verdicts are kept: the "
                    "same call again asks for what is missing."
                )
                raise told


def work(
    material: pd.DataFrame, brief: Brief, schema: JSON, *, kind: str, model: str, samples: int, options: Shared
) -> Work:
    """Make the work of a judge, which is not begun yet.

    Args:
        material: What is shown, one row a question.
        brief: The judge's task.
        schema: The form of its verdict.
        kind: Of the run, as `lab.runs()` has it.
        model: Who judges.
        samples: Votes on each question.
        options: Of the run.

    Raises:
        InvalidRequestError: If an option is wrong, or none of a judge's.
    """
    for name in options:
        if name not in _OPTIONS:
            if name in asking.Running.__annotations__:
                raise InvalidRequestError(f"{name}= does not go with {kind}.", details={"parameter": name})
            raise checks.unknown_option(name, _OPTIONS)
    if not isinstance(model, str):
        raise checks.wrong("model", "the name of one model", model)
    convert.check(options.get("returns", "pandas"))
    given: Any = {**{name: value for name, value in options.items() if name != "returns"}, "schema": schema}
    return asking.many_models(material, brief, [model], None, {}, samples, given, kind=kind)


def fault(line: Mapping[str, Any]) -> str | None:
    """Return what went wrong with one verdict, with its code in front; None if nothing did."""
    return None if missing(line["error_code"]) else f"{line['error_code']}: {line['error']}"


def cost(lines: Sequence[Mapping[str, Any]]) -> float:
    """Return what several verdicts cost, NaN if that is not known; one that failed without a price cost nothing."""
    known = [line["cost"] for line in lines if not math.isnan(line["cost"])]
    unknown = any(math.isnan(line["cost"]) and missing(line["error_code"]) for line in lines)
    return math.nan if unknown or not known else float(sum(known))
