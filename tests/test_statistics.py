"""Intervals, tests and strengths: exact against what others computed, or against another way to compute it."""

from __future__ import annotations

import itertools
import math
from unittest import mock

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels

from prsm_lab import errors
from prsm_lab.statistics import intervals, paired, power, strengths


def draws(seed: int = 0):
    return np.random.default_rng(seed)


# ------------------------------------------------------------------------------------------------- intervals


@pytest.mark.parametrize(("ones", "n"), [(8, 10), (0, 20), (20, 20), (50, 100), (3, 1000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_shares_have_the_score_interval(ones, n, confidence):
    """Wilson's ends solve |p̂ - p| = z √(p (1 - p) / n)."""
    found = intervals.mean_interval([1.0] * ones + [0.0] * (n - ones), confidence=confidence)

    z = stats.norm.ppf((1 + confidence) / 2)
    for end in (found.low, found.high):
        assert (found.mean - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n, abs=1e-12)


def test_other_scores_have_students_interval():
    """As scipy's test of one sample says."""
    values = draws().normal(3, 2, 40)

    found = intervals.mean_interval(values, confidence=0.9)

    assert found[1:] == pytest.approx(tuple(stats.ttest_1samp(values, 0).confidence_interval(0.9)))


@pytest.mark.parametrize("sizes", [[3] * 12, [1, 5, 2, 9, 4, 4, 1]])
def test_intervals_of_clusters_are_those_of_a_regression_on_a_constant(sizes):
    """statsmodels' OLS with cov_type="cluster", balanced or not."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values = draws(1).normal(size=len(groups)) + draws(2).normal(size=len(sizes))[groups]

    found = intervals.mean_interval(values, clusters=groups)

    fitted = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert found[1:] == pytest.approx(tuple(fitted.conf_int()[0]))
    assert intervals.cluster_error(values, groups) == pytest.approx(fitted.bse[0])


def test_shares_in_clusters_have_wilsons_interval_of_as_many_rows_as_they_are_worth():
    """Ten answers that are always alike are worth one; answers without likeness as many as there are."""
    alike = intervals.mean_interval(np.repeat([1.0, 0.0] * 10, 10), clusters=np.repeat(np.arange(20), 10))

    fewer = intervals.wilson(np.array([1.0, 0.0] * 10))
    assert alike.low == pytest.approx(fewer.low, abs=0.01)
    assert alike.low < fewer.low  # by G / (G - 1)
    assert intervals.mean_interval([1.0, 0.0, 1.0], clusters=["a", "b", "c"]) == intervals.mean_interval(
        [1.0, 0.0, 1.0]
    )


def test_what_never_varied_is_not_certain():
    """Neither all right within clusters, nor a single cluster, nor a single figure."""
    sure = intervals.mean_interval([1.0] * 20, clusters=np.repeat(np.arange(4), 5))
    single = intervals.mean_interval([0.2, 0.3], clusters=["a", "a"])
    constant = intervals.mean_interval([1.0] * 20, seed=0)

    assert sure == intervals.wilson(np.ones(4))
    assert math.isnan(single.low)
    assert math.isnan(constant.high)
    assert intervals.mean_interval([]) is None
    assert intervals.mean_interval([math.nan, math.inf]) is None


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_bootstrap_is_scipys(confidence):
    """Bias-corrected and accelerated, with the same generator to the last digits."""
    values = draws(3).exponential(size=60)

    found, means = intervals.draw(values, clusters=None, confidence=confidence, draws=4000, seed=5)

    expected = stats.bootstrap((values,), np.mean, n_resamples=4000, confidence_level=confidence, rng=np.random.default_rng(5))  # fmt: skip
    assert found[1:] == pytest.approx(tuple(expected.confidence_interval), rel=1e-12)
    assert means == pytest.approx(expected.bootstrap_distribution)
    assert intervals.mean_interval(values, seed=5) == intervals.mean_interval(values, seed=5)
    assert intervals.mean_interval(values, seed=5) != intervals.mean_interval(values, seed=6)


def test_the_bootstrap_of_clusters_is_scipys_of_a_ratio():
    """Sums over numbers of rows, drawn together."""
    groups = np.repeat(np.arange(30), draws(4).integers(1, 8, 30))
    values = draws(5).exponential(size=len(groups))

    found, _ = intervals.draw(values, clusters=groups, confidence=0.95, draws=2000, seed=0)

    parts = np.bincount(groups, weights=values), np.bincount(groups)
    expected = stats.bootstrap(
        parts, lambda sums, rows, axis: sums.sum(axis=axis) / rows.sum(axis=axis), paired=True, n_resamples=2000, vectorized=True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert found[1:] == pytest.approx(tuple(expected.confidence_interval), rel=1e-12)


def test_the_bootstrap_of_few_values_draws_how_often_each_comes():
    """The means' distribution is that of rows drawn: binomial for 0 and 1."""
    values = np.repeat([1.0, 0.0], [70, 30])

    found, means = intervals.draw(values, clusters=None, confidence=0.95, draws=20_000, seed=1)

    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, batch=1000, rng=np.random.default_rng(2))
    for ones in range(55, 85):
        assert (means * 100 < ones + 0.5).mean() == pytest.approx(stats.binom.cdf(ones, 100, 0.7), abs=0.015)
    assert (means.mean(), means.var()) == pytest.approx((0.7, 0.0021), rel=0.03)
    assert found[1:] == pytest.approx(tuple(expected.confidence_interval), abs=0.011)


def test_the_bootstrap_draws_whole_clusters():
    """The spread of its means is the cluster-robust error, also where clusters are of many sizes."""
    groups = np.repeat(np.arange(60), draws(4).integers(1, 8, 60))
    values = draws(5).normal(size=60)[groups]

    _, means = intervals.draw(values, clusters=groups, confidence=0.95, draws=5000, seed=0)

    assert means.std() == pytest.approx(intervals.cluster_error(values, groups), rel=0.05)


# ---------------------------------------------------------------------------------------------------- paired


def pairs(wins: int, losses: int, both: int, neither: int):
    """0/1 scores with so many rows of each kind."""
    return (
        np.repeat([1.0, 0.0, 1.0, 0.0], [wins, losses, both, neither]),
        np.repeat([0.0, 1.0, 1.0, 0.0], [wins, losses, both, neither]),
    )


@pytest.mark.parametrize(("wins", "losses"), [(6, 0), (10, 3), (3, 10), (120, 95), (5, 5), (0, 0)])
def test_scores_of_nought_and_one_have_mcnemars_exact_test(wins, losses):
    """As statsmodels computes it; rows that do not differ say nothing."""
    found = paired.compare_pairs(*pairs(wins, losses, 30, 20))

    table = [[30, wins], [losses, 20]]
    expected = mcnemar_of_statsmodels(table, exact=True).pvalue
    assert (found.test, found.p_value) == ("mcnemar", pytest.approx(expected))
    assert (found.wins, found.ties, found.losses) == (wins, 50, losses)


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, table III
        ((14, 5, 0, 22), 0.011, 0.226),  # Altman et al. 2000, Statistics with confidence, p. 52
        ((1, 1, 7, 12), -0.507, -0.026),  # Fagerland, Lydersen & Laake 2014, Stat. Med. 33
    ],
)
def test_differences_of_shares_have_newcombes_interval(cells, low, high):
    """Published figures."""
    both, only_a, only_b, neither = cells
    found = paired.compare_pairs(*pairs(only_a, only_b, both, neither))

    places = 4 if low == 0.0569 else 3
    assert (round(found.low, places), round(found.high, places)) == (low, high)


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(any), st.floats(0.5, 0.999))
def test_newcombes_interval_holds_the_difference_and_turns_with_the_sides(cells, confidence):
    """Whatever the table."""
    both, only_a, only_b, neither = cells
    mean, low, high = paired.newcombe(both, only_a, only_b, neither, confidence)
    turned = paired.newcombe(both, only_b, only_a, neither, confidence)

    assert -1 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    assert (turned.low, turned.high) == (pytest.approx(-high), pytest.approx(-low))


def test_permutations_of_few_rows_are_all_looked_at():
    """As scipy's permutation_test of one sample, exactly."""
    gaps = draws(6).normal(0.4, 1, 11)

    expected = stats.permutation_test((gaps,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue

    assert paired.sign_flips(gaps) == pytest.approx(expected, abs=1e-12)


def test_permutations_of_many_rows_are_drawn_and_never_say_nought():
    """Near the exact figure; the least is 1 / (draws + 1)."""
    gaps = draws(7).normal(0.35, 1, 13)
    exact = paired.sign_flips(gaps, draws=2**13)

    drawn = paired.sign_flips(gaps, draws=2**13 - 1)

    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 2**13))
    assert drawn != exact
    assert paired.sign_flips(gaps, draws=100, seed=1) == paired.sign_flips(gaps, draws=100, seed=1)
    assert paired.sign_flips(np.ones(400), draws=999) == 1 / 1000


def test_permutations_hold_their_level():
    """Of 400 pairs of equal variants no more are told apart than alpha says, within chance (99.9 %)."""
    generator = draws(8)
    told = sum(paired.sign_flips(generator.exponential(size=20) - generator.exponential(size=20), draws=400) <= 0.05 for _ in range(400))  # fmt: skip

    assert told <= stats.binom.ppf(0.999, 400, 0.05)


def test_wilcoxons_test_counts_all_signs():
    """Against all 2^8 patterns of signs."""
    gaps = np.array([0.3, -0.1, 0.9, 1.4, -0.2, 2.2, 0.7, 1.1])
    ranks = stats.rankdata(np.abs(gaps))
    sums = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) for signs in itertools.product([0, 1], repeat=8)]  # fmt: skip
    reached = abs(ranks[gaps > 0].sum() - ranks.sum() / 2)

    found = paired.compare_pairs(gaps, np.zeros(8), test="wilcoxon")

    assert found.p_value == pytest.approx(np.mean([abs(one - ranks.sum() / 2) >= reached for one in sums]))


def test_clusters_are_turned_whole():
    """Rows of a cluster that say the same count once, in test and interval."""
    single = draws(9).normal(0.5, 1, 10)
    values, groups = np.repeat(single, 6), np.repeat(np.arange(10), 6)

    found = paired.compare_pairs(values, np.zeros(60), clusters=groups)
    once = paired.compare_pairs(single, np.zeros(10))

    assert (found.p_value, found.low, found.high) == pytest.approx((once.p_value, once.low, once.high))
    assert 6 * (once.n_needed - 1) < found.n_needed <= 6 * once.n_needed
    assert found.mde == pytest.approx(once.mde)
    assert found.test == "permutation"
    uneven = np.repeat(np.arange(10), np.arange(1, 11))
    assert paired.compare_pairs(
        single[uneven], np.zeros(55), clusters=uneven, test="wilcoxon"
    ).p_value == pytest.approx(paired.compare_pairs(single, np.zeros(10), test="wilcoxon").p_value)


def test_a_test_that_does_not_fit_is_refused():
    """McNemar's is for independent rows of 0 and 1; an unknown one is named."""
    with pytest.raises(errors.InvalidRequestError, match="of 0 and 1"):
        paired.compare_pairs([0.5, 1], [0, 1], test="mcnemar")
    with pytest.raises(errors.InvalidRequestError, match="independent"):
        paired.compare_pairs([0, 1], [0, 1], clusters=["a", "a"], test="mcnemar")
    with pytest.raises(errors.InvalidRequestError, match="'anova'"):
        paired.compare_pairs([0, 1], [0, 1], test="anova")


def test_the_last_digit_is_no_difference():
    """0.1 + 0.2 and 0.3 are a tie."""
    found = paired.compare_pairs([0.1 + 0.2, 0.5], [0.3, 0.4])

    assert (found.wins, found.ties, found.losses) == (1, 1, 0)


def test_the_bootstrap_tests_what_its_interval_says():
    """At any level, nought outside the interval goes with a small p-value: within what skewness and draws may do."""
    gaps = draws(10).normal(0.25, 1, 80)

    found = paired.compare_pairs(gaps, np.zeros(80), test="bootstrap")

    assert found.test == "bootstrap"
    assert found.p_value == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue, abs=0.01)
    assert (found.low, found.high) == pytest.approx(intervals.student(gaps)[1:], abs=0.03)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_holms_adjustment_is_statsmodels(p_values):
    """Ties, noughts and ones among them."""
    from statsmodels.stats.multitest import multipletests

    with mock.patch("gc.collect"):  # statsmodels collects at each call, a second with all tests' objects around
        assert paired.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)


def test_holms_p_values_step_down():
    """Holm's own rule, written out; NaN does not count."""
    given = [0.04, 0.01, math.nan, 0.03, 0.2]

    adjusted = paired.holm(given)

    # 4 · 0.01, then 3 · 0.03, then at least that
    assert adjusted[:2] + adjusted[3:] == pytest.approx([0.09, 0.04, 0.09, 0.2])
    assert math.isnan(adjusted[2])
    assert math.isnan(paired.holm([math.nan])[0])


def chance_to_show(effect: float, n: int, alpha: float = 0.05) -> float:
    """Power of the two-sided paired t test, from scipy's noncentral t."""
    limit = stats.t.ppf(1 - alpha / 2, n - 1)
    shift = effect * math.sqrt(n)
    return float(stats.nct.sf(limit, n - 1, shift) + stats.nct.cdf(-limit, n - 1, shift))


@pytest.mark.parametrize("n", [5, 30, 300])
def test_the_smallest_difference_is_shown_four_times_in_five(n):
    """Power at the minimum detectable difference is 0.8."""
    values = draws(11).normal(size=n)

    found = paired.compare_pairs(values, np.zeros(n))

    assert chance_to_show(found.mde / values.std(ddof=1), n) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("effect", [0.1, 0.3, 0.8])
def test_so_many_rows_are_needed_and_one_less_is_too_few(effect):
    """Power at n_needed is at least 0.8, below it less."""
    n = power.rows_needed(effect, 1 / math.sqrt(50), 50, 50, 0.05)

    assert chance_to_show(effect, n) >= 0.8 > chance_to_show(effect, n - 1)


@pytest.mark.parametrize("shares", [(0.3, 0.1), (0.05, 0.4), (0.2, 0.0)])
def test_the_power_of_mcnemars_test_is_summed_over_all_tables(shares):
    """Every table of 25 rows, its chance and its p-value."""
    chances = (*shares, 1 - sum(shares))
    expected = sum(
        stats.multinomial.pmf([wins, losses, 25 - wins - losses], 25, chances)
        for wins in range(26) for losses in range(26 - wins)
        if paired.mcnemar(wins, losses) <= 0.05
    )  # fmt: skip

    assert power.mcnemar_power(*shares, 25, 0.05) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("wins", "losses", "rows"), [(15, 5, 100), (6, 10, 40), (9, 0, 300), (8, 4, 24)])
def test_mcnemars_test_has_four_chances_in_five_at_what_is_promised(wins, losses, rows):
    """At n_needed and at the smallest difference; a tenth below, not."""
    found = paired.compare_pairs(*pairs(wins, losses, rows - wins - losses, 0))

    needed, win, loss = found.n_needed, wins / rows, losses / rows
    assert power.mcnemar_power(win, loss, needed, 0.05) >= 0.8 > power.mcnemar_power(win, loss, int(needed * 0.9), 0.05)
    for part, enough in ((1.0, True), (0.9, False)):
        apart = max(win + loss, part * found.mde)
        chance = power.mcnemar_power((apart + part * found.mde) / 2, (apart - part * found.mde) / 2, rows, 0.05)
        assert (chance >= 0.8) == enough


def test_so_few_rows_that_no_difference_could_be_shown():
    """Five rows of right and wrong never reach 5 %."""
    assert math.isnan(paired.compare_pairs(*pairs(4, 1, 0, 0)).mde)


def test_rows_are_never_needed_where_nothing_differs_and_never_too_few_to_tell():
    """No difference: none; always the same difference: as many as a test of signs needs."""
    same = paired.compare_pairs([1, 0, 1], [1, 0, 1])
    always = paired.compare_pairs([1.5] * 4, [1] * 4)
    tiny = paired.compare_pairs(draws(12).normal(1e-5, 1, 1000), np.zeros(1000))

    assert (same.n_needed, math.isnan(same.mde), same.p_value) == (None, True, 1.0)
    assert always.n_needed == 6
    assert paired.mcnemar(6, 0) <= 0.05 < paired.mcnemar(5, 0)
    assert tiny.n_needed > 1000


# ------------------------------------------------------------------------------------------------- strengths


def league(seed: int = 0, games: int = 600, ties: float = 0.6):
    """Games of four players of known strength."""
    generator = draws(seed)
    a = generator.integers(0, 4, games)
    b = (a + generator.integers(1, 4, games)) % 4
    truth = np.array([0.8, 0.2, -0.3, -0.7])
    win = np.exp((truth[a] - truth[b]) / 2)
    drawn = generator.random(games) * (win + 1 / win + ties)
    return a, b, np.where(drawn < win, 1.0, np.where(drawn < win + ties, 0.5, 0.0))


def test_strengths_without_ties_are_those_of_a_logistic_regression():
    """Bradley and Terry's model is one on differences of players: statsmodels' estimates and errors."""
    a, b, points = league(ties=0.0)
    seats = np.eye(4)
    design = (seats[a] - seats[b])[:, :3]

    found = strengths.fit(a, b, points)

    fitted = sm.Logit(points, design).fit(disp=False, method="newton", tol=1e-12)
    expected = np.append(fitted.params, 0) - fitted.params.sum() / 4
    turn = np.eye(4)[:, :3] - 1 / 4
    error = np.sqrt(np.diag(turn @ fitted.cov_params() @ turn.T))
    assert found.strength == pytest.approx(expected, abs=1e-6)
    assert (found.high - found.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, abs=1e-6)
    assert not found.separated


def test_strengths_with_ties_are_those_of_a_loglinear_model():
    """Davidson's model is a Poisson regression of the counts of each pair (Sinclair 1982): estimates and errors."""
    a, b, points = league()
    rows, counts = [], []
    for n, (i, j) in enumerate(itertools.combinations(range(4), 2)):
        seen = np.where((a == i) & (b == j), points, np.where((a == j) & (b == i), 1 - points, np.nan))
        for outcome in (1.0, 0.5, 0.0):
            row = np.zeros(11)
            row[n] = 1
            row[6 + i], row[6 + j] = outcome - 0.5, 0.5 - outcome
            row[10] = outcome == 0.5
            rows.append(np.delete(row, 9))
            counts.append((seen == outcome).sum())

    found = strengths.fit(a, b, points)

    fitted = sm.GLM(counts, np.array(rows), family=sm.families.Poisson()).fit(tol=1e-12)
    params, turn = fitted.params[6:9], np.eye(4)[:, :3] - 1 / 4
    error = np.sqrt(np.diag(turn @ fitted.cov_params()[6:9, 6:9] @ turn.T))
    assert found.strength == pytest.approx(np.append(params, 0) - params.sum() / 4, abs=1e-6)
    assert (found.high - found.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, abs=1e-6)


def test_errors_allow_for_verdicts_that_repeat_each_other():
    """Each game told three times: the same strengths, and errors as of the games."""
    a, b, points = league(ties=0.0)
    games = np.repeat(np.arange(len(a)), 3)

    found = strengths.fit(a[games], b[games], points[games], clusters=games)
    once = strengths.fit(a, b, points)
    naive = strengths.fit(a[games], b[games], points[games])

    assert found.strength == pytest.approx(once.strength, abs=1e-6)
    assert found.high - found.low == pytest.approx(once.high - once.low, rel=0.1)
    assert (naive.high - naive.low < 0.7 * (found.high - found.low)).all()


def test_robust_errors_are_statsmodels():
    """Logit with cov_type="cluster", but for its factor of small samples (m - 1) / (m - k)."""
    a, b, points = league(ties=0.0, games=900)
    groups = np.arange(900) // 3
    design = (np.eye(4)[a] - np.eye(4)[b])[:, :3]

    found = strengths.fit(a, b, points, clusters=groups)

    fitted = sm.Logit(points, design).fit(disp=False, cov_type="cluster", cov_kwds={"groups": groups})
    turn = np.eye(4)[:, :3] - 1 / 4
    error = np.sqrt(np.diag(turn @ fitted.cov_params() @ turn.T) * (900 - 3) / (900 - 1))
    assert (found.high - found.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, rel=1e-5)


def test_who_never_lost_has_a_finite_strength():
    """Half a win and half a loss are lent: the most likely strengths then, found by looking."""
    found = strengths.fit([0, 0, 0], [1, 1, 1], [1, 1, 1])

    at = np.linspace(0, 5, 50_001)
    likely = 3 * -np.log1p(np.exp(-2 * at)) + 2 * 0.5 * (at - 2 * np.log1p(np.exp(at)))
    assert found.separated
    assert found.strength[0] == pytest.approx(at[likely.argmax()], abs=1e-4)
    sigma = 1 / (1 + np.exp(2 * found.strength[0]))
    game, lent = 3 * sigma * (1 - sigma), 2 * 0.5 / (4 * np.cosh(found.strength / 2) ** 2)
    error = 1 / math.sqrt(4 * game + lent.sum())  # of half the gap: both move by as much, apart
    assert (found.high - found.low)[0] / 2 == pytest.approx(1.959964 * error, rel=1e-5)
    assert found.low[0] < 0 < found.high[0]


def test_a_tie_leads_both_ways():
    """Who won once and tied once has lost something."""
    assert not strengths.fit([0, 0], [1, 1], [1, 0.5]).separated


def test_players_who_never_met_are_not_compared_with_certainty():
    """Two leagues apart: intervals are wide; only ties: there are none."""
    apart = strengths.fit([0, 2] * 20, [1, 3] * 20, [1, 0] * 10 + [0, 1] * 10)
    ties = strengths.fit([0, 1], [1, 2], [0.5, 0.5])

    assert apart.separated
    assert (apart.high - apart.low > 2).all()
    assert ties.strength.tolist() == [0, 0, 0]
    assert np.isnan(ties.low).all()
    assert ties.win_rate.tolist() == [0.5] * 3


def test_win_rates_are_points_expected_of_the_others():
    """Of two players the share of points that was won, ties being half; of all players a half."""
    two = strengths.fit([0] * 10, [1] * 10, [1] * 5 + [0.5] * 3 + [0] * 2)
    four = strengths.fit(*league())

    assert two.win_rate == pytest.approx([0.65, 0.35])
    assert four.win_rate.mean() == pytest.approx(0.5)
