"""People's labels beside a judge's verdicts: whatever form they come in, one figure for each verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError, NotFoundError
from prsm_lab.frames import ranking, reading
from prsm_lab.frames.data import missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Figures = NDArray[np.float64]

Labels: TypeAlias = "str | pd.Series[Any] | Sequence[Any] | NDArray[Any] | pd.DataFrame"


def scores(verdicts: pd.DataFrame, human: Labels) -> Figures:
    """Return people's scores, one for each row, NaN where there is none.

    Args:
        verdicts: What `judge` returned.
        human: A column's name, a Series with the frame's index, or a list as long as the frame.

    Raises:
        InvalidRequestError: If they are no numbers, or cannot be brought to the rows.
        NotFoundError: If there is no such column.
    """
    cells = _aligned(verdicts, human)
    found = reading.figures(cells)
    if found is None:
        at = int((pd.to_numeric(cells, errors="coerce").isna() & cells.notna()).to_numpy().argmax())
        raise InvalidRequestError(
            f"The human label of row {at} is {cells.iloc[at]!r:.80}: labels of scores are numbers.",
            details={"parameter": "human", "row": at},
        )
    return found


def winners(verdicts: pd.DataFrame, human: Labels) -> Figures:
    """Return the points that people gave to `a`, one for each pair: 1, 0, half a point for a tie, NaN without a label.

    Args:
        verdicts: What `judge_pairs` returned.
        human: As in `scores`, with the labels `a`, `b`, `tie`, or variants' names; or the panel's `verdicts()`: several
            votes on one pair count as their majority.

    Raises:
        InvalidRequestError: If a label is none of these, or they cannot be brought to the pairs.
        NotFoundError: If there is no such column.
    """
    if isinstance(human, pd.DataFrame):
        return _voted(verdicts, human)
    return points(verdicts, _aligned(verdicts, human))


def points(verdicts: pd.DataFrame, labels: pd.Series[Any]) -> Figures:
    """Return the points that labels of winners give to `a`, NaN without a label.

    Raises:
        InvalidRequestError: If a label is none of a winner's.
    """
    by_name = "voter" in verdicts.columns
    lines = zip(verdicts["a"], verdicts["b"], labels, strict=True)
    return np.array(
        [
            np.nan if missing(label) else ranking.points(label, str(a), str(b), n, by_name=by_name)
            for n, (a, b, label) in enumerate(lines)
        ],
        dtype=np.float64,
    )


def _aligned(verdicts: pd.DataFrame, human: Any) -> pd.Series[Any]:
    """Labels in the frame's order: by position where they are as many, by index where that tells rows apart."""
    if isinstance(human, str):
        if human not in verdicts.columns:
            raise NotFoundError(
                f"No column {human!r} with human labels; there are {', '.join(map(str, verdicts.columns))}.",
                details={"parameter": "human"},
            )
        return verdicts[human]
    if isinstance(human, pd.Series):
        if human.index.equals(verdicts.index):
            return human
        if human.index.is_unique and verdicts.index.is_unique and human.index.isin(verdicts.index).any():
            return human.reindex(verdicts.index)
        raise InvalidRequestError(
            f"The human labels ({len(human)}) have another index than the verdicts ({len(verdicts)}), and rows cannot "
            "be told by it; give them as a column of the frame.",
            details={"parameter": "human"},
        )
    if not isinstance(human, (Sequence, np.ndarray)) or len(human) != len(verdicts):
        size = f"{len(human)} labels" if isinstance(human, (Sequence, np.ndarray)) else type(human).__name__
        raise InvalidRequestError(
            f"human= is {size}; give a column's name, a Series, or {len(verdicts)} labels in the frame's order.",
            details={"parameter": "human"},
        )
    return pd.Series(list(human), index=verdicts.index, dtype=object)


def _voted(verdicts: pd.DataFrame, votes: pd.DataFrame) -> Figures:
    """The majority of votes on each pair, whichever stood left."""
    for name in ("row", "a", "b", "winner"):
        if name not in votes.columns or name not in verdicts.columns:
            raise InvalidRequestError(
                f"Votes are brought to pairs by the columns row, a, b and winner; {name!r} is not in both frames.",
                details={"parameter": "human", "column": name},
            )
    found: dict[tuple[Any, str, str], list[float]] = {}
    given = points(votes, votes["winner"])
    for row, a, b, share in zip(votes["row"], votes["a"], votes["b"], given, strict=True):
        if not np.isnan(share):
            found.setdefault((row, str(a), str(b)), []).append(float(share))
            found.setdefault((row, str(b), str(a)), []).append(1 - float(share))
    made = np.full(len(verdicts), np.nan)
    for n, (row, a, b) in enumerate(zip(verdicts["row"], verdicts["a"], verdicts["b"], strict=True)):
        if shares := found.get((row, str(a), str(b))):
            made[n] = (np.sign(np.mean(shares) - 0.5) + 1) / 2
    if np.isnan(made).all():
        raise InvalidRequestError(
            "None of the votes is on a pair of these verdicts: their rows or variants are others.",
            details={"parameter": "human"},
        )
    return made
