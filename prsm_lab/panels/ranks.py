"""How variants stand by the votes so far: what the compare panel draws and says. Pure; `lab.leaderboard` computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from prsm_lab import render
from prsm_lab.frames.ranking import leaderboard
from prsm_lab.types.shown import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prsm_lab.types import JSON, Vote

LEAST: Final = 1e-6
"""An interval that is not this wide is none: votes that cancel each other row by row leave a robust error of nought."""
NAMED: Final = 3
"""Variants that a sentence names; of more it gives the number."""
LONGEST: Final = 48
"""Characters of a name in a sentence."""
SPARE: Final = 0.04
"""Of the drawing's width, left free at both its ends."""
HOW: Final = (
    "Bradley-Terry strengths, 0 is the average; both bad is a tie. The 95 % intervals hold for a number of votes "
    "settled beforehand: to stop as soon as they part flatters the leader."
)


class Seat(NamedTuple):
    """An answer's row and variant."""

    row: int
    variant: str


class Rank(NamedTuple):
    """One variant as it stands; an interval that is not known is None, as are both its ends."""

    label: str
    place: int
    strength: float
    low: float | None
    high: float | None
    share: float
    """Of points against the others, that is expected."""
    wins: int
    ties: int
    losses: int
    n: int


class Ranks(NamedTuple):
    """Variants, strongest first."""

    rows: tuple[Rank, ...] = ()
    votes: int = 0
    lent: bool = False
    """Whether wins and losses do not link all variants, so that each was lent half of either."""
    unjudged: tuple[str, ...] = ()


def ranked(votes: Iterable[Vote], seats: Mapping[str, Seat]) -> Ranks:
    """Return how the variants stand; samples of one variant are that variant, and a vote between them is none.

    Args:
        votes: What was judged.
        seats: Id of an answer → its row and variant.
    """
    judged = [(seats[vote.a], seats[vote.b], vote.winner) for vote in votes]
    told = [(a.row, a.variant, b.variant, winner) for a, b, winner in judged if a.variant != b.variant]
    variants = dict.fromkeys(seat.variant for seat in seats.values())
    if not told:
        return Ranks(unjudged=tuple(variants))
    # Names are left out of the reckoning: one that is called `a` or `tie` is no side and no verdict.
    number = {name: str(n) for n, name in enumerate(variants)}
    frame = pd.DataFrame(
        [(row, number[a], number[b], winner) for row, a, b, winner in told], columns=["row", "a", "b", "winner"]
    )
    board, names = leaderboard(frame), list(variants)
    rows = tuple(_rank(names[int(line["variant"])], line) for line in board.to_dict("records"))
    met = {rank.label for rank in rows}
    unjudged = tuple(name for name in names if name not in met)
    return Ranks(rows, len(told), bool(board.attrs["prsm"]["separated"]), unjudged)


def _rank(label: str, line: Mapping[Any, Any]) -> Rank:
    low, high = line["low"], line["high"]
    unknown = pd.isna(low) or pd.isna(high) or high - low < LEAST
    return Rank(
        label, int(line["rank"]), float(line["strength"]), None if unknown else float(low),
        None if unknown else float(high), float(line["win_rate"]), int(line["wins"]), int(line["ties"]),
        int(line["losses"]), int(line["n"]),
    )  # fmt: skip


def warm() -> None:
    """Load what `ranked` reckons with: the first time that takes a quarter of a second."""
    import scipy.optimize
    import scipy.sparse.csgraph
    import scipy.special  # noqa: F401


def said(ranks: Ranks, *, named: bool = True) -> str:
    """Return who leads and whether that is sure, as one sentence; none without votes.

    Args:
        ranks: How they stand.
        named: Whether names may be told.

    >>> rows = (Rank("B", 1, 0.4, -0.1, 0.9, 0.6, 3, 1, 1, 5), Rank("A", 2, -0.4, -0.9, 0.1, 0.4, 1, 1, 3, 5))
    >>> said(Ranks(rows, votes=5))
    "B leads; its interval still overlaps A's: 5 votes, more are needed."
    >>> said(Ranks(rows, votes=5), named=False)
    "One leads; its interval still overlaps another's: 5 votes, more are needed."
    """
    if not ranks.rows:
        return ""
    so_far = counted(ranks.votes, "vote")
    lead = ranks.rows[0]
    ahead = [_short(rank) for rank in ranks.rows if rank.place == 1]
    unknown = "" if lead.low is not None else "; no interval is known yet"
    if len(ahead) > 1:
        return f"{_listed(ahead, named, 'variants')} are level{unknown}: {so_far}, more are needed."
    who = _short(lead) if named else "One"
    if lead.low is None:
        return f"{who} leads{unknown}: {so_far}, more are needed."
    near = [_short(rank) for rank in ranks.rows[1:] if rank.high is None or rank.high >= lead.low]
    if not near:
        return f"{who} leads; its interval is clear of all others: {so_far}."
    whose = f"those of {_listed(near, named, 'others')}"
    if len(near) == 1:
        whose = f"{near[0]}'s" if named else "another's"
    return f"{who} leads; its interval still overlaps {whose}: {so_far}, more are needed."


def _short(rank: Rank) -> str:
    return render.line(rank.label, longest=LONGEST)


def _listed(names: Sequence[str], named: bool, kind: str) -> str:
    """Names as a person lists them; of many, or hidden ones, how many."""
    if not named or len(names) > NAMED:
        return f"{len(names)} {kind}"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def notes(ranks: Ranks, *, named: bool = True) -> list[str]:
    """Return what must be known to read the figures.

    Args:
        ranks: How they stand.
        named: Whether names may be told.
    """
    if not ranks.rows:
        return []
    lent = (
        "Wins and losses do not link all variants yet: each is lent half a win and half a loss, and figures will move."
    )
    names = ", ".join(render.line(name, longest=LONGEST) for name in ranks.unjudged)
    open_ = f"Not judged yet: {names if named else len(ranks.unjudged)}."
    return [HOW, *([lent] if ranks.lent else []), *([open_] if ranks.unjudged else [])]


def places(ranks: Ranks) -> tuple[float | None, list[tuple[float, float, float] | None]]:
    """Return where to draw: that of the average strength, and each interval's start, point and end.

    Returns:
        Parts of the drawing's width, 0 to 1; None where there is nothing to draw.

    >>> places(Ranks((Rank("B", 1, 1.0, 0.0, 2.0, 0.7, 2, 0, 1, 3), Rank("A", 2, 0.0, None, None, 0.3, 1, 0, 2, 3))))
    (0.04, [(0.04, 0.5, 0.96), None])
    """
    known = [(row.low, row.strength, row.high) for row in ranks.rows if row.low is not None and row.high is not None]
    if not known:
        return None, [None for _ in ranks.rows]
    start, end = min(0.0, *(low for low, _, _ in known)), max(0.0, *(high for _, _, high in known))

    def at(value: float) -> float:
        return round(SPARE + (1 - 2 * SPARE) * (value - start) / (end - start), 4)

    drawn = [
        None if row.low is None or row.high is None else (at(row.low), at(row.strength), at(row.high))
        for row in ranks.rows
    ]
    return at(0.0), drawn


def page(ranks: Ranks, *, named: bool = True) -> JSON:
    """Return what the page shows of them: `standings` or, without names, `nameless`; `zero`, `told`, `notes`.

    Args:
        ranks: How they stand.
        named: Whether it may be told who is who: without names, nor by which votes one could know them.
    """
    zero, drawn = places(ranks)
    hidden: JSON = {} if named else dict.fromkeys(("label", "wins", "ties", "losses", "n"))
    rows = [{**row._asdict(), "drawn": at, **hidden} for row, at in zip(ranks.rows, drawn, strict=True)]
    return {
        "standings": rows if named else [], "nameless": [] if named else rows, "zero": zero,
        "told": said(ranks, named=named), "notes": notes(ranks, named=named),
    }  # fmt: skip
