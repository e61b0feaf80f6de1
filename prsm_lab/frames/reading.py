"""What a result frame says of itself: which columns are the input's, which tell variants apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from prsm_lab import columns
from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence


SAID: Final = ("reason", "cost", "model", "id", "error", "votes")
"""What `judge` adds beside its score, each behind the judge's name."""


class Reading(NamedTuple):
    """How to read one frame of results."""

    prefix: str
    variant_columns: tuple[str, ...]
    simulated: bool

    def __call__(self, results: pd.DataFrame, name: str) -> pd.Series[Any]:
        """Return a result column by its plain name."""
        return results[self.prefix + name]

    def inputs(self, results: pd.DataFrame) -> list[Any]:
        """Return the columns that came with the data, or were added to the results and are no scores or verdicts."""
        own = {self.prefix + name for name in (*columns.NAMES, *self.variant_columns)}
        names = list(results.columns)
        start = names.index(self.prefix + "model")
        judges = [str(c).removeprefix("score_") for c in names if str(c).startswith("score_")]
        said = {f"{judge}_{kind}" for judge in judges for kind in SAID} & set(names[start:])
        return [c for c in names if c not in own and c not in said and not str(c).startswith("score_")]

    def without_samples(self) -> Reading:
        """Return a reading in which the samples of a variant are one variant."""
        return self._replace(variant_columns=tuple(name for name in self.variant_columns if name != "sample"))

    def labels(self, results: pd.DataFrame) -> list[str]:
        """Return each row's variant as one text: `gpt-4`, or `gpt-4 · brief · temperature 0`."""
        parts = [[str(value) for value in self(results, "model")]]
        for name in self.variant_columns:
            if name == "model":
                continue
            shown = "" if name == "prompt" else f"{name} "
            parts.append([f"{shown}{value}" for value in self(results, name)])
        return [" · ".join(words) for words in zip(*parts, strict=True)]


def of(results: pd.DataFrame) -> Reading:
    """Read a frame's own notes; a frame that lost them (saved, filtered, concatenated) is read by its columns.

    Raises:
        InvalidRequestError: If it holds no results.
    """
    notes = results.attrs.get("prsm") or {}
    prefix = notes.get("prefix", "")
    if prefix + "model" not in results.columns or prefix + "response" not in results.columns:
        raise InvalidRequestError(
            "This frame holds no results: it lacks the columns model and response. Give what infer, batch or compare "
            "returned.",
            details={"parameter": "results"},
        )
    variants: Sequence[str] = notes.get("variants") or _between(results, prefix)
    served = (
        results[prefix + "served_model"] if prefix + "served_model" in results.columns else pd.Series(dtype="string")
    )
    simulated = bool(served.astype("string").str.startswith("simulated/").fillna(False).any())
    return Reading(prefix, tuple(variants), simulated)


def score_columns(results: pd.DataFrame) -> list[str]:
    """Return the columns that hold scores: `score_…` with numbers or truth values, not errors or reasons."""
    named = [c for c in results.columns if str(c).startswith("score_") and not str(c).endswith("_error")]
    return [name for name in named if figures(results[name]) is not None]


def figures(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return a column's numbers, NaN where there is none or an infinite one; None if it is no column of numbers."""
    if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        if column.dtype != object:
            return None
        try:
            column = pd.to_numeric(column)
        except (TypeError, ValueError):
            return None
    found = column.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _between(results: pd.DataFrame, prefix: str) -> list[str]:
    """Variant columns stand between `model` and `provider`."""
    names = [str(name) for name in results.columns]
    start, end = (
        names.index(prefix + "model"),
        names.index(prefix + "provider") if prefix + "provider" in names else None,
    )
    return [name.removeprefix(prefix) for name in names[start:end]] if end is not None else ["model"]
