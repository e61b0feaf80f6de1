"""κ and α: against published figures, statsmodels, and themselves by another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from prsm_lab import errors
from prsm_lab.statistics import agreement

N = math.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
).T  # fmt: skip
"""Four observers, twelve units, from Krippendorff (2011), section C."""


def pairwise(ratings: np.ndarray, level: str) -> float:
    """α as it is defined: gaps of all pairs of values within units, over those of all pairs there are."""
    units = [unit[~np.isnan(unit)] for unit in ratings]
    units = [unit for unit in units if len(unit) > 1]
    every = np.concatenate(units)

    def gap(one: float, other: float) -> float:
        if level == "nominal":
            return float(one != other)
        if level == "interval":
            return (one - other) ** 2
        low, high = min(one, other), max(one, other)
        between = ((every >= low) & (every <= high)).sum() - ((every == low).sum() + (every == high).sum()) / 2
        return float(between if low != high else 0) ** 2

    seen = sum(gap(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)) / len(every)
    expected = sum(gap(a, b) for a, b in itertools.permutations(every, 2)) / (len(every) * (len(every) - 1))
    return 1 - seen / expected


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_its_author(level, alpha):
    """Krippendorff (2011): four observers, gaps in what they saw."""
    assert agreement.krippendorff(KRIPPENDORFF, level).mean == pytest.approx(alpha, abs=5e-4)


@given(
    st.lists(st.lists(st.sampled_from([1.0, 2.0, 3.0, 7.0, N]), min_size=3, max_size=3), min_size=2, max_size=12),
    st.sampled_from(agreement.LEVELS),
)
def test_alpha_is_what_its_definition_gives(ratings, level):
    """By all pairs of values, one by one."""
    given_ = np.array(ratings)
    kept = given_[(~np.isnan(given_)).sum(axis=1) > 1]
    found = agreement.krippendorff(given_, level, draws=1)

    if not kept.size or len(np.unique(kept[~np.isnan(kept)])) < 2:
        assert found is None
    else:
        assert found.mean == pytest.approx(pairwise(given_, level))


@pytest.mark.parametrize(("weights", "theirs"), [(None, None), ("linear", "linear"), ("quadratic", "quadratic")])
def test_kappa_and_its_interval_are_statsmodels(weights, theirs):
    """The interval is a bootstrap's, so it lies near theirs."""
    rng = np.random.default_rng(0)
    one = rng.integers(1, 6, 400)
    other = np.clip(one + rng.integers(-1, 2, 400), 1, 5)
    table = np.zeros((5, 5))
    np.add.at(table, (one - 1, other - 1), 1)
    expected = cohens_kappa(table, wt=theirs)

    found = agreement.cohen(np.column_stack([one, other]), weights)

    assert found.mean == pytest.approx(expected.kappa)
    assert found.low == pytest.approx(expected.kappa_low, abs=0.01)
    assert found.high == pytest.approx(expected.kappa_upp, abs=0.01)


def test_the_interval_of_alpha_covers_it_as_often_as_it_says():
    """200 seeded samples of raters whose α is known: two equal halves, one of them noise, is 0.5."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        true = rng.normal(size=60)
        found = agreement.krippendorff(np.column_stack([true + rng.normal(size=60), true + rng.normal(size=60)]), "interval", draws=400)  # fmt: skip
        covered += found.low <= 0.5 <= found.high
    assert 180 <= covered <= 198


def test_units_of_one_cluster_are_not_so_many():
    """The same twelve units four times over are no surer; taken as independent, they would seem so."""
    rng = np.random.default_rng(1)
    once = np.column_stack([rng.integers(1, 4, 60), rng.integers(1, 4, 60)]).astype(float)
    once[:40, 1] = once[:40, 0]
    rows = np.tile(np.arange(60), 4)

    for count in (lambda r, **o: agreement.krippendorff(r, "nominal", **o), agreement.cohen):
        single, four, apart = count(once), count(np.tile(once, (4, 1)), clusters=rows), count(np.tile(once, (4, 1)))
        widths = [one.high - one.low for one in (single, four, apart)]
        assert widths[1] == pytest.approx(widths[0], rel=0.15)
        assert widths[2] == pytest.approx(widths[0] / 2, rel=0.15)


def test_clusters_of_one_unit_each_are_drawn_as_units():
    """Equal rows are packed where nothing depends: the figures hardly differ."""
    packed = agreement.krippendorff(KRIPPENDORFF, "ordinal", draws=20_000)
    each = agreement.krippendorff(KRIPPENDORFF, "ordinal", draws=20_000, clusters=np.arange(12))

    assert each.mean == packed.mean
    assert (each.low, each.high) == pytest.approx((packed.low, packed.high), abs=0.03)


@pytest.mark.parametrize("count", [agreement.krippendorff, agreement.cohen])
def test_what_tells_nothing_is_none(count):
    """Nobody rated twice, all labels equal; one unit has no interval; equal seeds draw equally."""
    assert count([[1, N], [N, 2]]) is None
    assert count(np.empty((0, 2))) is None
    assert count([[1, 1], [1, 1]]) is None
    assert math.isnan(count([[1, 2]]).low)
    assert count([[1, 2], [1, 1], [2, 2]], seed=3) == count([[1, 2], [1, 1], [2, 2]], seed=3)


def test_chance_is_nought_and_contradiction_is_less():
    """Independent labels; labels turned round."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (4_000, 2))

    assert agreement.cohen(labels).mean == pytest.approx(0, abs=0.05)
    assert agreement.cohen([[0, 1], [1, 0]] * 5).mean == -1


def test_unknown_levels_and_weights_are_named():
    """With those that are known."""
    with pytest.raises(errors.InvalidRequestError, match="level='ratio' is none of 'nominal'"):
        agreement.krippendorff([[1, 1]], "ratio")
    with pytest.raises(errors.InvalidRequestError, match="weights='cubic'"):
        agreement.cohen([[1, 1]], "cubic")
