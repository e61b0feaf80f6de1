"""Figures: what is drawn is what was computed, unknown is not drawn at nought, and no label is ever markup."""

from __future__ import annotations

import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hostile import HOSTILE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.plot import flow, hover, look
from prsm_lab.plot.quality import unbeaten
from prsm_lab.types import Usage

FIGURES = [lab.plot.scores, lab.plot.cost_quality, lab.plot.latency, lab.plot.tokens]


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
    """Everything that plotly would read markup or a template in."""
    found: list[str] = []

    def walk(value) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                walk(inner)

    made = json.loads(figure.to_json())
    made["layout"].pop("template")
    walk(made)
    return found


def points(figure) -> dict[str, tuple[float, float]]:
    """The marks of a cost-quality figure, by name."""
    return {trace.name: (trace.x[0], trace.y[0]) for trace in figure.data if trace.mode == "markers"}


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
    figure = lab.plot.cost_quality(scored)

    assert points(figure) == {"gpt-4": (pytest.approx(2.0), 0.6), "gpt-4o (simulated)": (pytest.approx(1.0), 1.0)}


def test_latency_is_the_share_that_answered_within_a_time_fastest_first(scored):
    """Five answers: each is a fifth. The marks are the percentiles of `summarize`."""
    fast, fast_marks, slow, slow_marks = lab.plot.latency(scored).data
    known = lab.summarize(scored).set_index("model").loc["gpt-4"]

    assert fast.name == "gpt-4o (simulated): p50 502 ms, p95 504 ms"
    assert slow.x.tolist() == [1.0, 1.001, 1.002, 1.003, 1.004]
    assert slow.y.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert (fast_marks.y, slow_marks.y) == ((0.5, 0.95), (0.5, 0.95))
    assert list(slow_marks.x) == pytest.approx([known["latency_p50_ms"] / 1000, known["latency_p95_ms"] / 1000])


def test_latency_counts_an_answer_once_and_a_cached_one_not(frame):
    """Like the summary."""
    found = frame(
        *[{"id": "inf_a", "latency_ms": 10.0}] * 9,
        {"id": "inf_b", "latency_ms": 1000.0},
        {"latency_ms": 0.1, "cached": True},
        {"failed": "down"},
    )
    curve, marks = lab.plot.latency(found).data

    assert curve.x.tolist() == [0.01, 1.0]
    assert marks.x[0] == pytest.approx(0.505)


def test_times_that_span_decades_have_a_logarithmic_axis(frame):
    """Two decades or more; no time at all has no logarithm."""
    wide, narrow = (
        frame({"latency_ms": 10.0}, {"latency_ms": 1000.0}),
        frame({"latency_ms": 10.0}, {"latency_ms": 999.0}),
    )
    nought = frame({"latency_ms": 0.0}, {"latency_ms": 1000.0})

    assert [lab.plot.latency(found).layout.xaxis.type for found in (wide, narrow, nought)] == ["log", None, None]


def test_a_thinned_curve_keeps_its_shape(frame):
    """2,000 of 6,000 points: nowhere is the share off by more than a thousandth, and the ends stay."""
    times = np.random.default_rng(0).lognormal(0, 1, 6_000)
    found = frame({}).iloc[[0] * 6_000].assign(inference_id=[f"inf_{n}" for n in range(6_000)], latency_ms=times * 1000)
    curve = lab.plot.latency(found).data[0]
    at = np.linspace(times.min(), times.max(), 5_000)
    drawn = curve.y[np.searchsorted(curve.x, at, side="right") - 1]
    true = np.searchsorted(np.sort(times), at, side="right") / 6_000

    assert len(curve.x) == 2_000
    assert (curve.x[0], curve.x[-1], curve.y[-1]) == (pytest.approx(times.min()), pytest.approx(times.max()), 1.0)
    assert np.abs(drawn - true).max() <= 1e-3


def test_scores_that_are_no_shares_are_not_shown_in_per_cent(frame):
    """A rating of 4 was drawn as 400 %, out of sight."""
    found = lab.score(
        frame(*({"content": "x" * n} for n in (3, 4, 5))), {"rating": lambda row: len(row["response"]) * 1.0}
    )
    bars, costs = lab.plot.scores(found), lab.plot.cost_quality(found)

    assert bars.layout.annotations[0].text == "<b>4</b>"
    assert (bars.layout.xaxis.tickformat, bars.layout.xaxis.range) == (None, None)
    assert (costs.layout.yaxis.tickformat, costs.layout.yaxis.range) == (None, None)


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
    for draw in (lab.plot.scores, lab.plot.tokens):
        figure = draw(found)
        assert figure.layout.yaxis.type == "category"
        assert {note.y for note in figure.layout.annotations} == {0, 1}


def test_long_names_are_cut_and_stay_apart(frame):
    """A prompt as a name leaves room for the figure."""
    long = "a-model-with-a-name " * 20
    found = lab.score(frame({"model": long + "1", "answer": "x"}, {"model": long + "2", "answer": "y"}), "exact")
    names = [trace.name for trace in lab.plot.cost_quality(found).data]

    assert len(set(names)) == 2
    assert max(map(len, names)) < 90


def test_a_label_and_a_note_are_parted_without_parting_what_is_escaped():
    """An entity is one character; a note has two lines at most."""
    assert look.wrapped("&lt;" * 40) == "&lt;" * 34 + "<br>" + "&lt;" * 6
    assert look.wrapped("&amp;lt;") == "&amp;lt;"
    assert look.wrapped("a model of thirty characters · b") == "a model of thirty characters<br>b"
    figure = lab.plot.wins(pd.DataFrame({"a": [], "b": [], "winner": []}))
    look.frame(figure, "Title", "&lt;word&gt; " * 40)
    note = figure.layout.title.text.partition("<br>")[2]

    assert note.count("<br>") == 1
    assert note.count("&lt;word&gt;") >= 24
    assert note.endswith(" …</span>")


def test_names_that_do_not_fit_side_by_side_are_numbered():
    """Below a matrix they would be turned."""
    names = ["claude-haiku-4-5 · careful", "gpt-4.1-mini · careful"]
    figure = lab.plot.wins(pd.DataFrame({"a": names[:1], "b": names[1:], "winner": ["a"]}))

    assert figure.layout.xaxis.ticktext == ("1", "2")
    assert [text[-8:] for text in figure.layout.yaxis.ticktext] == ["<b>1</b>", "<b>2</b>"]


def test_a_variant_without_a_price_is_named_not_drawn_at_nought(frame):
    """Unknown is not free; nothing paid is."""
    found = lab.score(
        frame(
            {"cost": None, "answer": "x", "model": "gpt-4"}, {"answer": "x"}, {"answer": "x", "model": "own", "cost": 0.0}
        ),
        "exact",
    )  # fmt: skip
    figure = lab.plot.cost_quality(found)

    assert {name: cost for name, (cost, _) in points(figure).items()} == {"gpt-4.1-mini": 1.0, "own": 0.0}
    assert "price unknown: gpt-4" in figure.layout.title.text


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize("rows", [[], [{"failed": "down"}], [{"failed": "down"}, {"answer": None}]])
def test_there_may_be_nothing_to_draw(frame, draw, rows):
    """No rows, no answers, no scores: a figure all the same, that says so."""
    found = frame({"answer": "x"}, *rows).iloc[1:]
    figure = draw(lab.score(found, "exact"))

    figure.to_plotly_json()
    assert f"{sum('failed' not in row for row in rows)} answer" in figure.layout.title.text
    if not any("answer" in row for row in rows):
        assert [note.text[:16] for note in figure.layout.annotations] == ["Nothing to draw:"]
        assert figure.layout.xaxis.visible is False


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


def test_reasons_and_errors_beside_a_score_are_no_scores(frame):
    """Judges and scorers leave texts there."""
    found = lab.score(frame({"answer": "x"}), "exact")
    found.insert(0, "score_why", pd.array(["because"], dtype="string"))

    assert "Exact" in lab.plot.scores(found).layout.title.text


def test_figures_do_not_change_the_results(scored):
    """They are read only."""
    before = scored.copy(deep=True)
    for draw in FIGURES:
        draw(scored)

    pd.testing.assert_frame_equal(scored, before)


# ------------------------------------------------------------------------------------------------------- labels

OURS = re.compile(
    r"</?b>|<br>|<span style='font-size:1[13]px(;color:#757d8b)?'>|</span>|<extra></extra>|%\{(x|y|hovertext)(:[^}]*)?\}"
)


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
            plain = OURS.sub("", text)
            assert "<" not in plain
            assert ">" not in plain
            assert "%{" not in plain
            assert not re.search(r"&(?!amp;|lt;|gt;)", plain)


def test_a_point_tells_what_was_asked_and_answered(frame):
    """Shortened and in lines; an error where there is no answer."""
    found = frame({"q": "Who?", "content": "long " * 200}, {"failed": "down", "q": "What?"})
    told = hover.rows(found)

    assert lab.plot.latency(found).data[0].hovertext[0].endswith(told[0])
    assert told[0].startswith("<b>q</b> Who?<br><b>response</b> long long")
    assert told[0].endswith("…")
    assert max(map(len, told[0].split("<br>"))) < 90
    assert len(told[0]) < 400
    assert told[1] == "<b>q</b> What?<br><b>error</b> down"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_answer_and_no_question_is_markup_in_any_figure(frame, text):
    """Plotly reads a little HTML and fills in templates."""
    text = text.encode("utf-8", "replace").decode()  # Arrow's strings hold no lone surrogate
    rows = [{"content": text, "q": text, "model": text or "x", "answer": "x", "latency_ms": 1.0 + n} for n in range(3)]
    found = lab.score(frame(*rows), {"rating": lambda row: len(row["response"]) / 7})
    for draw in FIGURES:
        for said in texts(draw(found)):
            plain = OURS.sub("", said)
            assert not set(plain) & set("<>\x1b\u202e\x00"), plain
            assert "%{" not in plain


def test_figures_of_means_hold_no_answers(frame):
    """What a model said is told by the point of its row, and nowhere else."""
    found = lab.score(frame({"content": "a secret", "answer": "x", "q": "a secret"}), "exact")

    assert not any(
        "secret" in draw(found).to_json() for draw in (lab.plot.scores, lab.plot.cost_quality, lab.plot.tokens)
    )


def test_what_is_simulated_says_so_in_every_figure(scored):
    """And what is not does not."""
    for draw in FIGURES:
        written = " ".join(texts(draw(scored)))
        assert "gpt-4o (simulated)" in written
        assert "gpt-4 (simulated)" not in written


# ----------------------------------------------------------------------------------------------- scores and costs


def test_rows_of_other_scores_than_shares_are_dots_on_the_bar(frame):
    """Each tells its question and answer; 0 and 1 say nothing that the bar does not."""
    rated = lab.score(frame(*({"content": "x" * n, "answer": "x"} for n in (1, 3, 5))), {"length": lambda row: len(row["response"]) * 1.0, "exact": "exact"})  # fmt: skip
    _, dots = lab.plot.scores(rated, "length").data

    assert list(dots.x) == [1.0, 3.0, 5.0]
    assert dots.hovertext[1] == "<b>3</b> gpt-4.1-mini<br><b>answer</b> x<br><b>q</b> ?<br><b>response</b> xxx"
    assert lab.plot.scores(rated, "length").layout.annotations[0].x > 5
    assert len(lab.plot.scores(rated, "exact").data) == 1


def test_the_frontier_joins_what_no_other_beats(frame):
    """b is cheaper and better than c; a is the cheapest, d the best."""
    said = {"a": (1, 0.2), "b": (2, 0.6), "c": (3, 0.5), "d": (4, 0.9)}
    rows = [{"model": name, "cost": cost / 1000} for name, (cost, _) in said.items()]
    found = lab.score(frame(*rows), {"rated": lambda row: said[row["model"]][1]})
    line = lab.plot.cost_quality(found).data[-1]

    assert (line.name, list(line.x), list(line.y)) == ("frontier", [1.0, 2.0, 4.0], [0.2, 0.6, 0.9])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8))
def test_the_frontier_is_every_point_that_is_not_beaten_and_no_other(drawn):
    """By the definition: as cheap and as good, and not the same."""
    kept = unbeaten(drawn)
    beaten = {n for n, (cost, good) in enumerate(drawn) if any(c <= cost and g >= good and (c, g) != (cost, good) for c, g in drawn)}  # fmt: skip

    assert sorted(kept) == [n for n in range(len(drawn)) if n not in beaten]
    assert [drawn[n] for n in kept] == sorted(drawn[n] for n in kept)


def test_costs_that_span_decades_have_a_logarithmic_axis_with_a_place_for_what_is_free(frame):
    """A logarithm has no nought: free stands half a decade before the cheapest and says so."""
    costs = {"cheap": 0.001, "dear": 0.2, "own": 0.0}
    found = lab.score(frame(*({"model": name, "cost": cost, "answer": "x"} for name, cost in costs.items())), "exact")
    figure = lab.plot.cost_quality(found)

    assert figure.layout.xaxis.type == "log"
    assert points(figure)["own"][0] == pytest.approx(1 / math.sqrt(10))
    assert figure.layout.xaxis.ticktext == ("free", "$1", "$10", "$100")
    assert "$0.0000 per" in next(trace.hovertemplate for trace in figure.data if trace.name == "own")


# --------------------------------------------------------------------------------------------------------- tokens


def test_tokens_are_means_per_answer_with_what_the_cache_held_and_what_was_thought(frame):
    """An answer counts once; one without a count, and one that the ledger knew, not at all."""
    usage = [Usage(prompt_tokens=100, completion_tokens=30, cached_tokens=60, reasoning_tokens=10),
             Usage(prompt_tokens=50, completion_tokens=10, cached_tokens=0, reasoning_tokens=0)]  # fmt: skip
    found = frame(
        {"usage": usage[0], "id": "inf_a"}, {"usage": usage[0], "id": "inf_a"}, {"usage": usage[1]},
        {"usage": Usage()}, {"usage": usage[1], "cached": True},
    )  # fmt: skip
    fresh, held, said, thought = lab.plot.tokens(found).data

    assert [trace.x[0] for trace in (fresh, held, said, thought)] == [45.0, 30.0, 15.0, 5.0]
    assert "150 in 2 answers" in fresh.hovertemplate
    assert held.marker.pattern.shape == "/"


def test_tokens_that_span_decades_are_points_on_a_logarithmic_axis(frame):
    """A bar has no length there."""
    few, many = (Usage(prompt_tokens=10, completion_tokens=n) for n in (5, 5_000))
    figure = lab.plot.tokens(frame({"model": "few", "usage": few}, {"model": "many", "usage": many}))

    assert (figure.layout.xaxis.type, figure.layout.xaxis2.type) == (None, "log")
    assert sorted(trace.x[0] for trace in figure.data if trace.type == "scatter") == [5.0, 5_000.0]


# ------------------------------------------------------------------------------------------------------- contrast


def contrasts(**more) -> pd.DataFrame:
    """Two differences of shares to `base`: one shown, one not."""
    made = {
        "variant": ["good", "same"], "baseline": ["base"] * 2, "score": ["score_exact"] * 2, "n": [50, 50],
        "mean": [0.9, 0.79], "baseline_mean": [0.8, 0.8], "difference": [0.1, -0.01], "low": [0.04, -0.05],
        "high": [0.16, 0.03], "p_holm": [0.004, 0.8], "wins": [6, 2], "ties": [43, 46], "losses": [1, 2],
        "verdict": ["good is 10.0 points better than base", "no difference shown"],
    }  # fmt: skip
    return pd.DataFrame(made | more)


def test_a_contrast_is_a_forest_with_a_line_at_nought():
    """The largest on top; filled is shown, hollow is not; the verdict is told."""
    figure = lab.plot.contrast(contrasts())
    same, good = figure.data

    assert (good.x, good.y, good.marker.symbol) == ((0.1,), (1,), "square")
    assert (good.error_x.arrayminus[0], good.error_x.array[0]) == (pytest.approx(0.06), pytest.approx(0.06))
    assert (same.x, same.y, same.marker.symbol) == ((-0.01,), (0,), "square-open")
    assert "good is 10.0 points better than base" in good.hovertext[0]
    assert "n 50, wins 6, ties 43, losses 1" in good.hovertext[0]
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(0, 0)]
    assert "<b>+10.0 pt</b>  p = 0.004" in texts(figure)
    assert figure.layout.yaxis.ticktext == ("same", "good")


def test_a_contrast_of_several_scores_has_a_pane_for_each():
    """They have scales of their own."""
    both = pd.concat([contrasts(), contrasts(score=["score_length"] * 2, mean=[30.0, 20.0], baseline_mean=[25.0] * 2, difference=[5.0, -5.0])])  # fmt: skip
    figure = lab.plot.contrast(both)

    assert {trace.yaxis for trace in figure.data} == {"y", "y2"}
    assert (figure.layout.xaxis.tickformat, figure.layout.xaxis2.tickformat) == (".0%", "")
    assert {"<b>exact</b>", "<b>length</b>", "<b>+5</b>  p = 0.004"} <= set(texts(figure))


def test_a_difference_that_is_not_known_is_named_not_drawn():
    """And if there is no other, the figure is empty and says so."""
    half = lab.plot.contrast(contrasts(difference=[0.1, None], low=[0.04, None], high=[0.16, None]))
    none = lab.plot.contrast(contrasts(difference=[None] * 2, low=[None] * 2, high=[None] * 2))

    assert len(half.data) == 1
    assert "not known: same" in half.layout.title.text
    assert none.layout.annotations[0].text == "Nothing to draw: no difference is known."
    assert "Nothing" in lab.plot.contrast(contrasts().iloc[:0]).layout.annotations[0].text


def test_options_of_a_contrast_that_is_made_already_are_refused():
    """They would do nothing."""
    with pytest.raises(errors.InvalidRequestError, match=r"lab\.contrast"):
        lab.plot.contrast(contrasts(), baseline="good")


def test_names_and_verdicts_of_a_contrast_are_text():
    """They hold names of models and prompts."""
    bad = "<a href='http://beacon.test'>%{x}</a>"
    figure = lab.plot.contrast(contrasts(variant=[bad, "b"], baseline=[bad] * 2, verdict=[bad] * 2))

    assert not any("<a" in text or "%{x}" in text for text in texts(figure))


def test_scored_results_are_contrasted_first(frame):
    """With `lab.contrast` and its options."""
    rows = [{"model": model, "answer": "x", "content": "x" if n % 4 or model == "b" else "y"} for n in range(40) for model in ("a", "b")]  # fmt: skip
    found = lab.score(frame(*rows).set_axis([n // 2 for n in range(80)]), "exact")
    figure = lab.plot.contrast(found, "a")

    assert "Difference to a" in figure.layout.title.text
    assert [trace.x for trace in figure.data] == [(0.25,)]


def test_one_variant_has_nothing_to_be_compared_with(frame):
    """Nor has none: the figure says so."""
    found = lab.score(frame({"answer": "x"}), "exact")

    for draw in (lab.plot.contrast, lab.plot.wins):
        for part in (found, found.iloc[:0]):
            assert "Nothing to draw" in draw(part).layout.annotations[0].text


# ----------------------------------------------------------------------------------------------------------- wins


def test_wins_are_shares_of_points_best_first():
    """x wins twice, ties once, loses once against y: 2.5 of 4."""
    made = pd.DataFrame({"a": ["x", "y", "x", "y"], "b": ["y", "x", "y", "x"], "winner": ["a", "b", "tie", "a"]})
    figure = lab.plot.wins(made)
    trace = figure.data[0]

    assert figure.layout.yaxis.ticktext == ("x", "y")
    assert trace.z[0][1] == 0.625
    assert trace.z[1][0] == 0.375
    assert trace.z[0][0] is None
    assert "2 won, 1 tied, 1 lost" in trace.hovertext[0][1]


def test_verdicts_of_people_name_the_winner():
    """As `verdicts()` of the compare panel does; both bad is a tie. A model may be called a."""
    votes = pd.DataFrame({"a": ["b", "b", "b"], "b": ["a", "a", "a"], "winner": ["a", "a", "both_bad"], "voter": ["ana"] * 3})  # fmt: skip
    figure = lab.plot.wins(votes)

    assert figure.layout.xaxis.ticktext == ("a", "b")
    assert figure.data[0].z[0][1] == pytest.approx(2.5 / 3)


def test_verdicts_without_a_winner_are_counted_and_left_out():
    """A judge that failed said nothing; a winner that is no side is refused with its row."""
    made = pd.DataFrame({"a": ["x"] * 2, "b": ["y"] * 2, "winner": ["a", None]})

    assert "1 verdict without a winner left out" in lab.plot.wins(made).layout.title.text
    assert "Nothing" in lab.plot.wins(made.iloc[1:]).layout.annotations[0].text
    with pytest.raises(errors.InvalidRequestError, match="Row 1"):
        lab.plot.wins(made.assign(winner=["a", "left"]))


def test_the_higher_score_of_a_row_wins(frame):
    """3 of 4 rows differ; samples of a row are averaged first."""
    rows = [{"model": model, "content": "x" * n} for n, model in [(3, "a"), (1, "b"), (2, "a"), (2, "b"), (1, "a"), (4, "b"), (5, "a"), (1, "b")]]  # fmt: skip
    found = lab.score(frame(*rows).set_axis([0, 0, 1, 1, 2, 2, 3, 3]), {"length": lambda row: len(row["response"])})
    figure = lab.plot.wins(found, "length")

    assert figure.layout.xaxis.ticktext == ("a", "b")
    assert figure.data[0].z[0][1] == 0.625
    assert "2 won, 1 tied, 1 lost" in figure.data[0].hovertext[0][1]


# ------------------------------------------------------------------------------------------------------- timeline


def knocks(*rows) -> pd.DataFrame:
    """Receipts: (start in seconds, how long, model, error, cost) each."""
    begun = pd.Timestamp("2026-11-26 12:00", tz="UTC")
    return pd.DataFrame([
        {"inference_id": f"inf_{n}", "n": 0, "started": begun + pd.Timedelta(seconds=at), "latency_ms": took * 1000,
         "error_code": error, "error": error and "wait", "requested_model": model, "cost": cost, "status": "completed"}
        for n, (at, took, model, error, cost) in enumerate(rows)
    ])  # fmt: skip


def test_a_timeline_counts_what_is_in_flight_and_adds_up_what_it_cost():
    """a from 0 to 4 s, b from 1 to 2 s: one, two, one, none."""
    figure = lab.plot.timeline(knocks((0, 4, "a", None, 0.5), (1, 1, "b", None, 0.25)))
    a, b = (trace for trace in figure.data if trace.stackgroup)
    cost = next(trace for trace in figure.data if trace.name == "cost")

    assert [stamp[14:19] for stamp in a.x.astype(str)] == ["00:00", "00:01", "00:02", "00:04"]
    assert (a.y.tolist(), b.y.tolist()) == ([1, 1, 1, 0], [0, 1, 0, 0])
    assert cost.y.tolist() == [0.25, 0.75]


def test_failed_attempts_have_a_mark_in_the_line_of_their_error(frame):
    """A cost that is not known is not nought: it is counted and left out."""
    figure = lab.plot.timeline(knocks((0, 1, "a", "rate_limit_exceeded", None), (1, 1, "a", None, 0.25)))
    failed = next(trace for trace in figure.data if trace.name == "failed attempt")

    assert failed.y == ("rate_limit_exceeded",)
    assert failed.hovertext == ("<b>rate_limit_exceeded</b> a<br>wait",)
    assert "1 failed" in figure.layout.title.text
    assert "1 answer of unknown cost" in figure.layout.title.text


def test_a_long_pause_is_cut_out_of_the_axis():
    """A run that went on five hours later; a pause of some seconds stays."""
    resumed = lab.plot.timeline(knocks((0, 2, "a", None, 0.1), (5 * 3600, 2, "a", None, 0.1)))
    short = lab.plot.timeline(knocks((0, 2, "a", None, 0.1), (30, 2, "a", None, 0.1)))

    (cut,) = resumed.layout.xaxis.rangebreaks
    assert [end[11:19] for end in cut.bounds] == ["12:00:02", "16:59:59"]
    assert not short.layout.xaxis.rangebreaks


def test_moments_are_thinned_without_losing_the_peak():
    """20,000 requests, one moment with 50 of them at once."""
    rng = np.random.default_rng(0)
    starts = np.concatenate([rng.uniform(0, 3600, 20_000), np.full(50, 1800.0)])
    begun = np.datetime64("2026-11-26") + (starts * 1e9).astype("timedelta64[ns]")
    over = begun + np.where(starts == 1800.0, 10**8, 10**6).astype("timedelta64[ns]")
    times, counts = flow.in_flight(begun, over, np.zeros(len(starts), dtype=int), 1)

    assert len(times) <= 2 * flow.BINS + 2
    assert counts.max() >= 50
    assert (np.diff(times) > np.timedelta64(0)).all()
    assert counts[-1, 0] == 0


def test_a_timeline_of_results_asks_the_ledger_for_the_times():
    """By `lab.receipts`; what came from the cache has no time."""
    with lab.Client(mock_mode=True, ledger=":memory:") as client:
        found = lab.batch(["a", "b"], "{text}", model="gpt-4", client=client, progress=False)
        figure = lab.plot.timeline(found, client=client)

    assert "2 attempts at 2 questions" in figure.layout.title.text
    assert sum(trace.y.max() for trace in figure.data if trace.stackgroup) >= 1


def test_a_timeline_of_nothing_says_so():
    """No knock, no time."""
    never = knocks((0, 1, "a", None, 0.1))
    figure = lab.plot.timeline(never.assign(started=never["started"].where([False])))

    assert "Nothing to draw" in figure.layout.annotations[0].text


# ----------------------------------------------------------------------------------------------------------- look

SIGHTS = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip
"""Machado, Oliveira & Fernandes 2009, table of severity 1.0, for linear RGB."""


def linear(colour: str) -> np.ndarray:
    """sRGB to linear RGB (IEC 61966-2-1)."""
    sign = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return np.where(sign <= 0.04045, sign / 12.92, ((sign + 0.055) / 1.055) ** 2.4)


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB to CIELAB (D65)."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_told_apart_with_any_common_colour_vision(sight):
    """Any two are 17 apart (CIE76); about 2 can be told at all."""
    seen = [lab_of(SIGHTS[sight] @ linear(colour)) for colour in look.COLOURS]

    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) >= 17


@pytest.mark.parametrize("ground", ["#ffffff", "#111111", "#1e1e1e"])
def test_colours_and_ink_are_seen_on_light_and_dark_pages(ground):
    """WCAG 2.2: 3:1 for what is drawn (1.4.11)."""

    def contrast(colour: str) -> float:
        darker, lighter = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (colour, ground))
        return (lighter + 0.05) / (darker + 0.05)

    assert min(map(contrast, look.COLOURS)) >= 3
    assert contrast(look.INK) >= 4
