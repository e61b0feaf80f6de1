"""How variants stand in the compare panel: `lab.leaderboard`'s figures, one sentence, and no name while one votes."""

from __future__ import annotations

import itertools
import random
import threading

import pandas as pd
import pytest
from hostile import HOSTILE, Read, harmless
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab.engine import portal
from prsm_lab.panels import ranks, still
from prsm_lab.panels.ranks import Rank, Ranks, Seat
from prsm_lab.types import Vote

MODELS = ["gpt-4", "gpt-4o", "claude-haiku-4-5"]
FIGURES = ["strength", "low", "high", "win_rate", "wins", "ties", "losses", "n"]


def seats(ways, rows: int = 40) -> dict[str, Seat]:
    return {f"{n}:{way}": Seat(n, way) for n in range(rows) for way in ways}


def vote(row: int, a: str, b: str, winner: str) -> Vote:
    return Vote(id=f"{row}{a}{b}", a=f"{row}:{a}", b=f"{row}:{b}", winner=winner, voter="me", seconds=1.0, created=0.0)


def votes(pattern: str, pair: str = "AB") -> list[Vote]:
    """One vote a row on the same pair: `a`, `b`, `t`ie, both bad (`x`)."""
    words = {"a": "a", "b": "b", "t": "tie", "x": "both_bad"}
    return [vote(n, pair[0], pair[1], words[sign]) for n, sign in enumerate(pattern)]


def said(*parts: list[Vote], ways: str = "AB", named: bool = True) -> str:
    return ranks.said(ranks.ranked([one for part in parts for one in part], seats(ways)), named=named)


@pytest.fixture
def client():
    answers = {model: {"content": f"no. {n}"} for n, model in enumerate(MODELS)}
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers) as made:
        yield made


@pytest.fixture
def results(client):
    """Three models, a dozen rows."""
    return lab.compare([f"question {n}" for n in range(12)], "{text}", models=MODELS, client=client, progress=False)


@pytest.fixture
def panel(results, client):
    return lab.panels.compare(results, client=client)


def judge(panel, n: int, seed: int = 0) -> None:
    """Vote n times at random, blind."""
    drawn = random.Random(seed)
    panel.vote_blind(True)
    for _ in range(n):
        panel.vote(drawn.choice(["a", "b", "b", "tie", "both_bad"]))


# ------------------------------------------------------------------------------------------------- the figures


@pytest.mark.parametrize("n", [1, 2, 7, 36])
def test_the_standings_are_the_leaderboard_of_the_votes(panel, n):
    """One reckoning: whoever takes the verdicts, or the votes themselves, finds the same."""
    judge(panel, n)
    panel.vote_blind(False)
    shown = panel.snapshot()["standings"]
    board = lab.leaderboard(panel.verdicts()).set_index("variant")

    assert {one["label"] for one in shown} == set(board.index)
    for one in shown:
        known = board.loc[one["label"]]
        mine = [one[name] for name in [*FIGURES[:3], "share", *FIGURES[4:]]]
        assert mine == pytest.approx([None if pd.isna(known[name]) else known[name] for name in FIGURES])
        assert one["place"] == known["rank"]
    assert [one["place"] for one in shown] == sorted(one["place"] for one in shown)


def test_each_vote_moves_the_standings_and_undo_moves_them_back(panel):
    """As they come in."""
    judge(panel, 3)
    before = panel.snapshot()
    panel.vote("a")
    between = panel.snapshot()
    panel.undo()

    assert between["nameless"] != before["nameless"]
    assert panel.snapshot()["nameless"] == before["nameless"]


def test_votes_of_an_earlier_kernel_stand_at_once(panel, results, client):
    """The panel finds them in the ledger."""
    judge(panel, 5)
    panel.vote_blind(False)

    assert lab.panels.compare(results, client=client).snapshot()["standings"] == panel.snapshot()["standings"] != []


def test_samples_of_a_variant_are_that_variant(client):
    """And which of two samples is better says nothing about variants."""
    results = lab.compare(["x", "y", "z"], "{text}", models=MODELS[:2], samples=2, client=client, progress=False)
    results["response"] = [f"answer {n}" for n in range(len(results))]
    panel = lab.panels.compare(results, client=client)
    judge(panel, 18)
    shown = panel.snapshot()["standings"]
    board = lab.leaderboard(panel._votes, results).set_index("variant")

    assert {one["label"] for one in shown} == set(MODELS[:2])
    assert {one["n"] for one in shown} == {12}
    assert [one["strength"] for one in shown] == pytest.approx([board["strength"][one["label"]] for one in shown])


@pytest.mark.parametrize("ways", [("a", "b"), ("b", "a"), ("tie", "both_bad"), ("0", "1"), ("1", "0"), ("nan", "")])
def test_a_variant_may_be_called_like_a_side_or_a_verdict(ways):
    """It wins what it won."""
    found = ranks.ranked([vote(n, *ways, winner) for n, winner in enumerate(["a", "a", "a", "b", "tie"])], seats(ways))

    assert [(one.label, one.wins, one.ties, one.losses) for one in found.rows] == [
        (ways[0], 3, 1, 1),
        (ways[1], 1, 1, 3),
    ]


def test_what_is_shown_is_reckoned_by_the_voter_not_by_those_who_draw(panel, monkeypatch):
    """The portal's loop, on which all answers arrive, only reads: neither the page nor the static form reckons."""
    reckoned = []
    true = ranks.ranked
    monkeypatch.setattr(
        ranks, "ranked", lambda *given: reckoned.append((portal.inside(), threading.get_ident())) or true(*given)
    )
    judge(panel, 4)
    so_far = len(reckoned)
    panel.snapshot(), panel.html(), panel.step(1)

    assert so_far >= 4
    assert len(reckoned) == so_far
    assert set(reckoned) == {(False, threading.get_ident())}


# -------------------------------------------------------------------------------------------------- the sentence


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("", ""),
        ("t", "A and B are level; no interval is known yet: 1 vote, more are needed."),
        ("tx", "A and B are level; no interval is known yet: 2 votes, more are needed."),
        ("ab", "A and B are level: 2 votes, more are needed."),
        ("a", "A leads; its interval still overlaps B's: 1 vote, more are needed."),
        ("aab", "A leads; its interval still overlaps B's: 3 votes, more are needed."),
        ("bbabtbb", "B leads; its interval still overlaps A's: 7 votes, more are needed."),
        ("a" * 18 + "b" * 2, "A leads; its interval is clear of all others: 20 votes."),
    ],
)
def test_a_sentence_says_who_leads_and_whether_that_is_sure(pattern, sentence):
    """Between two, intervals part exactly where the difference is told from nought."""
    assert said(votes(pattern)) == sentence


@pytest.mark.parametrize(
    ("ways", "sentence"),
    [
        ("ABC", "A leads; its interval still overlaps those of B and C: 2 votes, more are needed."),
        ("ABCD", "A leads; its interval still overlaps those of B, C and D: 3 votes, more are needed."),
        ("ABCDE", "A leads; its interval still overlaps those of 4 others: 4 votes, more are needed."),
    ],
)
def test_a_few_others_are_named_more_are_counted(ways, sentence):
    """A sentence of ten names is not read."""
    assert said([vote(n, "A", other, "a") for n, other in enumerate(ways[1:])], ways=ways) == sentence


def test_without_names_the_sentence_says_as_much():
    """One leads, by whatever name."""
    assert said(votes("ab"), named=False) == "2 variants are level: 2 votes, more are needed."
    assert said(votes("a"), named=False) == "One leads; its interval still overlaps another's: 1 vote, more are needed."
    three = [vote(0, "A", "B", "a"), vote(1, "A", "C", "a")]
    assert said(three, ways="ABC", named=False).startswith("One leads; its interval still overlaps those of 2 others")


def test_notes_say_what_the_figures_lean_on():
    """What was lent, who was not met; nothing without votes."""
    lent = ranks.notes(ranks.ranked(votes("aa"), seats("ABC")))
    linked = ranks.notes(ranks.ranked(votes("ab"), seats("AB")))

    assert ["lent" in " ".join(notes) for notes in (lent, linked)] == [True, False]
    assert lent[-1] == "Not judged yet: C."
    assert ranks.notes(ranks.ranked(votes("aa"), seats("ABC")), named=False)[-1] == "Not judged yet: 1."
    assert ranks.notes(Ranks(unjudged=("A",))) == []


# --------------------------------------------------------------------------------------------------- the drawing


def test_an_interval_that_is_not_known_is_said_so_and_not_drawn():
    """Never as one of no length: ties alone tell nothing."""
    found = ranks.ranked(votes("ttt"), seats("ABC"))
    shown = ranks.page(found)

    assert {(one["low"], one["high"], one["drawn"]) for one in shown["standings"]} == {(None, None, None)}
    assert "no interval is known yet" in shown["told"]
    assert still.standings(found).count("interval not known yet") == len(found.rows)


def test_votes_that_cancel_in_every_row_have_an_interval_all_the_same():
    """Who beats whom goes round in each row: nobody is stronger, and that is not certain."""
    given = [vote(n, a, b, "a") for n in range(30) for a, b in ("AB", "BC", "CA")]

    assert all(one["high"] - one["low"] > 0.3 for one in ranks.page(ranks.ranked(given, seats("ABC")))["standings"])


ENDS = st.floats(-50, 50).map(lambda value: round(value, 3))
RANKS = st.lists(
    st.tuples(ENDS, ENDS, ENDS).map(sorted).filter(lambda ends: ends[2] - ends[0] > 0.01), min_size=1, max_size=5
).map(
    lambda found: Ranks(tuple(Rank("x", n, at, low, high, 0.5, 0, 0, 0, 0) for n, (low, at, high) in enumerate(found)))
)


@given(RANKS)
def test_a_drawing_keeps_order_and_proportion_within_its_width(found):
    """The average's line has its place too."""
    zero, drawn = ranks.places(found)
    known = sorted({(0.0, zero)} | {pair for row, at in zip(found.rows, drawn, strict=True) for pair in zip((row.low, row.strength, row.high), at, strict=True)})  # fmt: skip

    assert known[0][1] == pytest.approx(ranks.SPARE)
    assert known[-1][1] == pytest.approx(1 - ranks.SPARE)
    span = known[-1][0] - known[0][0]
    for (value, at), (other, then) in itertools.pairwise(known):
        assert then - at == pytest.approx((other - value) / span * (1 - 2 * ranks.SPARE), abs=2e-4)


# ------------------------------------------------------------------------------------------------- who may know


def test_while_one_votes_no_name_is_shown_and_nothing_that_tells_it(panel):
    """How far apart they are is: strengths, without counts that one could follow. Names come when all is judged."""
    judge(panel, 7)
    blind = panel.snapshot()
    panel.vote_blind(False)
    named = panel.snapshot()
    blind["last"] = named["last"] = None

    assert blind["standings"] == named["nameless"] == []
    assert not [name for name in MODELS if name in str(blind)]
    for one, other in zip(blind["nameless"], named["standings"], strict=True):
        assert [one[name] for name in ("label", "wins", "ties", "losses", "n")] == [None] * 5
        assert (one["strength"], one["drawn"], one["place"]) == (other["strength"], other["drawn"], other["place"])
    panel.vote_blind(True)
    while panel.snapshot()["pair"]:
        panel.vote("tie")
    assert {one["label"] for one in panel.snapshot()["standings"]} == set(MODELS)


def test_the_static_form_shows_the_same(panel):
    """Sentence, figures and whiskers, without any script; and they are read where styles are stripped."""
    judge(panel, 30)
    panel.vote_blind(False)
    shown, text = panel.snapshot(), Read(panel.html()).text

    assert shown["told"] in text
    for one in shown["standings"]:
        figures = f"{still.signed(one['strength'])} ({still.signed(one['low'])} to {still.signed(one['high'])})"
        counts = f"{one['share']:.0%}{one['wins']} / {one['ties']} / {one['losses']}{one['n']}"
        assert f"{one['place']}{one['label']}{figures}{counts}" in text
    assert panel.html().count("border-radius:50%") == len(MODELS)


def test_a_panel_without_votes_shows_no_standings(panel):
    """Nor an empty table."""
    assert (panel.snapshot()["standings"], panel.snapshot()["told"]) == ([], "")
    assert "strength" not in panel.html()


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_variant_with_a_hostile_name_is_text(name):
    """In the sentence, the table and the notes."""
    ways = (name, "B", f"{name}2")
    found = ranks.ranked([vote(n, name, "B", winner) for n, winner in enumerate("aab")], seats(ways))
    harmless(still.standings(found))
    assert len(ranks.said(found)) < 200
    assert len(ranks.notes(found)[-1]) < 100
