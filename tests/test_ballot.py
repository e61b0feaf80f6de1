"""Blind voting, pure: every pair comes once, none is favoured, and the shares add up."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from prsm_lab.frames import marking
from prsm_lab.panels import ballot
from prsm_lab.types import Vote

WAYS = ("x", "y", "z")
ROWS = st.lists(st.sets(st.sampled_from(WAYS)), max_size=6).map(
    lambda rows: [{way: f"inf_{n}_{way}" for way in sorted(ways)} for n, ways in enumerate(rows)]
)
WINNERS = st.sampled_from(["a", "b", "tie", "both_bad"])


def vote(pair: ballot.Pair, winner: str) -> Vote:
    return Vote(id=f"{pair.a}{pair.b}", a=pair.a, b=pair.b, winner=winner, voter="me", seconds=1.0, created=0.0)


def judged(rows, winners) -> list[Vote]:
    """Vote until nothing is left."""
    votes: list[Vote] = []
    while (pair := ballot.next_pair(rows, votes)) is not None:
        votes.append(vote(pair, winners(pair)))
    return votes


@given(ROWS)
def test_every_pair_of_a_row_is_shown_exactly_once(rows):
    """And nothing across rows."""
    votes = judged(rows, lambda _: "tie")
    pairs = Counter(frozenset((one.a, one.b)) for one in votes)
    expected = {frozenset(pair) for row in rows for pair in itertools.combinations(row.values(), 2)}

    assert set(pairs) == expected
    assert all(n == 1 for n in pairs.values())


@given(ROWS, st.integers(0, 10))
def test_no_two_variants_meet_much_oftener_than_others(rows, stop):
    """As long as the rows have them: the next pair is one of those that met least."""
    votes = judged(rows, lambda _: "tie")[:stop]
    pair = ballot.next_pair(rows, votes)
    met = Counter(frozenset((one.a.rpartition("_")[2], one.b.rpartition("_")[2])) for one in votes)
    seen = {frozenset((one.a, one.b)) for one in votes}
    still_open = [
        frozenset(ways)
        for row in rows
        for ways in itertools.combinations(row, 2)
        if frozenset(row[way] for way in ways) not in seen
    ]

    if pair is None:
        assert not still_open
    else:
        assert met[frozenset((pair.a.rpartition("_")[2], pair.b.rpartition("_")[2]))] == min(met[w] for w in still_open)


def test_sides_are_drawn_and_stay():
    """Over many rows either stands left about as often; shown again, a pair looks the same."""
    rows = [{"x": f"inf_{n}_x", "y": f"inf_{n}_y"} for n in range(400)]
    votes = judged(rows, lambda _: "tie")

    assert 150 < sum(one.a.endswith("_x") for one in votes) < 250
    assert ballot.next_pair(rows, votes[:7]) == ballot.next_pair(rows, votes[:7])


@given(ROWS, st.data())
def test_shares_are_those_of_counting_by_hand(rows, data):
    """A win is one, a tie a half, both bad none."""
    votes = judged(rows, lambda _: data.draw(WINNERS))
    points: dict[str, list[float]] = {}
    for one in votes:
        left, right = {"a": (1, 0), "b": (0, 1), "tie": (0.5, 0.5), "both_bad": (0, 0)}[one.winner]
        points.setdefault(one.a, []).append(left)
        points.setdefault(one.b, []).append(right)

    assert ballot.scores(votes) == {answer: sum(found) / len(found) for answer, found in points.items()}


@given(st.text("ab \n"), st.text("ab \n"))
def test_marked_pieces_are_the_text(text, base):
    """Whatever the base; an equal text has no mark."""
    assert "".join(piece for _, piece in marking.marked(text, base)) == text
    assert not any(differs for differs, _ in marking.marked(text, text))


def test_very_long_texts_are_not_compared():
    """They are shown without marks: comparing takes the product of their lengths."""
    text = "word " * 5000

    assert marking.marked(text, "other") == [(False, text)]
