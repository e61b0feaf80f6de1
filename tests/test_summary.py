"""Summaries and layouts: every figure against pandas, numpy or a value worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.types import Usage

FIGURES = [
    "n", "failed", "success_rate", "cost", "cost_per_1k", "unpriced", "latency_p50_ms", "latency_p95_ms",
    "latency_p99_ms", "ttft_p50_ms", "prompt_tokens", "completion_tokens", "tokens_per_s", "cached", "other_model",
]  # fmt: skip


def test_the_columns_and_their_types(frame):
    """Counts are whole, everything else may be NA."""
    line = lab.summarize(frame({}))

    assert list(line.columns) == ["model", *FIGURES]
    assert {name: str(line[name].dtype) for name in FIGURES} == {
        name: "Int64" if name in ("n", "failed", "unpriced", "prompt_tokens", "completion_tokens", "other_model") else "Float64"
        for name in FIGURES
    }  # fmt: skip


def test_no_rows_have_the_same_columns(frame):
    """A filter that leaves nothing does not break what comes after it."""
    nothing = lab.summarize(frame({}).iloc[:0])

    assert list(nothing.columns) == ["model", *FIGURES]
    assert len(nothing) == 0


def test_every_figure_agrees_with_numpy(frame):
    """Percentiles, sums, rates, over random rows."""
    dice = np.random.default_rng(3)
    latencies, costs, firsts, tokens = (
        dice.lognormal(5, 1, 50), dice.random(50), dice.lognormal(3, 1, 50), dice.integers(1, 99, 50),
    )  # fmt: skip
    rows = [
        {
            "latency_ms": float(latencies[n]), "cost": float(costs[n]), "ttft_ms": float(firsts[n]),
            "usage": Usage(prompt_tokens=7, completion_tokens=int(tokens[n])), "content": str(n % 2), "answer": "1",
        }
        for n in range(50)
    ]  # fmt: skip
    line = lab.summarize(lab.score(frame(*rows, {"failed": "x"}, {"failed": "y"}), "exact")).iloc[0]

    assert (line["n"], line["failed"], line["success_rate"]) == (52, 2, pytest.approx(50 / 52))
    assert (line["score_exact"], line["score_exact_na"]) == (0.5, 2)
    assert line["cost"] == pytest.approx(costs.sum())
    assert line["cost_per_1k"] == pytest.approx(costs.mean() * 1000)
    for p in (50, 95, 99):
        assert line[f"latency_p{p}_ms"] == pytest.approx(np.percentile(latencies, p))
    assert line["ttft_p50_ms"] == pytest.approx(np.median(firsts))
    assert (line["prompt_tokens"], line["completion_tokens"]) == (350, tokens.sum())
    assert line["tokens_per_s"] == pytest.approx(tokens.sum() / (latencies.sum() / 1000))


ROW = st.one_of(
    st.just({"failed": "down"}),
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["gpt-4", "gpt-4o", "claude-3-opus"]),
            "cost": st.none() | st.floats(0, 5),
            "latency_ms": st.floats(1, 1e5),
            "cached": st.booleans(),
        }
    ),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, min_size=1, max_size=12))
def test_nothing_is_lost_between_rows_and_groups(frame, rows):
    """Counts and money add up to the frame's, for any mixture."""
    found = frame(*rows)
    lines = lab.summarize(found).set_index("model")

    assert lines["n"].sum() == len(found)
    assert lines["failed"].sum() == found["error"].notna().sum()
    assert float(lines["cost"].sum()) == pytest.approx(float(found["cost"].sum()))
    assert lines["unpriced"].sum() == (found["response"].notna() & found["cost"].isna()).sum()
    for model, part in found.groupby("model"):
        live = part.loc[part["cached"].eq(False) & part["response"].notna(), "latency_ms"].astype(float)
        expected = live.quantile(0.95) if len(live) else pd.NA
        assert lines.loc[model, "latency_p95_ms"] is expected or lines.loc[model, "latency_p95_ms"] == pytest.approx(expected)  # fmt: skip


def test_an_answer_that_fills_several_rows_is_paid_once(frame):
    """But each row counts for what a row costs."""
    line = lab.summarize(
        frame({"id": "inf_a", "cost": 0.2}, {"id": "inf_a", "cost": 0.2}, {"id": "inf_b", "cost": 0.1})
    ).iloc[0]

    assert line["cost"] == pytest.approx(0.3)
    assert line["cost_per_1k"] == pytest.approx(1000 * 0.5 / 3)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (20, 40)


def test_an_answer_that_fills_several_rows_is_timed_once(frame):
    """A fast answer given a hundred times over says nothing of the others."""
    line = lab.summarize(frame(*[{"id": "inf_a", "latency_ms": 10.0}] * 9, {"id": "inf_b", "latency_ms": 1000.0})).iloc[0]  # fmt: skip

    assert line["latency_p50_ms"] == 505.0


def test_failed_rows_are_not_free_rows(frame):
    """The price of 1,000 rows is that of answers."""
    line = lab.summarize(frame({"cost": 0.004}, {"failed": "x"}, {"failed": "y"})).iloc[0]

    assert line["cost_per_1k"] == pytest.approx(4.0)


def test_unknown_is_na_and_counted(frame):
    """No price, no latency, nothing answered."""
    line = lab.summarize(frame({"cost": None, "latency_ms": None}, {"cost": 0.5, "latency_ms": None})).iloc[0]
    nothing = lab.summarize(frame({"failed": "x"})).iloc[0]

    assert (line["cost"], line["unpriced"], line["latency_p50_ms"]) == (0.5, 1, pd.NA)
    assert (nothing["cost"], nothing["latency_p95_ms"], nothing["success_rate"]) == (pd.NA, pd.NA, 0.0)


def test_cached_answers_do_not_make_a_model_look_fast(frame):
    """Their latency is the ledger's: neither percentiles nor the token rate count it."""
    line = lab.summarize(frame({"latency_ms": 0.1, "cached": True, "cost": 0.0}, {"latency_ms": 500.0})).iloc[0]

    assert (line["latency_p50_ms"], line["tokens_per_s"], line["cached"]) == (500.0, 40.0, 0.5)
    assert line["completion_tokens"] == 40


@pytest.mark.parametrize(
    ("asked", "served", "others"),
    [
        ("gpt-4.1-mini", "gpt-4.1-mini", 0),
        ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", 0),
        ("gpt-4.1-mini", "simulated/gpt-4.1-mini", 0),
        ("gpt-4.1-mini", "gpt-4.1", 1),
        ("gpt-4.1", "gpt-4.1-mini", 1),
        ("gpt-4.1-mini", "claude-haiku-4-5", 1),
        ("gpt-4.1-mini", "simulated/claude-haiku-4-5", 1),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001", 0),
        ("my-own", "whatever-it-calls-itself", 0),
        ("gpt-4.1-mini", None, 0),
    ],
)
def test_rows_of_another_model_are_counted(frame, asked, served, others):
    """A dated edition is the same model, a fallback's answer is not; a model of one's own may say anything."""
    assert lab.summarize(frame({"model": asked, "served_model": served}))["other_model"].item() == others


def test_the_best_score_comes_first_and_any_column_groups(frame):
    """`by=`."""
    found = frame(
        {"model": "gpt-4", "content": "0", "answer": "1", "q": "a"},
        {"model": "gpt-4o", "content": "1", "answer": "1", "q": "b"},
    )
    scored = lab.score(found, "exact")

    assert lab.summarize(scored)["model"].tolist() == ["gpt-4o", "gpt-4"]
    assert lab.summarize(scored, by="q")["q"].tolist() == ["b", "a"]
    assert len(lab.summarize(scored, by=["q", "model"])) == 2
    with pytest.raises(errors.NotFoundError, match="'nothing'"):
        lab.summarize(scored, by="nothing")


def test_a_group_without_a_name_is_a_group(frame):
    """NA in a column of `by=` loses no rows."""
    found = frame({"q": "a"}, {"q": None}, {"q": None})

    assert lab.summarize(found, by="q")["n"].sum() == 3


def test_a_frame_that_was_saved_is_read_by_its_columns(frame, tmp_path):
    """CSV keeps neither types nor notes."""
    found = lab.score(frame({"answer": "x"}, {"failed": "down"}, {"answer": "y", "model": "gpt-4"}), "exact")
    found.to_csv(tmp_path / "x.csv", index=False)

    pd.testing.assert_frame_equal(
        lab.summarize(pd.read_csv(tmp_path / "x.csv")), lab.summarize(found), check_dtype=False, check_column_type=False
    )


def test_what_holds_no_results_is_refused():
    """With what to give."""
    with pytest.raises(errors.InvalidRequestError, match="Give what infer, batch or compare"):
        lab.summarize(pd.DataFrame({"a": [1]}))


# ---------------------------------------------------------------------------------------------------- intervals


def test_each_mean_has_its_interval_right_behind_it(frame):
    """Wilson's for right and wrong, Student's for marks; NA counts come after."""
    found = frame(*[{"content": word, "answer": "x"} for word in "xxxxxxxxyy"], {"failed": "down", "answer": "x"})
    scored = lab.score(found, ["exact", lambda row: len(row["q"]) + (row["inference_id"] == "inf_0")])
    line = lab.summarize(scored).iloc[0]

    assert line.index.tolist()[4:12] == [
        "score_exact", "score_exact_low", "score_exact_high", "score_exact_na",
        "score_lambda", "score_lambda_low", "score_lambda_high", "score_lambda_na",
    ]  # fmt: skip
    assert (line["score_exact_low"], line["score_exact_high"]) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    half = 2.262157 * 0.1  # t of 9 degrees, and the error of nine 1s and a 2
    assert (line["score_lambda_low"], line["score_lambda_high"]) == pytest.approx((1.1 - half, 1.1 + half), abs=1e-5)


def test_samples_of_one_row_are_one_row_worth_of_evidence(frame):
    """Five answers that never differ within a row: as sure as one of each; told by index, else not at all."""
    rows = [{"content": "x" if n % 3 else "y", "answer": "x", "q": f"q{n}"} for n in range(30)]
    found = pd.concat([frame(*rows).assign(sample=n) for n in range(5)])
    found.insert(found.columns.get_loc("model") + 1, "sample", found.pop("sample"))
    scored = lab.score(found, "exact")

    once, many = lab.summarize(scored[scored["sample"] == 0]).iloc[0], lab.summarize(scored).iloc[0]
    lost = lab.summarize(scored.sample(frac=1, random_state=0).reset_index(drop=True)).iloc[0]

    assert many["score_exact_low"] == pytest.approx(once["score_exact_low"], abs=0.01)
    assert many["score_exact_high"] == pytest.approx(once["score_exact_high"], abs=0.01)
    assert (lost["score_exact"], lost["score_exact_low"]) == (many["score_exact"], pd.NA)
    assert lab.summarize(scored, by=["model", "sample"])["score_exact_low"].nunique() == 1


def test_variants_have_their_own_rows_and_an_infinite_mean_has_no_interval(frame):
    """Two variants of two samples; a score without bounds."""
    rows = [{"model": model, "q": f"q{n}"} for n in range(6) for model in ("gpt-4", "gpt-4o")]
    found = pd.concat([frame(*rows).assign(sample=s) for s in range(2)]).sort_index(kind="stable")
    found.insert(found.columns.get_loc("model") + 1, "sample", found.pop("sample"))
    scored = found.set_axis([n // 4 for n in range(24)]).assign(score_x=[float(n % 5) for n in range(24)])

    whole = lab.summarize(scored).set_index("model")
    alone = lab.summarize(scored[scored["model"] == "gpt-4"]).iloc[0]
    endless = lab.summarize(scored.assign(score_x=float("inf"))).iloc[0]

    assert (
        whole.loc["gpt-4", ["score_x_low", "score_x_high"]].tolist() == alone[["score_x_low", "score_x_high"]].tolist()
    )
    assert (endless["score_x"], endless["score_x_low"]) == (float("inf"), pd.NA)


def test_clusters_and_confidence_and_bootstrap(frame):
    """`cluster=`, `confidence=`, `interval=`: wider where rows go together, narrower at less confidence."""
    found = lab.score(frame(*[{"content": "x" if n // 6 % 2 else "y", "answer": "x", "q": f"d{n // 6}"} for n in range(60)]), "exact")  # fmt: skip

    def width(**options) -> float:
        line = lab.summarize(found, **options).iloc[0]
        return line["score_exact_high"] - line["score_exact_low"]

    assert width(cluster="q") > 2 * width()
    assert width(confidence=0.8) < 0.7 * width()
    assert width(interval="bootstrap") == pytest.approx(width(), rel=0.1)
    assert width(interval="bootstrap", seed=1) == width(interval="bootstrap", seed=1)


def test_no_rows_have_the_same_columns_and_reasons_are_no_scores(frame):
    """A text that stands beside a score is not averaged."""
    found = lab.score(frame({"answer": "x"}, {"answer": "y"}), "exact").assign(score_judge_reason="because")

    whole, none = lab.summarize(found), lab.summarize(found.iloc[:0])

    assert whole.columns.tolist() == none.columns.tolist()
    assert not any("reason" in name for name in whole.columns)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"confidence": 1.0}, errors.InvalidRequestError, "confidence=1.0"),
        ({"interval": "exact"}, errors.InvalidRequestError, "'exact' is neither"),
        ({"cluster": "z"}, errors.NotFoundError, "'z'"),
        ({"cluster": "answer"}, errors.InvalidRequestError, "'answer' is empty in row 1"),
    ],
)
def test_an_interval_that_cannot_be_made_is_refused(frame, options, error, message):
    """With the column and the row."""
    found = lab.score(frame({"answer": "x"}, {"failed": "down"}), {"x": lambda row: 1})

    with pytest.raises(error, match=message):
        lab.summarize(found, **options)
    with pytest.raises(errors.InvalidRequestError, match="'score_x_low' has the name of an end"):
        lab.summarize(found.assign(score_x_low=1.0))


# ------------------------------------------------------------------------------------------------- side by side


@pytest.fixture
def compared():
    """Two rows in two variants."""
    answers = {"*": {"content": lambda messages: messages[-1]["content"] + "!"}}
    with lab.Client(mock_mode=True, ledger=":memory:", mock_responses=answers) as client:
        yield lab.compare(
            pd.DataFrame({"q": ["a", "b"]}), "{q}", models=["gpt-4", "gpt-4o"], client=client, progress=False
        )


def test_variants_stand_beside_their_own_rows(compared):
    """One row an input row."""
    wide = lab.side_by_side(compared)

    assert wide.to_dict("list") == {"q": ["a", "b"], "gpt-4": ["a!", "b!"], "gpt-4o": ["a!", "b!"]}
    assert lab.side_by_side(compared, "latency_ms")["gpt-4"].notna().all()
    with pytest.raises(errors.InvalidRequestError, match="'nothing'"):
        lab.side_by_side(compared, "nothing")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.iloc[1:],
        lambda found: found.iloc[[0, 3]],
        lambda found: found.sort_values("model"),
        lambda found: found.iloc[[0, 2, 1, 3]].reset_index(drop=True),
        lambda found: found.iloc[[0, 3]].reset_index(drop=True),
    ],
)
def test_an_answer_never_stands_beside_another_rows_question(compared, spoil):
    """What was filtered or sorted apart is refused, not laid out askew."""
    with pytest.raises(errors.InvalidRequestError, match="not whole"):
        lab.side_by_side(spoil(compared))


@pytest.mark.parametrize(
    "keep",
    [
        lambda found: found,
        lambda found: found.reset_index(drop=True),
        lambda found: found.assign(words=[1, 2, 3, 4]),
        lambda found: lab.score(found, {"long": lambda row: len(row["response"])}),
        lambda found: found[found["q"] == "a"],
        lambda found: found[found["model"] == "gpt-4"],
    ],
)
def test_whole_rows_may_be_taken_and_columns_added(compared, keep):
    """A column that differs between variants has no place in a row of all of them."""
    wide = lab.side_by_side(keep(compared))

    assert list(wide.columns)[:2] == ["q", "gpt-4"]
    assert (wide["gpt-4"] == wide["q"] + "!").all()
    assert "words" not in wide.columns


def test_a_single_question_to_several_models_is_one_row():
    """`infer` numbers its rows, and they are one."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        wide = lab.side_by_side(lab.infer("hi", model=["gpt-4", "gpt-4o"], client=client, progress=False))

    assert list(wide.columns) == ["gpt-4", "gpt-4o"]
    assert len(wide) == 1
