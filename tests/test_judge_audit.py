"""How far a judge can be trusted: from its own verdicts, and beside people's labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.frames.auditing import TYPES

PAIRS = ["flip_rate", "first_position_share", "length_correlation", "self_preference", "retest_agreement"]
PEOPLE = ["self_preference_excess", "human_agreement", "cohen_kappa", "krippendorff_alpha_nominal"]


def verdicts(*orders: tuple[str | None, str | None], **columns) -> pd.DataFrame:
    """Verdicts of `judge_pairs` by `(winner_ab, winner_ba)`, one row each."""
    made = pd.DataFrame(orders, columns=["winner_ab", "winner_ba"]).astype("string")
    agreed = made["winner_ab"] == made["winner_ba"]
    both = made.notna().all(axis=1)
    plain = {
        "row": range(len(made)), "sample": pd.NA, "a": "gpt-4.1", "b": "claude-3", "model_a": "gpt-4.1", "model_b": "claude-3",
        "judge": "gpt-4o", "length_a": 100, "length_b": 100, "flipped": (~agreed).astype("boolean").where(both),
        "winner": made["winner_ab"].where(agreed, "tie").where(both),
    }  # fmt: skip
    return made.assign(**{**plain, **columns})


A, B, TIE = ("a", "a"), ("b", "b"), ("tie", "tie")
FIRST, SECOND = ("a", "b"), ("b", "a")
"""Whichever stood there wins."""


def audit(frame: pd.DataFrame, human=None, **options) -> pd.DataFrame:
    return lab.judge_audit(frame, human, **options).set_index("metric")


@pytest.fixture
def scored(frame):
    """`scored(gpt-4.1's scores, claude-3's scores, **columns)`: what `judge` returned, three rows or so of two variants."""

    def made(own: list, other: list, *, judges: dict | None = None, **columns) -> pd.DataFrame:
        rows = [{"model": model, "q": str(n)} for n in range(len(own)) for model in ("gpt-4.1", "claude-3")]
        found = frame(*rows)
        found.index = np.repeat(np.arange(len(own)), 2)
        scores = [score for pair in zip(own, other, strict=True) for score in pair]
        found = found.assign(score_judge=pd.array(scores, dtype="Float64"), judge_model="gpt-4o", **columns)
        found.attrs["prsm"] = {"judges": {"judge": {"low": 1, "high": 5, "normalised": False} | (judges or {})}}
        return found

    return made


# ------------------------------------------------------------------------------------------------------- frames


def test_an_audit_is_a_tidy_frame_whatever_is_known(scored):
    """Same columns and types; a line for each metric, with the reason where there is no figure."""
    frames = [audit(verdicts(A, B, FIRST)), audit(verdicts(A, B), ["a", "b"]), audit(scored([3, 4], [2, 1]))]
    bare = audit(pd.DataFrame({"a": ["x"], "b": ["y"], "winner": ["a"]}))

    for found in [*frames, bare]:
        assert {name: str(kind) for name, kind in found.reset_index().dtypes.items()} == TYPES
        assert found["note"].notna().all()
    assert frames[0].index.tolist() == PAIRS
    assert frames[1].index.tolist() == [*PAIRS[:4], PEOPLE[0], PAIRS[4], *PEOPLE[1:]]
    assert bare["value"].isna().all()
    assert bare["note"].str.contains("the frame|fewer|judged twice").all()


def test_real_verdicts_are_audited(frame):
    """From `judge_pairs` and from `judge` with votes."""
    said = {"gpt-4.1": {"content": lambda m: '{"reason": "", "score": 3}' if "Grade" in m[-1]["content"] else '{"reason": "", "winner": "first"}'}}  # fmt: skip
    with lab.Client(mock_mode=True, mock_responses=said, ledger=":memory:") as client:
        results = lab.compare(list("abcdefgh"), "{text}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
        pairs = lab.judge_pairs(results, model="gpt-4.1", client=client, progress=False)
        scores = lab.judge(results, "Good?", model="gpt-4.1", samples=2, client=client, progress=False)

    assert audit(pairs).loc[["flip_rate", "first_position_share"], "value"].tolist() == [1, 1]
    assert audit(scores).loc["retest_agreement", ["value", "n"]].tolist() == [1, 16]


@pytest.mark.parametrize(
    ("frame", "options", "error", "message"),
    [
        (pd.DataFrame({"x": [1]}), {}, errors.InvalidRequestError, "holds no results"),
        (verdicts(A), {"alpha": 0}, errors.InvalidRequestError, "alpha=0"),
        (verdicts(A), {"draws": 0}, errors.InvalidRequestError, "draws"),
        (verdicts(A), {"human": "nope"}, errors.NotFoundError, "No column 'nope' with human labels"),
        (verdicts(A), {"human": ["c"]}, errors.InvalidRequestError, "verdict 0 is 'c'"),
        (verdicts(A, B), {"human": ["a"]}, errors.InvalidRequestError, "human= is 1 labels; .* 2 labels in the frame's order"),
        (verdicts(A, B), {"human": 3}, errors.InvalidRequestError, "human= is int"),
        (verdicts(A, B), {"human": pd.Series(["a"], index=[9])}, errors.InvalidRequestError, "another index"),
        (verdicts(A), {"human": verdicts(A, row=5)}, errors.InvalidRequestError, "None of the votes"),
        (verdicts(A), {"human": verdicts(A).drop(columns="row")}, errors.InvalidRequestError, "'row' is not in both"),
    ],
)  # fmt: skip
def test_what_cannot_be_audited_is_refused(frame, options, error, message):
    """Which parameter or column, and what would do."""
    with pytest.raises(error, match=message):
        lab.judge_audit(frame, **options)


def test_scores_that_are_not_there_are_named(scored):
    """With the judges that are."""
    with pytest.raises(errors.NotFoundError, match=r"'score_other'.*one of the judges judge"):
        lab.judge_audit(scored([1], [2]), name="other")
    with pytest.raises(errors.InvalidRequestError, match=r"label of row 1 is 'good'.*numbers"):
        lab.judge_audit(scored([1], [2]), ["1", "good"])


# -------------------------------------------------------------------------------------------------- pairs alone


def test_the_flip_rate_has_wilsons_interval():
    """Pairs that were judged in one order only do not count."""
    found = audit(verdicts(*[A] * 15, *[FIRST] * 5, ("a", None))).loc["flip_rate"]
    low, high = proportion_confint(5, 20, method="wilson")

    assert found[["value", "n"]].tolist() == [0.25, 20]
    assert found[["low", "high"]].tolist() == pytest.approx([low, high])


def test_rows_with_many_pairs_are_not_so_many_rows():
    """The same verdicts three times over, on the same rows, are no surer."""
    orders = [A, FIRST, B, B, FIRST, A, A, A, TIE, SECOND] * 4
    people = ["a", "b"] * 20
    lines = {
        "once": audit(verdicts(*orders), people), "thrice": audit(verdicts(*orders * 3, row=list(range(40)) * 3), people * 3),
        "apart": audit(verdicts(*orders * 3), people * 3),
    }  # fmt: skip
    width = {name: found["high"] - found["low"] for name, found in lines.items()}

    for metric in ("flip_rate", "first_position_share", "self_preference", "human_agreement", "cohen_kappa"):
        assert width["thrice"][metric] == pytest.approx(width["once"][metric], rel=0.15), metric
        assert width["apart"][metric] < 0.7 * width["once"][metric], metric


@pytest.mark.parametrize(
    ("orders", "share", "n"),
    [
        ([A, B, A], 0.5, 6),
        ([FIRST] * 3, 1, 6),
        ([SECOND] * 3, 0, 6),
        ([FIRST, A], 0.75, 4),
        ([("a", "tie"), TIE], 1, 1),
        ([("tie", "a"), TIE], 0, 1),
        ([("a", None), A], 0.5, 2),
    ],
)
def test_the_share_of_the_first_position(orders, share, n):
    """Of verdicts for a side in pairs with both orders; consistent pairs are even by themselves."""
    assert audit(verdicts(*orders)).loc["first_position_share", ["value", "n"]].tolist() == [share, n]


def test_length_goes_with_preference_as_spearman_has_it():
    """Of the ratio of lengths; the interval narrows with rows."""
    rng = np.random.default_rng(0)
    gap = rng.normal(size=60)
    orders = [A if x + rng.normal() > 0.3 else B if x < -0.3 else TIE for x in gap]
    lengths = {"length_a": np.exp(6 + gap).round(), "length_b": 400}
    frame = verdicts(*orders, **lengths)

    found = audit(frame).loc["length_correlation"]
    want = stats.spearmanr(frame["winner"].map({"a": 1, "tie": 0, "b": -1}), np.log1p(frame["length_a"])).statistic

    assert found["value"] == pytest.approx(want)
    half = stats.norm.ppf(0.975) * np.sqrt((1 + want**2 / 2) / 57)
    assert np.arctanh([found["low"], found["high"]]).tolist() == pytest.approx(
        [np.arctanh(want) - half, np.arctanh(want) + half]
    )
    assert audit(verdicts(*orders)).loc["length_correlation", "note"] == "one side is always the same"


@pytest.mark.parametrize(
    ("judge", "value"),
    [("gpt-4o", 0.7), ("openai/o3-mini", 0.7), ("claude-haiku-4-5", 0.3), ("meta-llama/Llama-3.1-8B", None)],
)
def test_the_judges_own_family_wins_so_much(judge, value):
    """gpt wins 6 of 10 and ties 2: a share of 0.7 to a judge of that family, 0.3 to one of the other's."""
    found = audit(verdicts(*[A] * 6, *[B] * 2, *[TIE] * 2, judge=judge)).loc["self_preference"]

    if value is None:
        assert found[["value", "low", "n"]].tolist() == [pd.NA, pd.NA, 0]
    else:
        assert (found["value"], found["n"]) == (pytest.approx(value), 10)
        assert found["low"] < value < found["high"]


def test_few_comparisons_say_nothing_of_a_preference():
    """Below five; and of two of one family nothing can be said."""
    few = audit(verdicts(*[A] * 4)).loc["self_preference"]
    kin = audit(verdicts(*[A] * 9, model_b="gpt-3.5-turbo")).loc["self_preference"]

    assert (few["value"], few["n"], kin["n"]) == (pd.NA, 4, 0)
    assert few["note"].startswith("fewer than 5 comparisons")


def test_what_was_judged_twice_tells_how_steady_the_judge_is():
    """The same pair turned round is the same pair; another judge's verdict is not a second one of this."""
    first, other = verdicts(A, B, A, TIE), verdicts(A, A, A, A, judge="claude-3-opus")
    again = verdicts(B, B, B, A).assign(a="claude-3", b="gpt-4.1")  # says a, a, a, b of the first's

    found = audit(pd.concat([first, again, other])).loc["retest_agreement"]

    assert found[["value", "n"]].tolist() == [0.5, 4]
    assert audit(pd.concat([first, first, again])).loc["retest_agreement", "value"] == pytest.approx(
        (1 + 1 / 3 + 1 + 1 / 3) / 4
    )
    assert audit(first).loc["retest_agreement", "note"] == "no pair was judged twice"


def test_samples_of_a_row_are_not_the_same_pair():
    """They are other answers."""
    frame = pd.concat([verdicts(A, A, sample=0), verdicts(B, B, sample=1)])

    assert audit(frame).loc["retest_agreement", "n"] == 0


# --------------------------------------------------------------------------------------------- beside people


LABELS = ["a"] * 12 + ["b"] * 6 + ["tie"] * 2
ORDERS = [A] * 10 + [B] * 3 + [TIE] * 2 + [B] * 3 + [TIE, A]


def test_agreement_with_people_is_raw_and_beyond_chance():
    """κ against statsmodels, on a, b and tie."""
    found = audit(verdicts(*ORDERS), LABELS)
    names = ["a", "tie", "b"]
    table = pd.crosstab(pd.Series([winner for winner, _ in ORDERS]), pd.Series(LABELS)).reindex(index=names, columns=names, fill_value=0)  # fmt: skip

    assert found.loc["human_agreement", ["value", "n"]].tolist() == [np.trace(table) / 20, 20]
    assert found.loc["cohen_kappa", "value"] == pytest.approx(cohens_kappa(table.to_numpy()).kappa)
    assert found.loc["cohen_kappa", "value"] == pytest.approx(
        found.loc["krippendorff_alpha_nominal", "value"], abs=0.03
    )


@pytest.mark.parametrize(
    "human",
    [
        LABELS,
        np.array(LABELS),
        pd.Series(LABELS),
        pd.Series(LABELS, index=range(20)).sample(frac=1, random_state=0),
        pd.Series(LABELS).map({"a": "gpt-4.1", "b": "claude-3", "tie": "both_bad"}),
        "people",
        verdicts(*ORDERS, winner=pd.Series(LABELS).map({"a": "gpt-4.1", "b": "claude-3", "tie": "tie"}), voter="ana"),
        verdicts(*ORDERS, winner=pd.Series(LABELS).map({"a": "gpt-4.1", "b": "claude-3", "tie": "tie"}), voter="ana", a="claude-3", b="gpt-4.1"),
    ],
    ids=["list", "array", "series", "shuffled", "names", "column", "panel", "panel turned"],
)  # fmt: skip
def test_labels_come_in_any_form(human):
    """By position, by index, by pair."""
    frame = verdicts(*ORDERS, people=LABELS)

    pd.testing.assert_frame_equal(lab.judge_audit(frame, human), lab.judge_audit(frame, LABELS))


def test_a_label_is_a_side_where_a_variant_is_called_like_one():
    """A panel's votes name variants, labels beside a judge's verdicts sides, as its own winners do."""
    frame = verdicts(*[A] * 3, a="b", b="a")

    assert audit(frame, ["a"] * 3).loc["human_agreement", "value"] == 1
    assert audit(frame, frame.assign(winner="b", voter="ana")).loc["human_agreement", "value"] == 1


def test_several_votes_on_a_pair_are_their_majority():
    """Two against one; one against one is a tie; rows without a vote do not count."""
    votes = pd.DataFrame(
        [(0, "gpt-4.1"), (0, "gpt-4.1"), (0, "claude-3"), (1, "gpt-4.1"), (1, "claude-3")], columns=["row", "winner"]
    ).assign(a="gpt-4.1", b="claude-3", voter="x")

    assert audit(verdicts(A, TIE, B), votes).loc["human_agreement", ["value", "n"]].tolist() == [1, 2]


def test_people_tell_favour_from_merit():
    """The judge gives its family 8 of 10; people give it 5."""
    found = audit(verdicts(*[A] * 8, *[B] * 2), ["a"] * 5 + ["b"] * 5)

    assert found.loc["self_preference", "value"] == pytest.approx(0.8)
    assert found.loc["self_preference_excess", "value"] == pytest.approx(0.3)
    turned = audit(verdicts(*[A] * 8, *[B] * 2, judge="claude-3"), ["a"] * 5 + ["b"] * 5)
    assert turned.loc["self_preference_excess", "value"] == pytest.approx(-0.3)


def test_labels_that_are_all_one_explain_everything_by_chance():
    """Raw agreement is full, and says nothing."""
    found = audit(verdicts(*[A] * 6), ["a"] * 6)

    assert found.loc["human_agreement", "value"] == 1
    assert found.loc["cohen_kappa", ["value", "note"]].tolist() == [pd.NA, "all labels are equal: chance explains it"]
    assert audit(verdicts(A), [None]).loc["cohen_kappa", "note"] == "nothing was labelled twice"


# ------------------------------------------------------------------------------------------------------- scores


def test_scores_beside_peoples_scores(scored):
    """Weighted κ against statsmodels; α by rank and by size; the order, by Spearman."""
    rng = np.random.default_rng(0)
    judge = rng.integers(1, 6, 40)
    people = np.clip(judge + rng.integers(-1, 2, 40), 1, 5)
    frame = scored(judge[::2].tolist(), judge[1::2].tolist(), people=people)
    table = np.zeros((5, 5))
    np.add.at(table, (judge - 1, people - 1), 1)

    found = audit(frame, "people")

    assert found.loc["human_agreement", "value"] == pytest.approx(np.trace(table) / 40)
    assert found.loc["cohen_kappa", "value"] == pytest.approx(cohens_kappa(table, wt="quadratic").kappa)
    assert found.loc["human_correlation", "value"] == pytest.approx(stats.spearmanr(judge, people).statistic)
    assert 0.7 < found.loc["krippendorff_alpha_ordinal", "value"] < 1
    assert found.loc["krippendorff_alpha_interval", "value"] == pytest.approx(
        found.loc["cohen_kappa", "value"], abs=0.02
    )


def test_mean_votes_meet_peoples_grades_at_the_nearest(scored):
    """A score of 3.6 is a 4; on a normalised scale, too."""
    raw = scored([3.6, 1.2], [4.4, 2.0])
    normal = scored([0.65, 0.05], [0.85, 0.25], judges={"normalised": True})

    assert audit(raw, [4, 4, 1, 2]).loc["human_agreement", "value"] == 1
    assert audit(normal, [0.75, 0.75, 0, 0.25]).loc["human_agreement", "value"] == 1


def test_labels_on_another_scale_compare_by_order_only(scored):
    """Right and wrong beside 1 to 5 would agree nowhere."""
    found = audit(scored([5, 1, 4], [2, 5, 1]), [1, 0, 0, 1, 1, 0])

    assert found.loc["human_correlation", "value"] > 0.5
    assert found.loc[["cohen_kappa", "human_agreement"], "value"].isna().all()
    assert found.loc["cohen_kappa", "note"].startswith("human labels leave the judge's scale of 1 to 5")


def test_votes_tell_how_steady_scores_are(scored):
    """The share of equal votes, and α between them; missing votes are left out."""
    frame = scored([3, 4], [2, 1])
    frame["judge_votes"] = pd.Series([[3, 3, 3], [2, 2, 3], [4, None, None], None], index=frame.index, dtype=object)
    found = audit(frame)

    assert found.loc["retest_agreement", ["value", "n"]].tolist() == [pytest.approx((1 + 1 / 3) / 2), 2]
    assert found.loc["retest_alpha", "n"] == 2
    assert audit(scored([3], [2])).loc["retest_agreement", "note"].startswith("each answer was judged once")


def test_the_judges_own_family_scores_so_much_above_others(scored):
    """Row by row: 4 and 5 against 3 and 3; people see half of it. Rows without both do not count."""
    frame = scored([4, 5, 4, 5, 4, 5, 5], [3, 3, 3, 3, 3, 3, None], people=[3.5, 3, 4, 3] * 3 + [5, 5])
    found = audit(frame, "people")

    assert found.loc["self_preference", ["value", "n"]].tolist() == [1.5, 6]
    assert found.loc["self_preference_excess", "value"] == pytest.approx(0.75)
    assert audit(frame.assign(judge_model="mistral-large")).loc["self_preference", "n"] == 0


def test_long_answers_score_higher_or_not(scored):
    """Spearman's of score and length."""
    frame = scored([1, 2, 3], [4, 5, 5])
    frame["response"] = pd.array(["x" * (n + 1) for n in range(6)], dtype="string")
    found = audit(frame)

    want = stats.spearmanr(frame["score_judge"].astype(float), range(6)).statistic
    assert found.loc["length_correlation", "value"] == pytest.approx(want)
    assert found.loc["length_correlation", "low"] is pd.NA  # of three rows


def test_a_frame_that_was_saved_is_audited_all_the_same(scored, tmp_path):
    """Notes are lost; judge and models stand in columns."""
    frame = scored([4, 5, 4, 5, 4, 5], [3, 3, 3, 3, 3, 3])
    frame.to_csv(tmp_path / "a.csv")
    again = pd.read_csv(tmp_path / "a.csv", index_col=0)

    assert audit(again).loc["self_preference", "value"] == 1.5
    assert audit(again, [4] * 12).loc["human_agreement", "value"] == 0.25


def test_where_rows_or_scores_cannot_be_told_it_is_said(scored):
    """The rest of the audit is there."""
    frame = scored([4, 5], [3, 3])
    apart = frame.reset_index(drop=True).iloc[1:]
    apart.attrs = {}
    blank = scored([None, None], [None, None], judges={"low": 1}).assign(people=None)
    blank.attrs = {}

    assert audit(apart).loc["self_preference", "note"].startswith("who judged, or which rows belong together")
    assert audit(blank, "people")["value"].isna().all()
    with pytest.raises(errors.InvalidRequestError, match="'score_judge' holds no numbers"):
        audit(frame.assign(score_judge="good"))
