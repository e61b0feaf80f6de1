"""Figures: what is drawn is what was computed, unknown is not drawn at nought, and no label is ever markup."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import errors

FIGURES = [lab.plot.scores, lab.plot.cost_quality, lab.plot.latency]


@pytest.fixture
def scored(frame):
    """Two variants, five rows each: gpt-4 is right thrice, gpt-4o always; one is simulated."""
    rows = [
        {"model": "gpt-4", "content": "x" if n < 3 else "y", "answer": "x", "cost": 0.002, "latency_ms": 1000.0 + n}
        for n in range(5)
    ]
    rows += [{"model": "gpt-4o", "served_model": "simulated/gpt-4o", "answer": "x", "cost": 0.001, "latency_ms": 500.0 + n} for n in range(5)]  # fmt: skip
    return lab.score(frame(*rows), "exact")


def texts(figure) -> list[str]:
    """Everything that plotly would read markup in."""
    layout = figure.layout
    found = [layout.title.text, layout.xaxis.title.text, layout.yaxis.title.text]
    found += [note.text for note in layout.annotations]
    for trace in figure.data:
        found += [trace.name, trace.hovertemplate, *(label for label in trace.y if isinstance(label, str))]
    return [text for text in found if text]


# ------------------------------------------------------------------------------------------------- intervals


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # statsmodels.stats.proportion.proportion_confint(k, n, method="wilson"), 0.15.0
    [
        (8, 10, 0.4901625, 0.9433178), (0, 20, 0.0, 0.1611252), (20, 20, 0.8388748, 1.0), (50, 100, 0.4038315, 0.5961685),
        (1, 1, 0.2065493, 1.0), (0, 1, 0.0, 0.7934507), (3, 1000, 0.0010208, 0.0087830), (997, 1000, 0.9912170, 0.9989792),
    ],
)  # fmt: skip
def test_intervals_of_shares_are_wilsons(successes, n, low, high):
    """Against statsmodels' figures."""
    mean, below, above = lab.plot.interval(pd.Series([1.0] * successes + [0.0] * (n - successes)))

    assert (mean, below, above) == (successes / n, pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    # scipy.stats.t.ppf(0.975, degrees), 1.17.1
    [
        (1, 12.706205), (2, 4.302653), (3, 3.182446), (4, 2.776445), (5, 2.570582), (6, 2.446912), (7, 2.364624),
        (8, 2.306004), (9, 2.262157), (10, 2.228139), (11, 2.200985), (12, 2.178813), (15, 2.131450), (20, 2.085963),
        (29, 2.045230), (60, 2.000298), (100, 1.983972), (1000, 1.962339), (10000, 1.960201),
    ],
)  # fmt: skip
def test_intervals_of_other_scores_are_students(degrees, quantile):
    """Against scipy's quantiles."""
    values = pd.Series(np.linspace(0.1, 0.9, degrees + 1))
    mean, low, high = lab.plot.interval(values)
    half = quantile * values.std(ddof=1) / math.sqrt(degrees + 1)

    assert (high - mean, mean - low) == (pytest.approx(half, rel=2e-5), pytest.approx(half, rel=2e-5))


@given(st.lists(st.sampled_from([0.0, 1.0, None]), max_size=40))
def test_an_interval_of_shares_holds_its_mean_and_stays_a_share(values):
    """Missing scores are no scores."""
    found = lab.plot.interval(pd.Series(values, dtype="Float64"))
    present = [value for value in values if value is not None]

    if not present:
        assert found is None
    else:
        mean, low, high = found
        assert mean == pytest.approx(sum(present) / len(present))
        assert 0 <= low <= mean + 1e-12
        assert mean - 1e-12 <= high <= 1


def test_a_single_figure_has_no_interval(frame):
    """A bar of no length would claim to be certain."""
    assert all(math.isnan(end) for end in lab.plot.interval(pd.Series([3.5]))[1:])

    figure = lab.plot.scores(lab.score(frame({}), {"rating": lambda row: 3.5}))
    assert "interval" not in figure.data[0].hovertemplate
    assert [note.x for note in figure.layout.annotations] == [3.5]


# ------------------------------------------------------------------------------------------------- what is drawn


def test_bars_are_means_with_their_intervals_worst_at_the_bottom(scored):
    """3 of 5 is 60 %, Wilson's interval 23.1 to 88.2 %."""
    worst, best = lab.plot.scores(scored).data

    assert (worst.y, worst.x) == (("gpt-4",), (0.6,))
    assert worst.x[0] - worst.error_x.arrayminus[0] == pytest.approx(0.2307242, abs=1e-6)
    assert worst.x[0] + worst.error_x.array[0] == pytest.approx(0.8823793, abs=1e-6)
    assert best.x == (1.0,)
    assert "n = 5" in worst.hovertemplate


def test_points_stand_at_cost_and_score(scored):
    """USD per 1,000 rows."""
    points = {trace.name: (trace.x[0], trace.y[0]) for trace in lab.plot.cost_quality(scored).data}

    assert points == {"gpt-4": (pytest.approx(2.0), 0.6), "gpt-4o (simulated)": (pytest.approx(1.0), 1.0)}


def test_boxes_are_the_percentiles_in_seconds_fastest_on_top(scored):
    """5, 25, 50, 75, 95 %, as `summarize` has them."""
    slow, fast = lab.plot.latency(scored).data

    assert (slow.y, fast.y) == (("gpt-4",), ("gpt-4o (simulated)",))
    drawn = [slow.lowerfence[0], slow.q1[0], slow.median[0], slow.q3[0], slow.upperfence[0]]
    assert drawn == pytest.approx(list(np.percentile(np.arange(1000, 1005), [5, 25, 50, 75, 95]) / 1000))
    assert slow.median[0] * 1000 == pytest.approx(lab.summarize(scored).set_index("model").loc["gpt-4", "latency_p50_ms"])  # fmt: skip


def test_latency_counts_an_answer_once_and_a_cached_one_not(frame):
    """Like the summary."""
    found = frame(
        *[{"id": "inf_a", "latency_ms": 10.0}] * 9,
        {"id": "inf_b", "latency_ms": 1000.0},
        {"latency_ms": 0.1, "cached": True},
        {"failed": "down"},
    )

    assert lab.plot.latency(found).data[0].median[0] * 1000 == pytest.approx(505.0)


def test_scores_that_are_no_shares_are_not_shown_in_per_cent(frame):
    """A rating of 4 was drawn as 400 %, out of sight."""
    found = lab.score(
        frame(*({"content": "x" * n} for n in (3, 4, 5))), {"rating": lambda row: len(row["response"]) * 1.0}
    )
    bars, points = lab.plot.scores(found), lab.plot.cost_quality(found)

    assert bars.layout.annotations[0].text == "<b>4</b>"
    assert (bars.layout.xaxis.tickformat, bars.layout.xaxis.range) == (None, None)
    assert (points.layout.yaxis.tickformat, points.layout.yaxis.range) == (None, None)


def test_samples_of_a_variant_are_one_variant(frame):
    """They are drawn together; grid and prompts are told apart."""
    found = lab.score(frame({"answer": "x"}, {"answer": "y"}, {"answer": "x"}, {"answer": "x"}), "exact")
    found.insert(found.columns.get_loc("model") + 1, "prompt", ["a", "a", "b", "b"])
    found.insert(found.columns.get_loc("model") + 2, "sample", [0, 1, 0, 1])

    assert {trace.y[0]: trace.x[0] for trace in lab.plot.scores(found).data} == {
        "gpt-4.1-mini · a": 0.5,
        "gpt-4.1-mini · b": 1.0,
    }


def test_a_dozen_variants_are_told_apart(frame):
    """By colour and shape together."""
    names = [f"m{n}" for n in range(20)]
    found = lab.score(frame(*({"model": name, "answer": "x"} for name in names)), "exact")
    looks = [(trace.marker.color, trace.marker.symbol) for trace in lab.plot.cost_quality(found).data]

    assert len(set(looks)) == len(looks) == 20


def test_a_model_whose_name_is_a_number_is_a_name(frame):
    """Plotly would make a number line of it, and put its figure at line 4000."""
    found = lab.score(frame({"model": "4", "answer": "x"}, {"model": "4000", "answer": "x"}), "exact")
    for draw in (lab.plot.scores, lab.plot.latency):
        figure = draw(found)
        assert figure.layout.yaxis.type == "category"
        assert [note.y for note in figure.layout.annotations] == [0, 1]


def test_long_names_are_cut_and_stay_apart(frame):
    """A prompt as a name leaves room for the figure."""
    long = "a-model-with-a-name " * 20
    found = lab.score(frame({"model": long + "1", "answer": "x"}, {"model": long + "2", "answer": "y"}), "exact")
    names = [trace.name for trace in lab.plot.cost_quality(found).data]

    assert len(set(names)) == 2
    assert max(map(len, names)) < 90


def test_a_variant_without_a_price_is_named_not_drawn_at_nought(frame):
    """Unknown is not free; nothing paid is."""
    found = lab.score(
        frame(
            {"cost": None, "answer": "x", "model": "gpt-4"}, {"answer": "x"}, {"answer": "x", "model": "own", "cost": 0.0}
        ),
        "exact",
    )  # fmt: skip
    figure = lab.plot.cost_quality(found)

    assert {trace.name: trace.x[0] for trace in figure.data} == {"gpt-4.1-mini": 1.0, "own": 0.0}
    assert "price unknown: gpt-4" in figure.layout.title.text


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize("rows", [[], [{"failed": "down"}], [{"failed": "down"}, {"answer": None}]])
def test_there_may_be_nothing_to_draw(frame, draw, rows):
    """No rows, no answers, no scores: a figure all the same, that says so."""
    found = frame({"answer": "x"}, *rows).iloc[1:]
    figure = draw(lab.score(found, "exact"))

    figure.to_plotly_json()
    assert f"{sum('failed' not in row for row in rows)} answers" in figure.layout.title.text


def test_a_figure_says_how_many_answers_it_stands_on(frame):
    """And how many failed."""
    found = lab.score(frame({"answer": "x"}, {"answer": "x"}, {"failed": "down"}), "exact")

    assert all("2 answers, 1 failed" in draw(found).layout.title.text for draw in FIGURES)


@pytest.mark.parametrize("draw", [lab.plot.scores, lab.plot.cost_quality])
def test_the_score_is_chosen_by_name_and_must_be_there(scored, frame, draw):
    """`lab.score` is the remedy; a wrong name is met with the names there are."""
    both = lab.score(scored, {"none": lambda row: 0})

    assert "none" in (draw(both, "none").layout.title.text + draw(both, "score_none").layout.title.text).lower()
    with pytest.raises(errors.InvalidRequestError, match=r"lab\.score"):
        draw(frame({}))
    with pytest.raises(errors.InvalidRequestError, match="score_exact, score_none"):
        draw(both, "nothing")


def test_figures_do_not_change_the_results(scored):
    """They are read only."""
    before = scored.copy(deep=True)
    for draw in FIGURES:
        draw(scored)

    pd.testing.assert_frame_equal(scored, before)


# ------------------------------------------------------------------------------------------------------- labels

OURS = re.compile(r"</?b>|<br>|<span style='font-size:13px;color:#7c8492'>|</span>|<extra></extra>")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["<img src=x onerror=alert(1)>", "<a href='https://x.example'>", "<b>", "</span>", "%{x}", "&lt;b&gt;"]),
    st.text("ab<>&%{}/ ·", max_size=10),
)  # fmt: skip
def test_no_label_and_no_score_becomes_markup_or_a_template(frame, bad, more):
    """Names of models, prompts and scores may come from data."""
    found = lab.score(frame({"model": bad + more, "answer": "x"}), {f"s{bad}": lambda row: 1})
    for draw in FIGURES:
        for text in texts(draw(found)):
            plain = OURS.sub("", text).replace("%{x:,.4f}", "")
            assert "<" not in plain
            assert ">" not in plain
            assert "%{" not in plain
            assert not re.search(r"&(?!amp;|lt;|gt;)", plain)


def test_answers_stand_in_no_figure(frame):
    """What a model said is not drawn."""
    found = lab.score(frame({"content": "<script>alert(1)</script>", "answer": "x", "q": "<script>"}), "exact")

    assert not any("script" in draw(found).to_json() for draw in FIGURES)


def test_what_is_simulated_says_so_in_every_figure(scored):
    """And what is not does not."""
    for draw in FIGURES:
        written = " ".join(texts(draw(scored)))
        assert "gpt-4o (simulated)" in written
        assert "gpt-4 (simulated)" not in written
