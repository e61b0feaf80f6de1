"""Which variant is worth its money, and what changed between two runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.statistics.paired import newcombe


@pytest.fixture
def priced(frame):
    """`priced(A=([scores], cost), …)`: scored variants on the same rows."""

    def made(**variants) -> pd.DataFrame:
        parts = []
        for model, (scores, cost) in variants.items():
            rows = [{"model": model, "cost": cost, "id": f"{model}{n}"} for n in range(len(scores))]
            parts.append(frame(*rows).assign(q=[f"q{n}" for n in range(len(scores))], score_x=pd.array(scores, dtype="Float64")))  # fmt: skip
        return pd.concat(parts)

    return made


RIGHT = {
    "best": ([1.0] * 196 + [0.0] * 4, 0.010),
    "good": ([1.0] * 195 + [0.0] * 5, 0.002),
    "dear": ([1.0] * 190 + [0.0] * 10, 0.004),
    "poor": ([1.0] * 120 + [0.0] * 80, 0.001),
}


def test_nothing_on_the_frontier_is_both_worse_and_dearer(priced):
    """Best first; who dominates is named."""
    found = lab.frontier(priced(**RIGHT))

    assert found.columns.tolist() == [
        "variant", "score_x", "cost_per_1k", "on_frontier", "dominated_by", "difference_to_best", "low", "high",
        "within_delta", "choice",
    ]  # fmt: skip
    assert found["variant"].tolist() == ["best", "good", "dear", "poor"]
    assert found["cost_per_1k"].tolist() == pytest.approx([10, 2, 4, 1])
    assert found["on_frontier"].tolist() == [True, True, False, True]
    assert found["dominated_by"].tolist() == [pd.NA, pd.NA, "good", pd.NA]


def test_the_choice_is_the_cheapest_that_is_surely_good_enough(priced):
    """The interval's lower end counts, not the mean: 0.5 points below is within 5 points, not surely within 2."""
    wide, narrow = lab.frontier(priced(**RIGHT), delta=0.05), lab.frontier(priced(**RIGHT), delta=0.02)

    ends = newcombe(195, 0, 1, 4)
    good = wide.set_index("variant").loc["good"]
    assert (good["difference_to_best"], good["low"], good["high"]) == pytest.approx(tuple(ends))
    assert -0.05 < ends.low < -0.02
    assert wide.loc[wide["choice"], "variant"].tolist() == ["good"]
    assert narrow.loc[narrow["choice"], "variant"].tolist() == ["best"]


def test_of_equally_good_variants_the_cheaper_is_the_best(priced):
    """Whichever is named first: what another dominates is no choice."""
    found = lab.frontier(priced(dear=([1.0] * 38 + [0.0] * 2, 0.02), cheap=([0.0] * 2 + [1.0] * 38, 0.01)), delta=0.02)

    assert found.loc[found["choice"], ["variant", "on_frontier"]].to_numpy().tolist() == [["cheap", True]]


def test_a_variant_of_unknown_price_is_no_choice(priced):
    """It may be the best; whether it is on the frontier cannot be told."""
    found = lab.frontier(priced(A=([1.0] * 9 + [0.0], None), B=([1.0] * 5 + [0.0] * 5, 0.1)), delta=1)

    assert found["on_frontier"].tolist() == [pd.NA, True]
    assert found["cost_per_1k"].iloc[0] is pd.NA
    assert found["choice"].tolist() == [False, True]


def test_equal_variants_do_not_dominate_each_other(priced):
    """Of equal quality the cheaper does."""
    found = lab.frontier(priced(A=([1.0, 0.0], 0.1), B=([1.0, 0.0], 0.1), C=([1.0, 0.0], 0.2)))

    assert found["on_frontier"].tolist() == [True, True, False]
    assert found["choice"].sum() == 1


def test_a_variant_without_scores_is_na(priced):
    """The others are compared."""
    found = lab.frontier(priced(A=([1.0, 0.5], 0.1), B=([None, None], 0.1))).set_index("variant")

    assert found.loc["B", ["score_x", "on_frontier", "difference_to_best", "within_delta"]].isna().all()
    assert found["choice"].tolist() == [True, False]


def test_variants_of_a_grid_are_told_as_in_a_contrast():
    """Whatever type the column has: 0 is not 0.0."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        found = lab.compare(["a", "b"], "{text}", models="gpt-4", grid={"temperature": [0, 0.7]}, prefix="my_", client=client, progress=False)  # fmt: skip
    found["my_temperature"] = np.array([0, 0.7, 0, 0.7], dtype=object)
    scored = lab.score(found, {"x": lambda row: 1})

    assert lab.frontier(scored)["variant"].tolist() == ["gpt-4 · temperature 0", "gpt-4 · temperature 0.7"]
    assert lab.contrast(scored)["variant"].tolist() == ["gpt-4 · temperature 0.7"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": 0}, errors.InvalidRequestError, "alpha=0"),
        ({"delta": -1}, errors.InvalidRequestError, "delta=-1"),
        ({"score": "y"}, errors.NotFoundError, "No score 'y'"),
    ],
)
def test_bad_options_are_refused(priced, options, error, message):
    """And so is a score that nobody has."""
    with pytest.raises(error, match=message):
        lab.frontier(priced(A=([1.0], 0.1)), **options)
    with pytest.raises(errors.InvalidRequestError, match="No variant has a score_x"):
        lab.frontier(priced(A=([None], 0.1)))


# -------------------------------------------------------------------------------------------------------- diff


@pytest.fixture
def client():
    """gpt-4 says what it is asked, gpt-4o shouts what has an a."""
    answers = {
        "gpt-4": {"content": lambda messages: messages[-1]["content"]},
        "gpt-4o": {"content": lambda messages: messages[-1]["content"].replace("a", "A")},
    }
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers) as made:
        yield made


DATA = pd.DataFrame({"q": ["apple", "pear", "fig"]}, index=["i", "j", "k"])


def ask(client, model: str = "gpt-4", data: pd.DataFrame = DATA, **options) -> pd.DataFrame:
    return lab.batch(data, "{q}", model=model, client=client, progress=False, **options)


def test_rows_that_flipped_stand_with_both_answers(client):
    """Two batches of different models; the index is the input's."""
    found = lab.diff(ask(client), ask(client, "gpt-4o"))

    assert found.index.tolist() == ["i", "j"]
    assert found.to_dict("list") == {
        "q": ["apple", "pear"], "variant_a": ["gpt-4"] * 2, "variant_b": ["gpt-4o"] * 2,
        "response_a": ["apple", "pear"], "response_b": ["Apple", "peAr"],
    }  # fmt: skip
    assert found.attrs["prsm"] == {"simulated": False, "compared": 3, "changed": 2, "only_a": 0, "only_b": 0}


def test_runs_are_named(client):
    """By name or id, from the ledger; the same run has not changed."""
    ask(client, run="monday")
    ask(client, "gpt-4o", run="tuesday")

    assert lab.diff("monday", "tuesday", client=client)["q"].tolist() == ["apple", "pear"]
    assert lab.diff("monday", "monday", client=client).empty
    with pytest.raises(errors.NotFoundError):
        lab.diff("monday", "someday", client=client)


def test_a_score_that_changed_with_by_how_much(client):
    """Only rows with another score; an answer may change and be as right as before."""
    a, b = (
        lab.score(found.assign(answer=["apple", "peAr", "fig"]), {"same": lambda row: row["response"] == row["answer"]})
        for found in (ask(client), ask(client, "gpt-4o"))
    )

    found = lab.diff(a, b, score="same")

    assert found["q"].tolist() == ["apple", "pear"]
    assert found["change"].tolist() == [-1.0, 1.0]
    assert found[["score_same_a", "score_same_b"]].to_numpy().tolist() == [[1, 0], [0, 1]]
    assert lab.diff(a, b.assign(score_same=[0.0, 0.0, None]), score="same")["q"].tolist() == ["apple", "fig"]
    with pytest.raises(errors.NotFoundError, match="'other'"):
        lab.diff(a, b, score="other")


def test_comparisons_are_laid_against_each_other_variant_by_variant(client):
    """Rows that one run lacks are counted, not shown."""
    both = lab.compare(DATA, "{q}", models=["gpt-4", "gpt-4o"], client=client, progress=False)
    changed = both.copy()
    changed.iloc[3, changed.columns.get_loc("response")] = "plum"

    found = lab.diff(both, changed.iloc[2:])

    assert found[["q", "variant_a", "response_a", "response_b"]].to_numpy().tolist() == [
        ["pear", "gpt-4o", "peAr", "plum"]
    ]
    assert found.attrs["prsm"]["compared"] == 4
    assert found.attrs["prsm"]["only_a"] == 2


def test_a_failure_is_a_change_and_two_failures_are_none(client):
    """The code of the error stands there."""
    good = ask(client)
    bad = good.copy()
    bad.iloc[:2, [bad.columns.get_loc(name) for name in ("response", "error_code")]] = [pd.NA, "timeout"]

    found = lab.diff(good, bad)

    assert found["response_b"].isna().tolist() == [True, True]
    assert found["error_code_b"].tolist() == ["timeout"] * 2
    assert "error_code_a" not in found
    assert lab.diff(bad, bad).empty


def test_rows_are_told_by_a_column_where_order_changed(client):
    """Other data under the same index is refused, with the remedy."""
    shuffled = DATA.iloc[[2, 0, 1]].set_axis(["i", "j", "k"])
    a, b = ask(client), ask(client, "gpt-4o", shuffled)

    with pytest.raises(errors.InvalidRequestError, match=r"Column 'q' differs between the runs in row 'i'.*row='id'"):
        lab.diff(a, b)
    assert lab.diff(a, b, row="q")["q"].tolist() == ["apple", "pear"]


def test_runs_that_share_nothing_are_refused(client):
    """And a column that would be overwritten."""
    with pytest.raises(errors.InvalidRequestError, match="share no row"):
        lab.diff(ask(client), ask(client, "gpt-4o", DATA.set_axis(["x", "y", "z"])))
    named = DATA.assign(change=np.arange(3))
    with pytest.raises(errors.InvalidRequestError, match="'change' has the name"):
        lab.diff(ask(client, data=named), ask(client, "gpt-4o", data=named))
