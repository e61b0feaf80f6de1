"""Pure: is a model good enough? By what was measured at the task, else by what was published."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from prsm_lab.catalog import quality
from prsm_lab.types import Grade

if TYPE_CHECKING:
    from prsm_lab.types import Routing

Grades: TypeAlias = Mapping[tuple[str, str], Grade]
"""Measured qualities by task and model."""
NO_GRADES: Final[Grades] = MappingProxyType({})


class Bar(NamedTuple):
    """What a model must reach."""

    least: float
    measured: bool
    """Whether only a measurement at the same task may reach it: no published score tells of that."""
    said: str
    """Whose figure it is."""


def measured(name: str, task: str | None, grades: Grades) -> Grade | None:
    """Return what was measured of a model at a task, if it has an interval."""
    grade = None if task is None else grades.get((task, name))
    return None if grade is None or grade.low is None else grade


def known(name: str, task: str | None, grades: Grades) -> float | None:
    """Return the quality that a threshold is held against: the lower end of what was measured, else the prior.

    >>> known("gpt-4", None, NO_GRADES)
    0.864
    """
    grade = measured(name, task, grades)
    return quality.get(name) if grade is None else grade.low


def bar(requested: str, routing: Routing, grades: Grades) -> Bar | None:
    """Return what a model must reach to stand in for the requested one; None where nothing says.

    Without a threshold that is the requested model's quality: its mean where it was measured at the task, and then
    only models that were measured at it too can show that they reach it.

    Args:
        requested: The model's name.
        routing: The request's.
        grades: Measured qualities.
    """
    if routing.quality_threshold is not None:
        return Bar(routing.quality_threshold, False, "quality_threshold")
    grade = measured(requested, routing.task, grades)
    if grade is not None:
        return Bar(grade.value, True, f"what {requested} has at {grade.task!r}")
    prior = quality.get(requested)
    return None if prior is None else Bar(prior, False, f"what {requested} has")


def below(name: str, task: str | None, grades: Grades, bar: Bar) -> str | None:
    """Say why a model does not reach the bar; None if it does."""
    grade = measured(name, task, grades)
    if grade is None and bar.measured:
        return f"it was not measured at {task!r}, as the requested model was"
    figure = known(name, task, grades)
    if figure is None:
        return "nothing is known of its quality: lab.quality.learn measures it, lab.quality.set states it"
    if figure >= bar.least:
        return None
    what = "its quality" if grade is None else f"the lower end of its quality at {task!r} ({grade.n} rows)"
    return f"{what} is {figure:.3g}, below {bar.least:.3g} ({bar.said})"
