"""A router's guarantee against simulated truth: questions whose qualities are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from prsm_lab.errors import InvalidRequestError
from prsm_lab.statistics import guarantees, logistic, savings
from prsm_lab.statistics.guarantees import keeping, least_rows

QUALITY, CONFIDENCE = 0.95, 0.9
REPETITIONS = 300


def cliff(n, rng):
    """The signal knows which two thirds of the questions the cheap model can do."""
    x = rng.random(n)
    return np.where(x < 0.6, 0.95, 0.2), np.full(n, 0.95), -x


def slope(n, rng):
    """The cheap model gets worse gradually, and the signal is noisy."""
    x = rng.random(n)
    return 0.98 - 0.9 * x**2, np.full(n, 0.9), -x + 0.15 * rng.normal(size=n)


def blind(n, rng):
    """The signal knows nothing: the best threshold is a coin."""
    return np.full(n, 0.8), np.full(n, 0.9), rng.random(n)


def equal(n, rng):
    """The cheap model is as good: everything may go to it."""
    return np.full(n, 0.92), np.full(n, 0.9), rng.random(n)


def edge(n, rng):
    """All cheap keeps just too little: the guarantee's hardest case."""
    return np.full(n, 0.853), np.full(n, 0.9), rng.random(n)


class Truth:
    """A kind of questions, and the quality and the share at every threshold, of 200,000 of them."""

    def __init__(self, kind):
        self.kind = kind
        cheap, strong, signal = kind(200_000, np.random.default_rng(99))
        order = np.argsort(-signal)
        self.signal = signal[order]
        self.strong = float(strong.mean())
        self.routed = self.strong + np.cumsum((cheap - strong)[order]) / len(order)
        enough = np.flatnonzero(self.routed >= QUALITY * self.strong)
        self.best = (enough[-1] + 1) / len(order) if len(enough) else 0.0

    def at(self, threshold: float) -> tuple[float, float]:
        """True quality and true share of a threshold."""
        m = int(np.searchsorted(-self.signal, -threshold, side="right"))
        return (self.routed[m - 1] if m else self.strong), m / len(self.signal)

    def sample(self, n: int, seed: int):
        """Drawn answers (right or wrong), signals, and thresholds from questions of their own."""
        rng = np.random.default_rng(seed)
        cheap, strong, signal = self.kind(n, rng)
        return rng.random(n) < cheap, rng.random(n) < strong, signal, self.kind(150, rng)[2]


def repeated(truth: Truth, n: int) -> tuple[float, float]:
    """How often the guarantee held, and the mean share of questions relative to the best threshold's."""
    held, shares = 0, []
    for seed in range(REPETITIONS):
        cheap, strong, signal, steps = truth.sample(n, seed)
        chosen = keeping(cheap, strong, signal, quality=QUALITY, confidence=CONFIDENCE, thresholds=steps)
        quality, share = truth.at(chosen.threshold)
        held += quality >= QUALITY * truth.strong
        shares.append(share)
    return held / REPETITIONS, float(np.mean(shares)) / truth.best


@pytest.mark.parametrize(
    ("kind", "n", "saves"), [(cliff, 500, 0.9), (slope, 5000, 0.9), (equal, 1000, 0.9), (blind, 500, 0.3), (edge, 500, 0.3)]
)  # fmt: skip
def test_the_quality_is_kept_as_often_as_was_said_and_little_of_the_saving_is_lost(kind, n, saves):
    """300 repetitions each. The saving comes within a tenth of the best threshold's in hindsight at 500 rows where the
    signal is sharp, at 5,000 where it is noisy; where it knows nothing, a finite sample cannot: a threshold that is
    hardly worse than the best one looks like it."""
    held, saved = repeated(Truth(kind), n)
    print(f"{kind.__name__}, {n} rows: held in {held:.1%}, {saved:.1%} of the best threshold's saving")

    assert (held >= CONFIDENCE, saved >= saves) == (True, True)


@pytest.mark.parametrize(("quality", "confidence"), [(0.95, 0.9), (0.9, 0.99), (0.99, 0.8)])
def test_with_fewer_rows_than_it_takes_nothing_is_routed_and_with_so_many_it_is(quality, confidence):
    """Where the cheap model is never worse."""
    least = least_rows(quality, confidence)

    def threshold(n: int) -> float:
        ones = np.ones(n)
        return keeping(ones, ones, ones, quality=quality, confidence=confidence, thresholds=[1.0]).threshold

    assert (threshold(least - 1), threshold(least)) == (math.inf, 1.0)


def test_the_evidence_of_a_case_reckoned_by_hand():
    """Three rows kept, one lost: the mean over three stakes of the products."""
    rows = np.array([1.0, 1.0, 1.0, 0.0])
    wealth = guarantees.log_wealth(rows, np.ones(4), np.ones(4), np.array([1.0]), quality=0.9, confidence=0.9)
    stakes = [min(math.sqrt(2 * math.log(10) / 4) / spread, 0.98 / 0.9) for spread in (0.12, 0.22, 0.4)]

    assert math.exp(wealth[0]) == pytest.approx(np.mean([(1 + 0.1 * s) ** 3 * (1 - 0.9 * s) for s in stakes]))


def test_under_the_hypothesis_the_evidence_is_one_on_average():
    """The heart of the proof: whoever bets against what is true gains nothing."""
    rng, p = np.random.default_rng(5), 0.95 * 0.9
    cheap, strong = rng.random((4000, 60)) < p, rng.random((4000, 60)) < 0.9
    steps = np.array([0.0])
    wealth = [
        math.exp(guarantees.log_wealth(c * 1.0, s * 1.0, np.zeros(60), steps, quality=0.95, confidence=0.9)[0])
        for c, s in zip(cheap, strong, strict=True)
    ]

    assert np.mean(wealth) == pytest.approx(1.0, abs=4 * np.std(wealth) / math.sqrt(4000))


def test_a_dip_on_the_way_ends_the_way():
    """Thresholds behind the first that is not proved are not looked at, however good they seem."""
    rows = [200, 200, 900]
    signal, cheap, strong = (
        np.repeat(figures, rows) for figures in ([3.0, 2.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0])
    )
    chosen = keeping(cheap, strong, signal, quality=0.9, confidence=0.9, thresholds=[3.0, 2.0, 1.0])

    assert (chosen.threshold, chosen.share) == (3.0, 200 / 1300)
    assert guarantees.log_wealth(cheap, strong, signal, np.array([1.0]), quality=0.9, confidence=0.9)[0] > 5


@given(st.integers(1, 60), st.floats(0.5, 0.99), st.integers(0, 2**32 - 1))
def test_any_rows_in_any_order_choose_the_same(n, quality, seed):
    """And nothing that was drawn together with the thresholds."""
    rng = np.random.default_rng(seed)
    cheap, strong, signal = rng.random(n).round(1), rng.random(n).round(1), rng.random(n).round(1)
    steps, order = rng.random(5).round(1), rng.permutation(n)
    one = keeping(cheap, strong, signal, quality=quality, confidence=0.9, thresholds=steps)
    other = keeping(cheap[order], strong[order], signal[order], quality=quality, confidence=0.9, thresholds=steps[::-1])

    assert one.threshold == other.threshold
    assert one.threshold in (*steps, math.inf)


def test_a_signal_that_is_not_known_trusts_nobody():
    """NaN is below every threshold."""
    signal = np.where(np.arange(400) < 200, np.nan, 1.0)
    chosen = keeping(np.ones(400), np.ones(400), signal, quality=0.9, confidence=0.9, thresholds=[1.0, np.nan, -1.0])

    assert (chosen.threshold, chosen.share) == (-1.0, 0.5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cheap": [2.0, 0.0]}, "quality 2 of the cheap model in row 0"),
        ({"strong": [1.0, math.nan]}, "of the strong model in row 1"),
        ({"signal": [1.0]}, "not one of each per row"),
        ({"quality": 1.5}, "quality=1.5 is no share"),
        ({"quality": 0.0}, "quality=0.0 is no share"),
        ({"confidence": 1.0}, "confidence=1.0 does not lie"),
    ],
)
def test_what_cannot_be_calibrated_says_why(changes, says):
    """Row and remedy."""
    given = {"cheap": [1, 0], "strong": [1, 1], "signal": [1, 0], "quality": 0.9, "confidence": 0.9, **changes}
    with pytest.raises(InvalidRequestError, match=says):
        keeping(**given, thresholds=[0.5])


# ---------------------------------------------------------------------------------------- what is kept and saved

ROWS = savings.Rows(
    cheap=np.array([1.0, 0.0, 1.0, 0.0]), strong=np.array([1.0, 1.0, 0.0, 1.0]),
    signal=np.array([0.9, 0.8, 0.2, -np.inf]), cheap_cost=np.full(4, 1.0), strong_cost=np.full(4, 10.0),
)  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "cascade", "stands"),
    [(0.5, False, (0.5, 0.5, 5.5)), (0.5, True, (0.5, 0.5, 6.0)), (math.inf, False, (0.0, 0.75, 10.0)), (math.inf, True, (0.0, 0.75, 11.0))],
)  # fmt: skip
def test_a_cascade_pays_the_cheap_model_in_any_case(threshold, cascade, stands):
    """Both calls are counted: routed nowhere, it costs more than the strong model alone."""
    assert savings.standing(ROWS, threshold, cascade=cascade) == stands


def test_saving_can_be_negative():
    """A cascade that never trusts wastes its first call."""
    assert savings.saved(ROWS, math.inf, cascade=True).mean == pytest.approx(-0.1)


def test_kept_is_a_share_of_the_strong_models_quality_with_an_interval_around_it():
    """Paired by row."""
    found = savings.kept(ROWS, 0.5)

    assert found.mean == pytest.approx(2 / 3)
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize("rows", [25, 60, 400])
@pytest.mark.parametrize(("lost", "gained"), [(0.01, 0.0), (0.03, 0.0), (0.05, 0.02), (0.3, 0.05)])
def test_the_interval_of_what_is_kept_covers_the_truth_at_any_number_of_rows(rows, lost, gained):
    """In at least 95 of 100 draws; a bootstrap, which sees no loss where none was drawn, covers it in 1 of 5 there."""
    rng = np.random.default_rng(rows)
    truth, covered = (0.9 - lost + gained) / 0.9, 0
    for _ in range(100):
        strong, luck = (rng.random(rows) < 0.9).astype(float), rng.random(rows)
        given = np.where(strong == 1, luck >= lost / 0.9, luck < gained / 0.1).astype(float)
        low, high = guarantees.kept_ends(given, strong, confidence=0.95)
        covered += low <= truth <= high
    assert covered >= 95


def test_rows_on_which_nothing_was_lost_prove_little_if_they_are_few():
    """As wide as the rule of three, about; many rows make it narrow. Nothing routed is nothing lost, for sure."""
    ends = [guarantees.kept_ends(np.ones(n), np.ones(n), confidence=0.95) for n in (20, 100, 5000)]

    assert [low < 1 - 2.5 / n for (low, _), n in zip(ends, (20, 100, 5000), strict=True)] == [True] * 3
    assert ends[2][0] > 0.997
    assert savings.kept(ROWS, math.inf) == (1.0, 1.0, 1.0)


def test_qualities_that_are_nought_bound_nothing_from_above():
    """One row in ten has a quality at all."""
    strong = np.zeros(10)
    strong[0] = 1.0

    assert guarantees.kept_ends(np.ones(10), strong, confidence=0.95)[1] == math.inf


def test_a_saving_of_rows_that_all_went_one_way_reaches_to_what_they_do_not_exclude():
    """Clopper and Pearson's end, by scipy."""
    ones = np.ones(40)
    rows = savings.Rows(ones, ones, np.full(40, 0.9), ones, 10 * ones)
    unseen = scipy.stats.binomtest(0, 40).proportion_ci(0.95, method="exact").high
    found = savings.saved(rows, 0.5, cascade=False)

    assert (found.mean, found.high) == pytest.approx((0.9, 0.9))
    assert found.low == pytest.approx(0.9 * (1 - unseen))
    nowhere = savings.saved(rows, math.inf, cascade=False)
    assert (nowhere.low, nowhere.high) == pytest.approx((0.0, 0.0)), "that is no matter of luck"


def test_the_curve_begins_with_the_strong_model_and_ends_with_the_cheap_one():
    """Signal, coin and oracle meet at both ends; between them the oracle is never below."""
    made = savings.curve(ROWS, cascade=False, points=5)
    ends = [(made[f"{name}quality"][k], made[f"{name}cost"][k]) for k in (0, -1) for name in ("", "random_", "oracle_")]

    assert ends == [(0.75, 10.0)] * 3 + [(0.5, 1.0)] * 3
    assert made["oracle_quality"].tolist() == [0.75, 1.0, 1.0, 0.75, 0.5]
    assert made["quality"].tolist() == [0.75, 0.75, 0.5, 0.75, 0.5]


def test_an_unknown_price_saves_an_unknown_share():
    """NaN, not nought."""
    unpriced = ROWS._replace(strong_cost=np.full(4, np.nan))

    assert math.isnan(savings.saved(unpriced, 0.5, cascade=False).mean)


# ----------------------------------------------------------------------------------------------- the foretelling


def test_words_that_all_rows_share_weigh_nothing_and_telling_ones_do():
    """`0` is in all; `1` tells right, `2` wrong."""
    rows = [{0: 0.5, 1: 0.5}, {0: 0.5, 2: 0.5}] * 30
    found = logistic.fit(rows, np.array([1.0, 0.0] * 30))

    assert 0 not in found.weights
    assert found.weights[1] > 0.5 > -0.5 > found.weights[2]


def test_what_always_succeeds_is_foretold_to_succeed_but_not_for_sure():
    """Nothing to learn from."""
    found = logistic.fit([{0: 1.0}] * 9, np.ones(9))

    assert found.weights == {}
    assert 0.9 < 1 / (1 + math.exp(-found.bias)) < 1


def test_the_fit_is_the_one_of_a_plain_gradient_descent():
    """An independent solver, on one penalty."""
    rng = np.random.default_rng(0)
    matrix, wanted = rng.random((40, 3)), rng.random(40)
    from scipy.sparse import csr_array

    found = logistic._solved(csr_array(matrix), wanted, 1.0)
    point = np.zeros(4)
    for _ in range(20_000):
        off = 1 / (1 + np.exp(-(point[0] + matrix @ point[1:]))) - wanted
        point -= 0.02 * np.concatenate([[off.sum()], matrix.T @ off + point[1:]])

    assert found == pytest.approx(point, abs=1e-3)
