"""Scores of answers: what counts as right, and what becomes of a scorer's own faults."""

from __future__ import annotations

import decimal
import fractions
import os
import sys
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import embeddings, errors
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


# ------------------------------------------------------------------------------------------ scorers in a frame


def test_built_ins_come_by_name_or_as_objects_with_options(frame):
    """Side by side, in the order given."""
    found = frame({"content": "about 3.15", "answer": 3.14}, {"content": "{}", "answer": 3.14})
    scored = lab.score(found, ["numeric", lab.scorers.Length("words"), "json_valid", "f1", "rouge_l"])

    assert scored.filter(like="score_").columns.tolist() == [
        "score_numeric",
        "score_length",
        "score_json_valid",
        "score_f1",
        "score_rouge_l",
    ]
    assert scored["score_numeric"].tolist() == [0, 0]
    assert lab.score(found, lab.scorers.Numeric(rel_tol=0.01))["score_numeric"].tolist() == [1, 0]
    assert scored["score_length"].tolist() == [2, 1]
    assert scored["score_json_valid"].tolist() == [0, 1]


@pytest.mark.parametrize("name", lab.scorers.names())
def test_every_built_in_scores_a_frame(frame, name):
    """A figure where there is an answer, NA where the request failed."""
    reference = {
        "choice": "B",
        "json_match": '{"a": 1}',
        "schema": '{"type": "object"}',
        "numeric": "1",
        "regex": "a",
    }.get(name, "a 1")
    scored = lab.score(
        frame({"content": '{"a": 1}', "answer": reference}, {"failed": "down", "answer": reference}), name
    )
    figure, none = scored[f"score_{name}"].tolist()

    assert isinstance(figure, float)
    assert none is pd.NA
    assert f"score_{name}_error" not in scored.columns


def test_what_needs_no_reference_asks_for_no_column(frame):
    """A pattern, a schema, a length of the caller's own."""
    found = frame({"content": "x1"}).drop(columns="answer")
    scored = lab.score(found, [lab.scorers.Regex(r"\d"), lab.scorers.Schema({}), "length", "json_valid"])

    assert scored.filter(like="score_").iloc[0].tolist() == [1, 0, 2, 0]
    with pytest.raises(errors.NotFoundError, match=r"right answers for f1, regex; name it.*Columns: q, model"):
        lab.score(found, ["length", "f1", "regex"])


@pytest.mark.parametrize(
    ("scorers", "says"),
    [
        ("nummeric", "did you mean 'numeric'"), (["exact", "exact"], "called 'exact'"), ([lab.scorers.Numeric(), lab.scorers.Numeric(rel_tol=0.1)], "called 'numeric'"), (lab.scorers.Numeric, r"class; give an object of it: lab\.scorers\.Numeric"),
        ({1: "exact"}, "no name"), ({"": "exact"}, "no name"), ({"a": lambda row: {"b": 1}, "a_b": "length"}, "make a column 'score_a_b'"), ({"a": 3}, "3 is no scorer"), ({"abs_error": len}, "cannot be called 'abs_error'"),
    ],
)  # fmt: skip
def test_scorers_that_cannot_be_told_apart_or_are_none_are_refused(frame, scorers, says):
    """Before the first row, or before a column would be lost."""
    with pytest.raises(errors.InvalidRequestError, match=says):
        lab.score(frame({"answer": "x"}), scorers)


def test_two_of_a_kind_are_named_by_the_caller(frame):
    """A dict's names are the columns'."""
    scored = lab.score(
        frame({"content": "3.15", "answer": 3.14}), {"strict": "numeric", "loose": lab.scorers.Numeric(rel_tol=0.01)}
    )

    assert (scored["score_strict"].tolist(), scored["score_loose"].tolist()) == ([0], [1])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("0.5", "could not convert str '0.5' to a score"), ([1], r"could not convert list '\[1\]'"), (1j, "could not convert complex"), (np.array([1.0]), "could not convert ndarray"), (b"1", "could not convert bytes"),
        (float("inf"), "inf is no score"), (-np.inf, "-inf is no score"), (10**400, "OverflowError"), ({"a": "x"}, "could not convert str 'x'"), ({"error": 1}, "cannot be called 'error'"), ({"abs_error": 1}, "cannot be called 'abs_error'"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_na_with_the_reason(frame, value, says):
    """It names the type; a text is none, whatever it reads like."""
    scored = lab.score(frame({}), {"odd": lambda row: value})

    assert scored["score_odd"].isna().all()
    assert says.replace("\\", "") in scored["score_odd_error"].item()


@pytest.mark.parametrize("value", [3, np.float32(0.5), decimal.Decimal("0.5"), fractions.Fraction(1, 2), np.array(0.5)])
def test_every_kind_of_number_is_one(frame, value):
    """Decimals, fractions, arrays without dimensions."""
    assert lab.score(frame({}), {"n": lambda row: value})["score_n"].tolist() == [float(value)]


def test_a_reference_may_be_a_list_of_right_answers(frame):
    """The best counts; an empty list is none."""
    scored = lab.score(
        frame({"content": "Paname", "answer": ["Paris", "Paname"]}, {"content": "Paname", "answer": []}),
        ["exact", "f1"],
    )

    assert scored["score_exact"].tolist() == [1, pd.NA]
    assert scored["score_exact_error"].tolist() == [pd.NA, "ValueError: the reference is an empty list"]


def test_each_rows_pattern_may_be_broken_without_breaking_others(frame):
    """Its row says so."""
    scored = lab.score(frame({"content": "b", "answer": "(a"}, {"content": "b", "answer": "a|b"}), "regex")

    assert scored["score_regex"].tolist() == [pd.NA, 1]
    assert "'(a' is no regular expression" in scored["score_regex_error"].iloc[0]


def test_fields_of_a_document_are_columns(frame):
    """Beside their share."""
    found = frame(
        {"content": '{"a": 1, "b": {"c": 2}}', "answer": '{"a": 1, "b": {"c": 3}}'},
        {"content": "no", "answer": '{"a": 1}'},
    )
    scored = lab.score(found, lab.scorers.JsonMatch(parts=True)).filter(like="score_")

    assert scored.columns.tolist() == ["score_json_match_share", "score_json_match_a", "score_json_match_b.c"]
    assert scored.iloc[0].tolist() == [0.5, 1, 0]
    assert scored.iloc[1].tolist() == [0, 0, pd.NA]


def test_an_answer_that_does_not_fit_its_schema_scores_na(frame):
    """Its text is kept, and its request has failed: `summarize` counts it there."""
    found = frame({"answer": "x"}, {"answer": "x"})
    found["error_code"] = pd.array([pd.NA, "schema"], dtype="string")

    assert lab.score(found, ["exact", lambda row: 1])["score_exact"].tolist() == [1, pd.NA]
    assert lab.score(found, {"f": lambda row: 1})["score_f"].tolist() == [1, pd.NA]


def test_the_frame_notes_how_many_rows_have_no_score_and_why(frame):
    """In its notes, and in the summary."""
    found = frame(
        {"answer": "4", "content": "4"}, {"failed": "down", "answer": "4"}, {"answer": "four"}, {"answer": None}
    )
    found.index = ["a", "b", "c", "d"]
    found.attrs["prsm"] = {"run": "r", "variants": ["model"], "prefix": ""}
    scored = lab.score(found, ["numeric", "length"])

    assert scored.attrs["prsm"]["scores"] == {
        "numeric": {"rows": 4, "failed": 1, "errors": 2, "columns": ["score_numeric", "score_numeric_error"], "first_error": "row 'c': ValueError: the reference 'four' holds no number"},
        "length": {"rows": 4, "failed": 1, "errors": 0, "columns": ["score_length"]},
    }  # fmt: skip
    assert found.attrs["prsm"] == {"run": "r", "variants": ["model"], "prefix": ""}
    assert lab.summarize(scored)[["n", "failed", "score_numeric", "score_numeric_na", "score_length_na"]].iloc[
        0
    ].tolist() == [4, 1, 1, 3, 1]


def test_scoring_again_leaves_nothing_of_before(frame):
    """Neither errors that are mended nor parts that are gone."""
    found = frame({"content": "4", "answer": "four"})
    found.attrs["prsm"] = {"variants": ["model"], "prefix": ""}
    first = lab.score(found, ["numeric", "length"]).pipe(lab.score, {"p": lambda row: {"a": 1, "b": 2}})
    second = first.assign(answer="4").pipe(lab.score, "numeric").pipe(lab.score, {"p": lambda row: {"b": 3}})

    assert first.filter(like="score_").columns.tolist() == [
        "score_numeric",
        "score_numeric_error",
        "score_length",
        "score_p_a",
        "score_p_b",
    ]
    assert second.filter(like="score_").columns.tolist() == ["score_length", "score_numeric", "score_p_b"]
    assert second["score_p_b"].tolist() == [3]
    assert set(second.attrs["prsm"]["scores"]) == {"numeric", "length", "p"}


def test_a_frame_without_notes_is_scored_again_as_well(frame):
    """One that was saved and read."""
    first = lab.score(frame({"content": "4", "answer": "four"}), "numeric")

    assert lab.score(first.assign(answer="4"), "numeric").filter(like="score_").columns.tolist() == ["score_numeric"]
    assert lab.score(first, "numeric").attrs == {}


def test_no_rows_have_the_columns_all_the_same(frame):
    """A loop over parts may meet an empty one."""
    scored = lab.score(frame({"answer": "x"}).iloc[:0], ["exact", "embedding_similarity"])

    assert (len(scored), list(scored.columns[-2:])) == (0, ["score_exact", "score_embedding_similarity"])


@pytest.mark.parametrize(
    ("scorer", "extra"), [("bleu", "text"), ("chrf", "text"), ("embedding_similarity", "semantic")]
)
def test_a_missing_package_is_said_before_the_first_row(frame, scorer, extra, monkeypatch):
    """Not in each of them."""
    for name in ("sacrebleu", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(embeddings, "_loaded", {})
    with pytest.raises(errors.InvalidRequestError, match=rf'pip install "prsm-lab\[{extra}\]"'):
        lab.score(frame({"answer": "x"}), scorer)


# ----------------------------------------------------------------------------------------------- embeddings


def counted(asked, bad=()):
    """An embedder that writes down what it is asked, and fails on some texts."""

    def embed(texts):
        asked.append(list(texts))
        if set(bad) & set(texts):
            raise RuntimeError("too long")
        return [[len(text), text.count("a")] for text in texts]

    return lab.scorers.EmbeddingSimilarity(embed)


def test_texts_are_embedded_together_and_each_once(frame):
    """A reference that many answers have is one text."""
    asked = []
    scored = lab.score(frame(*({"content": f"a{n}", "answer": "aa"} for n in range(70))), counted(asked))

    assert [len(texts) for texts in asked] == [65, 7]
    assert scored["score_embedding_similarity"].notna().all()


def test_a_text_that_an_embedder_does_not_take_costs_its_own_row_only(frame):
    """So does one without a direction, or without a reference."""
    found = frame(
        {"content": "ab", "answer": "ab"},
        {"content": "bad", "answer": "ab"},
        {"content": "", "answer": "ab"},
        {"content": "a", "answer": None},
        {"content": "a", "answer": []},
        {"failed": "down", "answer": "a"},
    )
    scored = lab.score(found, counted([], bad=["bad"]))

    assert scored["score_embedding_similarity"].tolist() == [pytest.approx(1), *[pd.NA] * 5]
    said = scored["score_embedding_similarity_error"].tolist()
    assert said[1] == "RuntimeError: too long"
    assert said[2:5] == [
        "ValueError: the embedder gives '' no direction (a vector of zeros)",
        "ValueError: the reference is empty in this row",
        "ValueError: the reference is an empty list",
    ]
    assert (said[0], said[5]) == (pd.NA, pd.NA)


def test_an_embedder_that_fails_throughout_is_not_asked_for_ever(frame):
    """64 rows tell; the rest say why they were left."""
    asked = []
    scored = lab.score(frame(*({"content": f"a{n}", "answer": "x"} for n in range(200))), counted(asked, bad=["x"]))
    said = scored["score_embedding_similarity_error"]

    assert len(asked) == 65
    assert said.iloc[63] == "RuntimeError: too long"
    assert said.iloc[199] == "RuntimeError: too long (in all of 64 rows before, so it was not asked again)"


def test_a_few_texts_that_fail_do_not_end_an_embedder(frame):
    """A group may hold little else than rows that failed."""
    bad = {"content": "bad", "answer": "aa"}
    found = frame(*({"failed": "down", "answer": "aa"} for _ in range(62)), bad, bad, {"content": "a", "answer": "aa"})
    scored = lab.score(found, counted([], bad=["bad"]))

    assert scored["score_embedding_similarity"].notna().tolist() == [*[False] * 64, True]


def test_similar_texts_are_near(frame):
    """The bundled model, from the frame to the score."""
    found = frame(
        {"content": "Someone plays guitar.", "answer": "A man is playing a guitar."},
        {"content": "Shares fell.", "answer": "A man is playing a guitar."},
    )
    near, far = lab.score(found, "embedding_similarity")["score_embedding_similarity"].tolist()

    assert (near > 0.7, far < 0.2) == (True, True)


# --------------------------------------------------------------------------------------------------- joblib


def wheres(row):
    """Where it runs, and a fault for some."""
    if row["response"] == "7":
        raise ValueError("seven")
    return {"n": int(row["response"]), "here": os.getpid()}


@pytest.fixture
def twenty(frame):
    """Rows whose answers are their numbers, one failed."""
    return frame(
        *({"failed": "down", "answer": "x"} if n == 3 else {"content": str(n), "answer": "1 2 3"} for n in range(20))
    )


def test_functions_of_the_row_run_where_parallel_config_says(twenty):
    """The same scores and errors in the same rows, from other processes."""
    here = lab.score(twenty, wheres)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        there = lab.score(twenty, wheres)

    pd.testing.assert_frame_equal(here.drop(columns="score_wheres_here"), there.drop(columns="score_wheres_here"))
    assert there["score_wheres_n"].isna().tolist() == [n in (3, 7) for n in range(20)]
    assert there["score_wheres_error"].dropna().tolist() == ["ValueError: seven"]
    assert set(here["score_wheres_here"].dropna()) == {os.getpid()}
    assert os.getpid() not in set(there["score_wheres_here"].dropna())


@pytest.mark.parametrize("config", [{"backend": "threading", "n_jobs": 3}, {"backend": "sequential"}, {"n_jobs": 1}])
def test_scores_do_not_depend_on_how_they_are_spread(twenty, config):
    """Threads, or none."""
    names = ["rouge_l", "bleu", "chrf", "exact"]
    with joblib.parallel_config(**config):
        spread = lab.score(twenty, names)

    pd.testing.assert_frame_equal(lab.score(twenty, names), spread)


def test_a_function_that_cannot_travel_scores_here_and_says_why(twenty):
    """A lock stays where it is."""
    lock = threading.Lock()

    def locked(row):
        with lock:
            return len(row["response"])

    with (
        joblib.parallel_config(n_jobs=2),
        pytest.warns(UserWarning, match=r"cannot travel to joblib's workers \(TypeError: cannot pickle"),
    ):
        spread = lab.score(twenty, locked)

    with joblib.parallel_config(backend="threading", n_jobs=2):
        threaded = lab.score(twenty, locked)  # it need not travel

    pd.testing.assert_frame_equal(lab.score(twenty, locked), spread)
    pd.testing.assert_frame_equal(threaded, spread)


def test_a_function_that_ends_its_worker_is_an_error_of_the_run(twenty):
    """It is not tried here, where it would end the notebook."""
    with (
        joblib.parallel_config(n_jobs=2),
        pytest.raises(
            errors.ProviderError, match=r"workers ended before.*TerminatedWorkerError.*without joblib.parallel_config"
        ),
    ):
        lab.score(twenty, {"fatal": lambda row: os.kill(os.getpid(), 9)})


def test_quick_scorers_stay_here(twenty, monkeypatch):
    """What takes a microsecond is not sent anywhere."""
    monkeypatch.setattr(joblib, "Parallel", None)
    with joblib.parallel_config(n_jobs=2):
        assert lab.score(twenty, ["exact", "f1", "length", "regex"])["score_exact"].notna().sum() == 19
