"""A table of variants from verdicts: of judges, of panels, of votes."""

from __future__ import annotations

import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.frames.ranking import TYPES
from prsm_lab.types import Vote


def verdicts(*games: tuple, **columns) -> pd.DataFrame:
    """`(a, b, winner)` each."""
    return pd.DataFrame(games, columns=["a", "b", "winner"]).assign(**columns)


def test_the_strongest_comes_first_with_what_it_won():
    """Counts are of verdicts, a failed one left out; strengths have mean nought."""
    board = lab.leaderboard(
        verdicts(("x", "y", "a"), ("x", "y", "a"), ("y", "x", "a"), ("x", "z", "tie"), ("z", "y", "b"), ("z", "x", "b"), ("z", "y", "a"), ("x", "y", None))
    )  # fmt: skip

    assert {name: str(kind) for name, kind in board.dtypes.items()} == TYPES
    assert board[["variant", "wins", "ties", "losses", "n", "rank"]].to_numpy().tolist() == [
        ["x", 3, 1, 1, 5, 1], ["y", 2, 0, 3, 5, 2], ["z", 1, 1, 2, 4, 3],
    ]  # fmt: skip
    assert board["strength"].sum() == pytest.approx(0)
    assert (board["low"] < board["strength"]).all()
    assert (board["strength"] < board["high"]).all()


def test_two_variants_have_the_share_of_points_they_won():
    """7 wins, 2 ties, 1 loss are 8 points of 10; both bad is a tie."""
    board = lab.leaderboard(
        verdicts(*[("x", "y", "a")] * 7, ("x", "y", "tie"), ("x", "y", "both_bad"), ("x", "y", "b"))
    )

    assert board["win_rate"].tolist() == pytest.approx([0.8, 0.2])
    assert board["ties"].tolist() == [2, 2]


def test_equals_share_a_rank():
    """One win each."""
    board = lab.leaderboard(verdicts(("x", "y", "a"), ("x", "y", "b")))

    assert board["rank"].tolist() == [1, 1]
    assert board["strength"].tolist() == pytest.approx([0, 0], abs=1e-6)


def test_verdicts_on_one_row_are_not_so_many():
    """The same games three times over, on the same rows, are no surer."""
    games = [("x", "y", "a" if n % 3 else "b") for n in range(60)]
    rows = list(range(60))

    once = lab.leaderboard(verdicts(*games, row=rows))
    thrice = lab.leaderboard(verdicts(*games * 3, row=rows * 3))
    apart = lab.leaderboard(verdicts(*games * 3, row=range(180)))

    width = [board["high"].iloc[0] - board["low"].iloc[0] for board in (once, thrice, apart)]
    assert width[1] == pytest.approx(width[0], rel=0.05)
    assert width[2] == pytest.approx(width[0] / 3**0.5, rel=0.01)


def test_who_never_lost_is_told_and_not_infinitely_strong():
    """`attrs` say that games were lent."""
    board = lab.leaderboard(verdicts(("x", "y", "a"), ("x", "y", "a")))

    assert board.attrs["prsm"] == {"separated": True}
    assert board["strength"].iloc[0] < 2
    assert board["low"].iloc[0] < 0


@pytest.fixture
def compared():
    """Four rows in two variants."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        yield lab.compare(list("abcd"), "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)


def vote(a: str, b: str, winner: str) -> Vote:
    return Vote(id=f"{a}{b}", a=a, b=b, winner=winner, voter="ana", seconds=2.0, created=0.0)


def test_votes_are_brought_to_variants(compared):
    """Votes name answers, whichever stood left; those on other answers are no matter of these results."""
    ids = compared["inference_id"].tolist()
    votes = [
        vote(ids[0], ids[1], "b"),
        vote(ids[3], ids[2], "a"),
        vote(ids[4], ids[5], "a"),
        vote(ids[6], ids[7], "both_bad"),
        vote("inf_other", ids[7], "a"),
    ]

    board = lab.leaderboard(votes, compared)

    assert board[["variant", "wins", "ties", "losses", "n"]].to_numpy().tolist() == [
        ["gpt-4o", 2, 1, 1, 4], ["gpt-4", 1, 1, 2, 4],
    ]  # fmt: skip


def test_a_panels_verdicts_name_the_variant_that_won():
    """As `panels.compare(results).verdicts()` gives them; a variant may be called a."""
    board = lab.leaderboard(verdicts(("b", "a", "a"), ("b", "a", "a"), ("b", "a", "tie"), voter="ana"))
    judged = lab.leaderboard(verdicts(("b", "a", "a"), ("b", "a", "a"), ("b", "a", "tie")))

    assert board["variant"].iloc[0] == "a"
    assert judged["variant"].iloc[0] == "b"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (verdicts(("x", "y", None)), "no verdict to rank by"),
        (verdicts(("x", "y", "a"), ("x", "x", "a")), "Verdict 1 is on 'x' and 'x'"),
        (verdicts(("x", "y", "c")), "winner of verdict 0 is 'c'; it must be a, b, tie, x or y"),
        (verdicts(("x", "y", "a")).drop(columns="b"), "lack the column 'b'"),
        ([vote("x", "y", "a")], "leaderboard.votes, results."),
    ],
)
def test_what_are_no_verdicts_is_refused(given, message):
    """With the row and what would do."""
    with pytest.raises(errors.InvalidRequestError, match=message):
        lab.leaderboard(given)
    with pytest.raises(errors.InvalidRequestError, match="alpha"):
        lab.leaderboard(verdicts(("x", "y", "a")), alpha=2)


def test_what_is_no_vote_is_refused(compared):
    """A dict is none; votes on other answers are not enough."""
    with pytest.raises(errors.InvalidRequestError, match="dict is no vote"):
        lab.leaderboard([{"a": 1}], compared)
    with pytest.raises(errors.InvalidRequestError, match="none is on these results"):
        lab.leaderboard([vote("inf_x", "inf_y", "a")], compared)


def test_verdicts_that_cancel_in_every_row_are_no_certainty():
    """Two voters who always disagree: the interval is the one of as many votes, not of no width."""
    both = pd.DataFrame({"row": [n // 2 for n in range(60)], "a": "x", "b": "y", "winner": ["a", "b"] * 30})

    found = lab.leaderboard(both)

    assert found["strength"].tolist() == pytest.approx([0, 0], abs=1e-9)
    alone = lab.leaderboard(both.drop(columns="row"))
    assert found[["low", "high"]].to_numpy().tolist() == alone[["low", "high"]].to_numpy().tolist()
    assert (found["high"] - found["low"] > 0.3).all()
