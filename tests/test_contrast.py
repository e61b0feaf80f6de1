"""Variants against a baseline on the same rows: which rows belong together, what differs, and how it is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.frames.contrasting import TYPES
from prsm_lab.frames.pairing import row_keys


@pytest.fixture
def asked():
    """Three rows in two variants, two samples each."""
    data = pd.DataFrame({"q": ["a", "b", "c"], "doc": ["x", "x", "y"]}, index=[10, 20, 30])
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        yield lab.compare(data, "{q}", models=["gpt-4", "gpt-4o"], samples=2, client=client, progress=False)


@pytest.fixture
def results(frame):
    """`results({"A": [scores], "B": [scores]}, **columns)`: a long frame, None where a row failed."""

    def made(scores: dict[str, list], **columns) -> pd.DataFrame:
        parts = []
        for model, values in scores.items():
            rows = [{"failed": "down", "model": model} if value is None else {"model": model, "id": f"{model}{n}"} for n, value in enumerate(values)]  # fmt: skip
            part = frame(*rows).assign(q=[f"q{n}" for n in range(len(values))], score_x=pd.array(values, dtype="Float64"))  # fmt: skip
            for name, cells in columns.items():
                part[name] = cells[model] if isinstance(cells, dict) else cells
            parts.append(part)
        return pd.concat(parts)

    return made


# ------------------------------------------------------------------------------------- rows that belong together


def test_variants_and_samples_of_one_input_row_share_its_key(asked):
    """By index; by position where the index was lost; by a column that is named."""
    expected = np.repeat([10, 20, 30], 4).tolist()

    assert row_keys(asked).tolist() == expected
    assert row_keys(asked.sample(frac=1, random_state=0)).sort_values().tolist() == expected
    assert row_keys(asked.iloc[3:]).tolist() == expected[3:]
    assert row_keys(asked.reset_index(drop=True)).tolist() == np.repeat([0, 1, 2], 4).tolist()
    assert row_keys(asked, "q").tolist() == list("aaaabbbbcccc")
    assert row_keys(asked, ["doc", "q"]).iloc[0] == ("x", "a")


def test_batches_below_each_other_belong_together_by_their_index(results):
    """What pd.concat of two batches is."""
    assert row_keys(results({"A": [1, 0], "B": [1, 1]})).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("spoil", "row", "message"),
    [
        (lambda found: found.reset_index(drop=True).iloc[1:], None, "cannot be told.*row='id'"),
        (lambda found: found.reset_index(drop=True).sort_values("model"), None, "cannot be told"),
        (lambda found: found.assign(q=[f"{n}" for n in range(12)]), None, "index value 10 differ in column 'q' .row 1"),
        (
            lambda found: found.iloc[[0, 1, 6, 7, 4, 5, 2, 3, 8, 9, 10, 11]].reset_index(drop=True),
            None,
            "differ in column 'q'",
        ),
        (lambda found: found, "doc", "'x' names 2 rows of gpt-4 · sample 0 .rows 0, 4.*cluster="),
        (lambda found: found.assign(k=[None] * 12), "k", "'k' is empty in row 0"),
        (lambda found: found.assign(k=[[1]] * 12), "k", "'k' is a list, which names nothing in row 0"),
        (lambda found: found, [], "names no column"),
    ],
)
def test_rows_that_cannot_be_told_are_refused(asked, spoil, row, message):
    """An answer must never be held against another question's; the message says where and what to do."""
    with pytest.raises(errors.InvalidRequestError, match=message):
        row_keys(spoil(asked), row)


def test_a_key_column_that_is_not_there_is_named(asked):
    """A name of the index serves."""
    with pytest.raises(errors.NotFoundError, match="'nothing'"):
        row_keys(asked, "nothing")
    assert row_keys(asked.rename_axis("id"), "id").iloc[0] == 10


# ---------------------------------------------------------------------------------------------------- figures


def test_columns_and_types_are_the_same_whatever_was_compared(results):
    """One row per variant and score, the baseline left out."""
    some = lab.contrast(results({"A": [1, 0], "B": [0.5, 1], "C": [0, 0]}, score_y=1.0))
    none = lab.contrast(results({"A": [1.0, None], "B": [None, 1.0]}))

    assert {name: str(kind) for name, kind in some.dtypes.items()} == TYPES
    assert {name: str(kind) for name, kind in none.dtypes.items()} == TYPES
    assert some[["variant", "baseline", "score"]].to_numpy().tolist() == [
        ["B", "A", "score_x"], ["B", "A", "score_y"], ["C", "A", "score_x"], ["C", "A", "score_y"],
    ]  # fmt: skip


def test_right_and_wrong_is_mcnemars(results):
    """9 wins, 1 loss, 30 rows right in both."""
    a, b = [0] * 9 + [1] + [1] * 30, [1] * 9 + [0] + [1] * 30
    line = lab.contrast(results({"A": a, "B": b})).iloc[0]

    assert line["p_value"] == pytest.approx(mcnemar([[30, 1], [9, 0]], exact=True).pvalue)
    assert line[["n", "lost", "wins", "ties", "losses", "test"]].tolist() == [40, 0, 9, 30, 1, "mcnemar"]
    assert (line["mean"], line["baseline_mean"], line["difference"]) == (0.975, 0.775, pytest.approx(0.2))
    assert line["p_holm"] == line["p_value"]


def test_other_scores_are_permuted_with_students_interval(results):
    """Against scipy's paired t test; the effect is Cohen's dz."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=60), rng.normal(0.5, 1, 60)
    line = lab.contrast(results({"A": list(a), "B": list(b)})).iloc[0]

    expected = stats.ttest_rel(b, a)
    assert (line["low"], line["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert line["p_value"] == pytest.approx(expected.pvalue, abs=0.01)
    assert line["test"] == "permutation"
    assert line["effect_size"] == pytest.approx((b - a).mean() / (b - a).std(ddof=1))


def test_samples_of_a_row_are_one_answer_their_mean(results):
    """Ten samples of four rows are four rows."""
    single = {"A": [0.1, 0.4, 0.2, 0.9], "B": [0.3, 0.5, 0.1, 1.0]}
    many = pd.concat([results(single).assign(sample=n) for n in range(10)])
    many = many[["answer", "q", "model", "sample", *[c for c in many if c not in ("answer", "q", "model", "sample")]]]
    many.loc[many["sample"].gt(4) & many["q"].eq("q0") & many["model"].eq("A"), "score_x"] = pd.NA

    figures = ["n", "lost", "difference", "low", "high", "p_value", "wins", "losses", "mde"]
    pd.testing.assert_frame_equal(lab.contrast(many)[figures], lab.contrast(results(single))[figures])


def test_rows_without_a_score_on_either_side_are_lost_and_counted(results):
    """Failed, or NA: only rows of both are compared."""
    line = lab.contrast(results({"A": [1, 1, None, 0, 1], "B": [1, 0, 1, None, 0]})).iloc[0]

    assert line[["n", "lost", "wins", "ties", "losses"]].tolist() == [3, 2, 0, 1, 2]
    assert (line["mean"], line["baseline_mean"]) == (pytest.approx(1 / 3), 1.0)
    assert lab.contrast(results({"A": [1.0, float("inf")], "B": [0.5, 1.0]}))["lost"].item() == 1


def test_p_values_are_adjusted_for_every_row_of_the_table(results):
    """Two variants times two scores are four tests."""
    rng = np.random.default_rng(1)
    found = lab.contrast(
        results({name: list(rng.normal(shift, 1, 50)) for name, shift in (("A", 0), ("B", 0.4), ("C", 0.6))}, score_y=list(rng.normal(size=50)))
    )  # fmt: skip

    given = sorted(found["p_value"])
    assert sorted(found["p_holm"])[0] == pytest.approx(4 * given[0])
    assert (found["p_holm"] >= found["p_value"]).all()
    assert (found["p_holm"] <= 1).all()


def test_clusters_of_rows_widen_the_interval(results):
    """Ten questions on each document that go the same way."""
    rng = np.random.default_rng(2)
    shift = np.repeat(rng.normal(0.2, 1, 20), 10)
    found = results({"A": [0.0] * 200, "B": list(shift)}, doc=[n // 10 for n in range(200)])

    plain, aware = lab.contrast(found).iloc[0], lab.contrast(found, cluster="doc").iloc[0]

    assert aware["high"] - aware["low"] > 2.5 * (plain["high"] - plain["low"])
    assert aware["p_value"] > plain["p_value"]
    assert (aware["n"], aware["difference"]) == (200, plain["difference"])


def test_money_is_compared_on_rows_whose_price_is_known_on_both_sides(results):
    """USD per 1,000 rows; NA where no row is."""
    known = {"A": [0.001, 0.002, np.nan], "B": [0.003, 0.004, 0.1]}
    found = lab.contrast(results({"A": [1, 0, 1], "B": [1, 1, 0]}, cost=known))
    unknown = lab.contrast(results({"A": [1, 0, 1], "B": [1, 1, 0]}, cost={"A": [np.nan] * 3, "B": [0.1] * 3}))

    assert found["cost_difference_per_1k"].item() == pytest.approx(2.0)
    assert unknown["cost_difference_per_1k"].item() is pd.NA


def test_seeds_draw_alike_and_any_column_of_numbers_is_compared(results):
    """`test=`, `seed=`, `scores=`, `baseline=`."""
    rng = np.random.default_rng(3)
    found = results({"A": list(rng.normal(size=40)), "B": list(rng.normal(size=40))})

    same = [lab.contrast(found, test="bootstrap", seed=4, draws=500) for _ in range(2)]
    pd.testing.assert_frame_equal(*same)
    assert same[0]["low"].item() != lab.contrast(found, test="bootstrap", seed=5, draws=500)["low"].item()
    assert lab.contrast(found, baseline="B", scores="x")["variant"].item() == "A"
    assert "lower" not in lab.contrast(found, scores="latency_ms")["verdict"].item()
    assert lab.contrast(found.assign(half=lambda f: f["q"].str[1:].astype(int) % 2), by=["model"])["n"].item() == 40


# ------------------------------------------------------------------------------------------------------- words


def test_a_difference_is_said_in_points_with_what_it_rests_on(results):
    """Better, by how much, how sure."""
    found = lab.contrast(results({"A": [0] * 20 + [1] * 30, "B": [1] * 50}))

    assert found["verdict"].item() == "B is 40.0 points better than A, 95 % CI 25.7 to 53.8, p < 0.001"


def test_no_difference_shown_says_what_stays_hidden(results):
    """And how many rows would show the one that was seen."""
    found = lab.contrast(results({"A": [0, 1] * 12, "B": [1, 1, 0] * 8}))

    assert found["verdict"].item() == (
        "no difference shown: B minus A is 16.7 points, 95 % CI −10.6 to 40.8, p = 0.388; with 24 rows, differences "
        "under 40.0 points stay hidden, about 150 rows would show this one"
    )


def test_other_scales_and_other_columns_have_their_own_words(results):
    """Marks of 1 to 10 are no points of 100, and more milliseconds are higher, not better."""
    rng = np.random.default_rng(5)
    found = results({"A": list(rng.integers(1, 4, 40)), "B": list(rng.integers(6, 9, 40))}, latency_ms={"A": 100.0, "B": 250.0})  # fmt: skip

    marks = lab.contrast(found)["verdict"].item()
    both = lab.contrast(found.assign(latency_ms=found["latency_ms"] + rng.normal(size=80)), scores=["x", "latency_ms"])["verdict"].tolist()  # fmt: skip

    assert marks.startswith("B is 5")
    assert "points" not in marks
    assert "better than A in x" in both[0]
    assert "higher than A in latency_ms" in both[1]
    assert both[1].endswith("after Holm")


def test_what_was_never_different_is_said_so(results):
    """All the same is no proof of sameness, but there is nothing to test."""
    line = lab.contrast(results({"A": [1] * 5, "B": [1] * 5})).iloc[0]

    assert line["verdict"] == "no difference shown: B and A scored the same in all 5 rows"
    assert (line["p_value"], line["mde"], line["n_needed"], line["effect_size"]) == (1.0, pd.NA, pd.NA, pd.NA)


# --------------------------------------------------------------------------------------------------- bad input


def test_what_could_not_be_compared_is_na_with_the_reason(results):
    """No scores of a variant; no row of both; the others are compared as ever."""
    lacking = lab.contrast(results({"A": [1, 0, 1], "B": [None] * 3, "C": [1, 1, 1]}))
    apart = lab.contrast(results({"A": [1.0, None], "B": [None, 1.0]}))

    assert lacking["verdict"].iloc[0] == "not compared: B has no score_x in any row"
    assert lacking.loc[0, ["mean", "difference", "low", "p_value", "p_holm", "wins", "test"]].isna().all()
    assert (lacking["n"].tolist(), lacking["lost"].tolist()) == ([0, 3], [3, 0])
    assert lacking["p_holm"].iloc[1] == lacking["p_value"].iloc[1]
    assert apart["verdict"].item() == "not compared: no row has score_x of both B and A"


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda f: f[f["model"] == "A"], {}, errors.InvalidRequestError, "only 'A'"),
        (lambda f: f.iloc[:0], {}, errors.InvalidRequestError, "there is none"),
        (lambda f: f.assign(id=range(len(f))), {"row": "id"}, errors.InvalidRequestError, "No input row was asked of 'A' and of another"),
        (lambda f: f, {"row": "answer"}, errors.InvalidRequestError, "'answer' is empty in row 0"),
        (lambda f: f, {"baseline": "Z"}, errors.NotFoundError, "No variant 'Z'; there are 'A', 'B'"),
        (lambda f: f, {"scores": "y"}, errors.NotFoundError, "No score 'y'; there are score_x"),
        (lambda f: f, {"scores": "response"}, errors.InvalidRequestError, "'response' holds string"),
        (lambda f: f.drop(columns="score_x"), {}, errors.NotFoundError, "lab.score"),
        (lambda f: f, {"by": "z"}, errors.NotFoundError, "'z'"),
        (lambda f: f, {"cluster": "z"}, errors.NotFoundError, "'z'"),
        (lambda f: f, {"cluster": "answer"}, errors.InvalidRequestError, "'answer' is empty in row 0"),
        (lambda f: f, {"cluster": "model"}, errors.InvalidRequestError, "row 0 lies in two clusters of column 'model'"),
        (lambda f: f, {"alpha": 1}, errors.InvalidRequestError, "alpha=1"),
        (lambda f: f, {"draws": 0}, errors.InvalidRequestError, "draws=0"),
        (lambda f: f, {"test": "t"}, errors.InvalidRequestError, "test='t'"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_where_and_what(results, change, options, error, message):
    """Column and row are named."""
    found = change(results({"A": [1, 0, 1], "B": [1, 1, 0]}))

    with pytest.raises(error, match=message):
        lab.contrast(found, **options)


def test_what_a_comparison_returned_can_be_contrasted(asked):
    """Prompts, grid and prefix: labels are those of the variants."""
    scored = lab.score(asked, {"long": lambda row: len(row["response"])})
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        prompts = lab.compare(
            pd.DataFrame({"model": ["a", "b"]}), {"brief": "{model}", "long": "{model} please"}, models="gpt-4", grid={"temperature": [0, 1]},
            prefix="my_", client=client, progress=False,
        )  # fmt: skip

    found = lab.contrast(lab.score(prompts, {"long": lambda row: len(row["my_response"])}))
    assert lab.contrast(scored)[["variant", "n"]].to_numpy().tolist() == [["gpt-4o", 3]]
    assert found["baseline"].unique().tolist() == ["gpt-4 · brief · temperature 0"]
    assert len(found) == 3
