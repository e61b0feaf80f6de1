"""Blind votes on pairs of answers: which pair comes next, and what the votes say. Pure functions."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prsm_lab.types import Vote


class Pair(NamedTuple):
    """Two answers to one question, as they stand on the page."""

    row: int
    a: str
    """Id of the inference on the left."""
    b: str


def next_pair(rows: Sequence[Mapping[str, str]], votes: Iterable[Vote]) -> Pair | None:
    """Choose what is looked at next: the two variants that were judged against each other least, in the first row that
    has them; None where all is judged.

    Which of them stands left is drawn from their ids, so that a page that is shown again shows the same.

    Args:
        rows: For each row, variant → id of its answer; answers of equal text may be left out, they say nothing.
        votes: What was judged so far.
    """
    home = {answer: (n, way) for n, row in enumerate(rows) for way, answer in row.items()}
    judged: set[frozenset[str]] = set()
    met: Counter[frozenset[str]] = Counter()
    for vote in votes:
        if vote.a in home and vote.b in home:
            judged.add(frozenset((vote.a, vote.b)))
            met[frozenset((home[vote.a][1], home[vote.b][1]))] += 1
    open_pairs = (
        (met[frozenset((one, other))], n, row[one], row[other])
        for n, row in enumerate(rows)
        for one, other in itertools.combinations(row, 2)
        if frozenset((row[one], row[other])) not in judged
    )
    found = min(open_pairs, default=None)
    if found is None:
        return None
    _, row, one, other = found
    return Pair(row, *((one, other) if _heads(one, other) else (other, one)))


def _heads(one: str, other: str) -> bool:
    return hashlib.blake2b(f"{one} {other}".encode(), digest_size=1).digest()[0] % 2 == 0


def scores(votes: Iterable[Vote]) -> dict[str, float]:
    """Return each judged answer's share of won comparisons, 0 to 1: a tie is half a win, both bad is none.

    >>> from prsm_lab.types import Vote
    >>> vote = Vote(id="v", a="x", b="y", winner="a", voter="me", seconds=1.0, created=0.0)
    >>> scores([vote])
    {'x': 1.0, 'y': 0.0}
    """
    won: dict[str, float] = {}
    seen: Counter[str] = Counter()
    for vote in votes:
        for side, answer in (("a", vote.a), ("b", vote.b)):
            seen[answer] += 1
            won[answer] = won.get(answer, 0.0) + _points(vote, side)
    return {answer: won[answer] / seen[answer] for answer in won}


def _points(vote: Vote, side: str) -> float:
    return 0.5 if vote.winner == "tie" else 1.0 if vote.winner == side else 0.0
