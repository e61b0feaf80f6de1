"""What a scorer is: options, and a call that turns an answer and its reference into a figure. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import msgspec

Figure: TypeAlias = float | bool | None
Score: TypeAlias = Figure | Mapping[str, Figure]
"""A number, a truth value, None where it cannot be told, or parts by name."""


class Scorer(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Options of a scorer, and its call `(response, reference) -> score`.

    A scorer of one's own is a subclass with a `name`: its fields are options, its `__call__` scores. What it raises
    becomes the error of that row.

    >>> class Short(Scorer, frozen=True):
    ...     name: ClassVar[str] = "short"
    ...     most: int = 20
    ...
    ...     def __call__(self, response, reference=None):
    ...         return len(response) <= self.most
    >>> Short(most=3), Short(most=3)("four")
    (Short(most=3), False)
    """

    name: ClassVar[str] = "custom"
    """Of its column, `score_<name>`."""
    heavy: ClassVar[bool] = False
    """Worth sending to joblib's workers, where `joblib.parallel_config` is in force."""

    @property
    def compares(self) -> bool:
        """Whether it needs a reference."""
        return True

    def ready(self) -> None:
        """Load what it needs, once, before any row is scored.

        Raises:
            InvalidRequestError: If a package is missing, naming the extra that brings it.
        """

    def __call__(self, response: str, reference: Any = None) -> Score:
        """Score one answer.

        Args:
            response: What the model said.
            reference: What is right.

        Raises:
            ValueError: If the reference is none that this scorer can compare with.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


class Compared(Scorer, frozen=True):
    """A scorer that compares with one right answer, or with the best of several: a reference that is a list."""

    def one(self, response: str, reference: Any) -> float:
        """Score against one reference."""
        raise NotImplementedError("a scorer that compares says how with one reference")  # pragma: no cover

    def __call__(self, response: str, reference: Any = None) -> Score:
        """Score one answer; against several references, by the one that it meets best."""
        if isinstance(reference, str):  # the common case first
            return self.one(response, reference)
        return max(self.one(response, right) for right in several(reference))


def several(reference: Any) -> list[Any]:
    """Return the right answers that a reference holds: those of a list, or the one that it is.

    Raises:
        ValueError: If there is none.

    >>> several("Paris"), several(["Paris", "Paname"])
    (['Paris'], ['Paris', 'Paname'])
    """
    if reference is None:
        raise ValueError("the reference is empty")
    if isinstance(reference, (list, tuple)) or (hasattr(reference, "tolist") and getattr(reference, "ndim", 0) == 1):
        found = [right for right in reference if right is not None]
        if not found:
            raise ValueError("the reference is an empty list")
        return found
    return [reference]


def written(reference: Any) -> str:
    """Return a reference as a person writes it: beside an empty cell pandas makes 4 a 4.0.

    >>> written(4.0), written("4.0")
    ('4', '4.0')
    """
    return str(int(reference)) if isinstance(reference, float) and reference.is_integer() else str(reference)
