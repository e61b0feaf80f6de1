"""A table of variants from pairwise verdicts, whoever judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from prsm_lab.errors import InvalidRequestError
from prsm_lab.frames import reading
from prsm_lab.frames.data import missing
from prsm_lab.statistics import strengths
from prsm_lab.types import Vote

if TYPE_CHECKING:
    from collections.abc import Iterable

TYPES: Final[dict[str, str]] = {
    "variant": "string", "strength": "Float64", "low": "Float64", "high": "Float64", "win_rate": "Float64",
    "wins": "Int64", "ties": "Int64", "losses": "Int64", "n": "Int64", "rank": "Int64",
}  # fmt: skip
"""Columns of `leaderboard`, in their order."""
TIES: Final = ("tie", "both_bad")
"""Verdicts that prefer none."""


class _Match(NamedTuple):
    row: Any
    a: str
    b: str
    points: float


def leaderboard(
    verdicts: pd.DataFrame | Iterable[Vote], results: pd.DataFrame | None = None, *, alpha: float = 0.05
) -> pd.DataFrame:
    """Return one row per variant, strongest first, from verdicts on pairs of answers.

    Columns: `variant`, `strength` (log scale, mean 0: a variant that is stronger by 1 wins e times as often as it
    loses), its interval `low` and `high`, `win_rate` (share of points, a tie being half, that is expected against the
    others, each met as often), `wins`, `ties`, `losses`, `n` verdicts, `rank`. Bradley and Terry's model with
    Davidson's ties; see `prsm_lab.statistics.strengths.fit`, also for what is done where somebody never lost.

    Verdicts on one input row depend on each other; with ten rows a variant or more, intervals allow for that. Failed
    verdicts are left out, "both are bad" is a tie.

    Args:
        verdicts: What `judge_pairs` returned, or `verdicts()` of the panel `compare`: columns `a` and `b` (variants)
            and `winner` (`a`, `b`, `tie`, or the variant's name), `row` if it is there. Or votes from the ledger.
        results: With votes, which name answers: the frame that they are in.
        alpha: Level of the intervals.

    Raises:
        InvalidRequestError: If there is no verdict, one cannot be read, or a pair is of one variant.

    >>> import pandas as pd
    >>> board = leaderboard(pd.DataFrame({"a": ["x"] * 4, "b": ["y"] * 4, "winner": ["a", "a", "a", "b"]}))
    >>> board[["variant", "wins", "losses", "rank"]].to_numpy().tolist(), board["win_rate"].round(6).tolist()
    ([['x', 3, 1, 1], ['y', 1, 3, 2]], [0.75, 0.25])
    """
    if not 0 < alpha < 1:
        raise InvalidRequestError(f"alpha={alpha!r} does not lie between 0 and 1.", details={"parameter": "alpha"})
    matches = _of_frame(verdicts) if isinstance(verdicts, pd.DataFrame) else _of_votes(verdicts, results)
    if not matches:
        raise InvalidRequestError(
            "There is no verdict to rank by: all failed, or none is on these results.",
            details={"parameter": "verdicts"},
        )
    names = list(dict.fromkeys(name for match in matches for name in (match.a, match.b)))
    places = {name: n for n, name in enumerate(names)}
    a, b = (np.array([places[getattr(match, side)] for match in matches]) for side in ("a", "b"))
    points = np.array([match.points for match in matches])
    rows = [match.row for match in matches]
    clusters = None if any(missing(row) for row in rows) else pd.factorize(np.array(rows, dtype=object))[0]
    found = strengths.fit(a, b, points, clusters=clusters, alpha=alpha)
    places_of = [(a[points == value], b[points == 1 - value]) for value in (1.0, 0.5, 0.0)]
    wins, ties, losses = (np.bincount(np.concatenate(both), minlength=len(names)) for both in places_of)
    made = pd.DataFrame(
        {"variant": names, "strength": found.strength, "low": found.low, "high": found.high, "win_rate": found.win_rate,
         "wins": wins, "ties": ties, "losses": losses, "n": wins + ties + losses}
    )  # fmt: skip
    made["rank"] = made["strength"].round(9).rank(ascending=False, method="min")
    made = made.sort_values("rank", kind="stable", ignore_index=True)
    made.attrs["prsm"] = {"separated": found.separated}
    return made.astype(TYPES)


def _of_frame(verdicts: pd.DataFrame) -> list[_Match]:
    for name in ("a", "b", "winner"):
        if name not in verdicts.columns:
            raise InvalidRequestError(
                f"These verdicts lack the column {name!r}; give what judge_pairs or a panel's verdicts() returned.",
                details={"parameter": "verdicts", "column": name},
            )
    by_name = "voter" in verdicts.columns  # a panel's verdicts name the variant that won
    rows = verdicts["row"] if "row" in verdicts.columns else [None] * len(verdicts)
    made = []
    for n, (row, a, b, winner) in enumerate(zip(rows, verdicts["a"], verdicts["b"], verdicts["winner"], strict=True)):
        if missing(winner):
            continue
        if missing(a) or missing(b) or a == b:
            raise InvalidRequestError(
                f"Verdict {n} is on {a!r} and {b!r}: a pair is of two variants.",
                details={"parameter": "verdicts", "row": n},
            )
        made.append(_Match(row, str(a), str(b), points(winner, str(a), str(b), n, by_name=by_name)))
    return made


def points(winner: object, a: str, b: str, at: int, *, by_name: bool) -> float:
    """Return what a verdict gives to a: 1, 0, or half a point for a tie.

    Args:
        winner: `a`, `b`, `tie`, `both_bad`, or a variant's name.
        a: A variant.
        b: The other.
        at: Which verdict it is, for the error.
        by_name: Whether a name is meant where a variant is called like a side.

    Raises:
        InvalidRequestError: If the winner is none of these.
    """
    sides, names, none = {"a": 1.0, "b": 0.0}, {a: 1.0, b: 0.0}, dict.fromkeys(TIES, 0.5)
    known = {**sides, **none, **names} if by_name else {**names, **none, **sides}
    if str(winner) not in known:
        raise InvalidRequestError(
            f"The winner of verdict {at} is {str(winner)[:80]!r}; it must be a, b, tie, {a} or {b}.",
            details={"parameter": "verdicts", "column": "winner", "row": at},
        )
    return known[str(winner)]


def _of_votes(votes: Iterable[Vote], results: pd.DataFrame | None) -> list[_Match]:
    """Votes on answers of the frame, brought to variants; votes on other answers are no matter of it."""
    if results is None:
        raise InvalidRequestError(
            "Votes name answers, not variants: give the results that they are in, leaderboard(votes, results).",
            details={"parameter": "results"},
        )
    known = reading.of(results)
    labels = known.without_samples().labels(results)
    index = results.index.to_flat_index()
    home: dict[str, tuple[Any, str]] = {}
    for answer, row, label in zip(known(results, "inference_id"), index, labels, strict=True):
        if isinstance(answer, str):
            home.setdefault(answer, (row, label))
    made = []
    for vote in votes:
        if not isinstance(vote, Vote):
            raise InvalidRequestError(
                f"{type(vote).__name__} is no vote; give a frame of verdicts, or votes of the ledger.",
                details={"parameter": "verdicts"},
            )
        if vote.a in home and vote.b in home:
            (row, a), (_, b) = home[vote.a], home[vote.b]
            if a != b:
                made.append(_Match(row, a, b, {"a": 1.0, "b": 0.0}.get(vote.winner, 0.5)))
    return made
