"""Scores of answers: what counts as right, and what becomes of a scorer's own faults."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.frames.scoring import contains, exact, number, numeric

# --------------------------------------------------------------------------------------------------- scorers


@pytest.mark.parametrize(
    ("response", "reference", "same"),
    [("Paris.", "paris", True), (" The  Answer ", "answer", True), ("a b", "A, B!", True), ("Paris", "Lyon", False), ("ＰＡＲＩＳ", "Paris", True), ("", "", True),
     ("A.", "A", True), ("", "A", False), ("B", "A", False), ("the", "a", False), ("+", "-", False), ("/", "-", False), ("-", "-", True),
     ("-5", "5", False), ("−5", "-5", True), ("\uff0d5", "-5", True), ("10-5", "10 5", True), ("™", "tm", True)],
)  # fmt: skip
def test_exact_folds_what_does_not_matter(response, reference, same):
    """Case, marks, articles, blanks, width."""
    assert exact(response, reference) is same


@pytest.mark.parametrize(
    ("response", "reference", "found"),
    [
        ("It is Paris, France.", "Paris", True),
        ("Parisian", "Paris", False),
        ("Addis-Ababa is it", "Addis Ababa", True),
        ("x", "", False),
        ("The answer is A", "A", True),
        ("The answer is B, not a guess", "A", False),
        ("It is -5", "5", False),
        ("It is -5.", "-5", True),
    ],
)
def test_contains_looks_for_whole_words(response, reference, found):
    """`Parisian` is not Paris, and nothing contains nothing."""
    assert contains(response, reference) is found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("so 42.", 42.0), ("1,234,567.5 in all", 1234567.5), ("from 3 to -7", -7.0), ("−5 °C", -5.0), ("1e3", 1000.0), ("12 345", 12345.0),
        ("3.14159", 3.14159), ("no", None), ("2026-11-25", -25.0), ("$1,000", 1000.0), ("4,5", 5.0), ("it is .5", 0.5), ("-.25", -0.25), ("2.5.", 2.5), ("", None),
    ],
)  # fmt: skip
def test_the_last_number_is_the_answer(text, value):
    """Thousands separators, signs, exponents."""
    assert number(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_that_is_written_is_read_back(value):
    """Whatever its size."""
    assert number(f"The result is {value!r}") == pytest.approx(value)


def test_numeric_allows_a_millionth_and_no_more():
    """And needs a number to compare with."""
    assert numeric("0.3333333", 1 / 3)
    assert not numeric("0.334", 1 / 3)
    with pytest.raises(ValueError, match="holds no number"):
        numeric("3", "three")


def test_failed_rows_score_na_and_a_scorer_that_raises_says_so_in_its_row(frame):
    """Never silently 0."""
    found = frame(
        {"content": "4", "answer": "4"},
        {"failed": "down", "answer": "4"},
        {"content": "4", "answer": None},
        {"content": "5", "answer": "4"},
    )
    scored = lab.score(found, "numeric")

    assert scored["score_numeric"].tolist() == [1.0, pd.NA, pd.NA, 0.0]
    assert scored["score_numeric_error"].notna().tolist() == [False, False, True, False]
    assert "score_numeric" not in found.columns


def test_any_function_of_the_row_scores_and_a_dict_gives_several(frame):
    """Named by the function, or by the caller."""
    scored = lab.score(
        frame({"content": "abc"}), {"length": lambda row: len(row["response"]), "parts": lambda row: {"a": 1, "b": 0.5}}
    )

    assert scored.filter(like="score_").iloc[0].to_dict() == {
        "score_length": 3.0,
        "score_parts_a": 1.0,
        "score_parts_b": 0.5,
    }


@pytest.mark.parametrize(
    ("scorers", "cls", "says"),
    [("exactly", errors.InvalidRequestError, "built in are exact"), ([3], errors.InvalidRequestError, "no scorer")],
)
def test_what_is_no_scorer_is_refused(frame, scorers, cls, says):
    """With what there is."""
    with pytest.raises(cls, match=says):
        lab.score(frame({"answer": "4"}), scorers)


def test_a_missing_reference_column_is_named(frame):
    """`reference=` is the remedy."""
    with pytest.raises(errors.NotFoundError, match="reference="):
        lab.score(frame({}), "exact", reference="gold")
    with pytest.raises(errors.InvalidRequestError, match="no results"):
        lab.score(pd.DataFrame({"a": [1]}), "exact")


def test_a_score_that_is_no_number_is_an_error_of_its_row(frame):
    """The run of all other rows goes on."""
    scored = lab.score(
        frame({"content": "a"}, {"content": "b"}), {"mood": lambda row: {"a": "good", "b": 1}[row["response"]]}
    )

    assert scored["score_mood"].tolist() == [pd.NA, 1.0]
    assert scored["score_mood_error"].tolist()[0].startswith("ValueError: could not convert")


@pytest.mark.parametrize("value", [True, 1, 1.0, np.int64(1), np.bool_(True), np.float32(1)])
def test_whatever_counts_as_a_number_is_one(frame, value):
    """Truth values and numpy's numbers."""
    assert lab.score(frame({}), {"one": lambda row: value})["score_one"].tolist() == [1.0]


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, np.nan])
def test_a_scorer_that_cannot_tell_scores_na(frame, value):
    """NA is not 0, and not an error."""
    scored = lab.score(frame({}), {"unsure": lambda row: value})

    assert scored["score_unsure"].isna().all()
    assert "score_unsure_error" not in scored.columns


def test_a_dict_that_lacks_a_part_or_raises_leaves_na_there(frame):
    """No empty column stands in front of the parts."""

    def parts(row):
        return {"a": 1} if row["response"] == "x" else {"a": 0, "b": 1 / int(row["response"])}

    scored = lab.score(frame({}, {"content": "2"}, {"content": "0"}), parts)

    assert list(scored.columns[-3:]) == ["score_parts_a", "score_parts_b", "score_parts_error"]
    assert scored["score_parts_a"].tolist() == [1.0, 0.0, pd.NA]
    assert scored["score_parts_b"].tolist() == [pd.NA, 0.5, pd.NA]


def test_two_scorers_of_one_name_are_refused(frame):
    """One of them was lost without a word."""
    with pytest.raises(errors.InvalidRequestError, match="'lambda'; give a dict"):
        lab.score(frame({}), [lambda row: 0, lambda row: 1])


def test_a_whole_number_beside_an_empty_reference_is_still_whole(frame):
    """Pandas makes 4 a 4.0 there."""
    scored = lab.score(frame({"content": "4", "answer": 4}, {"content": "4", "answer": None}), ["exact", "contains"])

    assert str(scored["answer"].dtype) == "float64"
    assert (scored["score_exact"].iloc[0], scored["score_contains"].iloc[0]) == (1.0, 1.0)


@given(st.text(max_size=20))
def test_an_answer_is_right_if_it_is_the_reference(text):
    """Whatever the text; and nothing is right for an empty answer but an empty reference."""
    assert exact(text, text)
    assert exact("", text) == (not text.strip())


@given(st.text("ABCabc ,.", min_size=1, max_size=8), st.text("xyz ", max_size=8), st.text("xyz ", max_size=8))
def test_an_answer_contains_the_reference_wherever_it_stands(reference, before, after):
    """As whole words, between anything."""
    assume(any(sign.isalpha() for sign in reference))

    assert contains(f"{before} {reference} {after}", reference)


def test_a_scorer_sees_all_columns_and_cannot_change_the_results(frame):
    """A row is a copy."""
    found = frame({"q": "why?", "answer": "x"})
    before = found.copy(deep=True)

    def greedy(row):
        row["response"] = "changed"
        return {"q", "answer", "model", "cost"} <= set(row)

    assert lab.score(found, greedy)["score_greedy"].tolist() == [1.0]
    pd.testing.assert_frame_equal(found, before)


def test_scores_keep_index_columns_and_notes(frame):
    """`df.pipe` goes on."""
    found = frame({"answer": "x"}, {"answer": "x"}).set_axis([7, 7])
    found.attrs["prsm"] = {"run": "r", "variants": ["model"], "prefix": ""}
    scored = found.pipe(lab.score, "exact")

    assert scored.index.tolist() == [7, 7]
    assert list(scored.columns) == [*found.columns, "score_exact"]
    assert str(scored["score_exact"].dtype) == "Float64"
    assert scored.attrs["prsm"]["run"] == "r"
