"""Scores and summaries: every figure against numpy, pandas or a value worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import columns, errors
from prsm_lab.frames.scoring import contains, exact, number, numeric
from prsm_lab.types import Cost, Inference, Usage


def frame(*rows: dict) -> pd.DataFrame:
    """Results without asking anybody; each row gives what differs."""
    outcomes, extra = [], []
    for n, fields in enumerate(rows):
        row = dict(fields)
        extra.append({"answer": row.pop("answer", None), "q": row.pop("q", "?")})
        if "failed" in row:
            outcomes.append(errors.ProviderError(row["failed"]))
            continue
        cost, model = row.pop("cost", 0.001), row.pop("model", "gpt-4.1-mini")
        plain = {"id": f"inf_{n}", "requested_model": model, "model": model, "provider": "openai", "content": "x", "finish_reason": "stop",
                 "usage": Usage(prompt_tokens=10, completion_tokens=20), "cost": Cost(amount=cost), "latency_ms": 100.0, "served_model": model}  # fmt: skip
        outcomes.append(Inference(**{**plain, **row}))
    found = columns.results(outcomes, asked=[row.get("model", "gpt-4.1-mini") for row in rows])
    return pd.concat([pd.DataFrame(extra), found], axis=1)


# --------------------------------------------------------------------------------------------------- scorers


@pytest.mark.parametrize(
    ("response", "reference", "same"),
    [("Paris.", "paris", True), (" The  Answer ", "answer", True), ("a b", "A, B!", True), ("Paris", "Lyon", False), ("ＰＡＲＩＳ", "Paris", True), ("", "", True)],
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
    ],
)
def test_contains_looks_for_whole_words(response, reference, found):
    """`Parisian` is not Paris, and nothing contains nothing."""
    assert contains(response, reference) is found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("so 42.", 42.0), ("1,234,567.5 in all", 1234567.5), ("from 3 to -7", -7.0), ("−5 °C", -5.0), ("1e3", 1000.0), ("12 345", 12345.0),
        ("3.14159", 3.14159), ("no", None), ("2026-11-25", -25.0), ("$1,000", 1000.0), ("4,5", 5.0),
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


def test_failed_rows_score_na_and_a_scorer_that_raises_says_so_in_its_row():
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


def test_any_function_of_the_row_scores_and_a_dict_gives_several():
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
def test_what_is_no_scorer_is_refused(scorers, cls, says):
    """With what there is."""
    with pytest.raises(cls, match=says):
        lab.score(frame({"answer": "4"}), scorers)


def test_a_missing_reference_column_is_named():
    """`reference=` is the remedy."""
    with pytest.raises(errors.NotFoundError, match="reference="):
        lab.score(frame({}), "exact", reference="gold")
    with pytest.raises(errors.InvalidRequestError, match="no results"):
        lab.score(pd.DataFrame({"a": [1]}), "exact")


# -------------------------------------------------------------------------------------------------- summaries


def test_every_figure_agrees_with_numpy():
    """Percentiles, sums, rates, over random rows."""
    dice = np.random.default_rng(3)
    latencies, costs = dice.lognormal(5, 1, 50), dice.random(50)
    rows = [
        {"latency_ms": float(a), "cost": float(b), "content": str(n % 2), "answer": "1"}
        for n, (a, b) in enumerate(zip(latencies, costs, strict=True))
    ]
    line = lab.summarize(lab.score(frame(*rows, {"failed": "x"}, {"failed": "y"}), "exact")).iloc[0]

    assert (line["n"], line["failed"], line["success_rate"]) == (52, 2, pytest.approx(50 / 52))
    assert (line["score_exact"], line["score_exact_na"]) == (0.5, 2)
    assert line["cost"] == pytest.approx(costs.sum())
    assert line["cost_per_1k"] == pytest.approx(costs.mean() * 1000)
    assert line["latency_p50_ms"] == pytest.approx(np.percentile(latencies, 50))
    assert line["latency_p95_ms"] == pytest.approx(np.percentile(latencies, 95))
    assert line["tokens_per_s"] == pytest.approx(50 * 20 / (latencies.sum() / 1000))


def test_an_answer_that_fills_several_rows_is_paid_once():
    """But each row counts for what a row costs."""
    line = lab.summarize(
        frame({"id": "inf_a", "cost": 0.2}, {"id": "inf_a", "cost": 0.2}, {"id": "inf_b", "cost": 0.1})
    ).iloc[0]

    assert line["cost"] == pytest.approx(0.3)
    assert line["cost_per_1k"] == pytest.approx(1000 * 0.5 / 3)


def test_unknown_is_na_and_counted():
    """No price, no latency, nothing answered."""
    line = lab.summarize(frame({"cost": None, "latency_ms": None}, {"cost": 0.5, "latency_ms": None})).iloc[0]
    nothing = lab.summarize(frame({"failed": "x"})).iloc[0]

    assert (line["cost"], line["unpriced"], line["latency_p50_ms"]) == (0.5, 1, pd.NA)
    assert (nothing["cost"], nothing["latency_p95_ms"], nothing["success_rate"]) == (pd.NA, pd.NA, 0.0)


def test_cached_answers_do_not_make_a_model_look_fast():
    """Their latency is the ledger's."""
    line = lab.summarize(frame({"latency_ms": 0.1, "cached": True, "cost": 0.0}, {"latency_ms": 500.0})).iloc[0]

    assert (line["latency_p50_ms"], line["cached"]) == (500.0, 0.5)


def test_rows_of_another_model_are_counted():
    """A dated edition is the same model, a fallback's answer is not."""
    rows = [
        {"served_model": name}
        for name in ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", "simulated/gpt-4.1-mini", "gpt-4.1", "claude-haiku-4-5")
    ]

    assert lab.summarize(frame(*rows))["other_model"].item() == 2


def test_the_best_score_comes_first_and_any_column_groups():
    """`by=`."""
    found = frame(
        {"model": "gpt-4", "content": "0", "answer": "1", "q": "a"},
        {"model": "gpt-4o", "content": "1", "answer": "1", "q": "b"},
    )
    scored = lab.score(found, "exact")

    assert lab.summarize(scored)["model"].tolist() == ["gpt-4o", "gpt-4"]
    assert lab.summarize(scored, by="q")["q"].tolist() == ["b", "a"]
    with pytest.raises(errors.NotFoundError):
        lab.summarize(scored, by="nothing")


# ------------------------------------------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # statsmodels.stats.proportion.proportion_confint(k, n, method="wilson"), 0.14
    [(8, 10, 0.4901625, 0.9433178), (0, 20, 0.0, 0.1611252), (20, 20, 0.8388748, 1.0), (50, 100, 0.4038315, 0.5961685)],
)
def test_intervals_of_shares_are_wilsons(successes, n, low, high):
    """Against statsmodels' figures."""
    mean, below, above = lab.plot.interval(pd.Series([1.0] * successes + [0.0] * (n - successes)))

    assert (mean, below, above) == (successes / n, pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.706205), (2, 4.302653), (3, 3.182446), (4, 2.776445), (9, 2.262157), (29, 2.045230), (100, 1.983972)],
)
def test_intervals_of_other_scores_are_students(degrees, quantile):
    """Against scipy.stats.t.ppf(0.975, degrees)."""
    values = pd.Series(np.linspace(0.1, 0.9, degrees + 1))
    mean, low, high = lab.plot.interval(values)
    half = quantile * values.std(ddof=1) / math.sqrt(degrees + 1)

    assert (high - mean, mean - low) == (pytest.approx(half, rel=1e-4), pytest.approx(half, rel=1e-4))


def test_figures_say_what_is_simulated_and_never_run_a_label():
    """Labels may come from data."""
    found = lab.score(
        frame(
            {"served_model": "simulated/gpt-4.1-mini", "answer": "x"},
            {"model": "<img src=x onerror=alert(1)>", "answer": "y"},
        ),
        "exact",
    )
    for figure in (lab.plot.scores(found), lab.plot.cost_quality(found), lab.plot.latency(found)):
        page = figure.to_html(include_plotlyjs=False)
        assert "(simulated)" in page
        assert "<img" not in page


def test_a_figure_without_scores_says_how_to_get_one():
    """`lab.score`."""
    with pytest.raises(errors.InvalidRequestError, match=r"lab\.score"):
        lab.plot.cost_quality(frame({}))


def test_a_variant_without_a_price_is_named_not_drawn_at_nought():
    """Unknown is not free."""
    found = lab.score(frame({"cost": None, "answer": "x", "model": "gpt-4"}, {"answer": "x"}), "exact")
    figure = lab.plot.cost_quality(found)

    assert [trace.name for trace in figure.data] == ["gpt-4.1-mini"]
    assert "price unknown: gpt-4" in figure.layout.title.text
