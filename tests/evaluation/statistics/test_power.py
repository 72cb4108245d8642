"""Power, against published examples, statsmodels, and the tests' own power by enumeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import NormalIndPower, normal_sample_size_one_tail

from batchframe.evaluation.statistics.intervals import clustered_mean
from batchframe.evaluation.statistics.power import (
    design_effect,
    rows_for_means,
    rows_for_proportions,
)


@pytest.mark.parametrize(
    ("difference", "discordant", "pairs"),
    [
        (0.40, 0.50, 23),  # powerandsamplesize.com, McNemar two-sided, after Connor 1987, p. 209
        (0.15, 0.45, 155),  # clinicaltrials-tools, the same formula
    ],
)
def test_pairs_for_proportions_are_the_published_examples(difference: float, discordant: float, pairs: int) -> None:
    """At 95 % and a power of 80 %; the direction does not matter."""
    assert rows_for_proportions(difference, discordant) == pairs
    assert rows_for_proportions(-difference, discordant) == pairs


@given(st.floats(0.01, 0.5), st.floats(0.01, 1), st.floats(0.8, 0.99), st.floats(0.5, 0.95))
def test_pairs_for_proportions_are_statsmodels(difference: float, more: float, level: float, power: float) -> None:
    """Connor's formula is the normal one with the two spreads of the discordant pairs."""
    discordant = difference + more * (1 - difference)
    expected = normal_sample_size_one_tail(
        difference, power, (1 - level) / 2, np.sqrt(discordant), np.sqrt(discordant - difference**2)
    )
    assert rows_for_proportions(difference, discordant, level=level, power=power) == pytest.approx(expected, abs=1.001)


@pytest.mark.parametrize(("difference", "discordant"), [(0.1, 0.25), (0.08, 0.3), (0.15, 0.2)])
def test_so_many_pairs_give_the_exact_test_about_the_power_asked_for(difference: float, discordant: float) -> None:
    """McNemar's exact test by enumeration of all tables; being exact it has a little less, 3 to 5 points here."""
    n = rows_for_proportions(difference, discordant)
    up = (discordant + difference) / 2 / discordant
    power = 0.0
    for differing in range(n + 1):
        gained = np.arange(differing + 1)
        rejected = 2 * stats.binom.cdf(np.minimum(gained, differing - gained), differing, 0.5) < 0.05
        chance = stats.binom.pmf(gained, differing, up)[rejected].sum()
        power += stats.binom.pmf(differing, n, discordant) * chance
    assert 0.74 < power < 0.81


def test_no_fewer_pairs_can_differ_than_make_the_difference() -> None:
    """Where hardly any pair has differed, a difference of ten points still takes one pair in ten."""
    assert rows_for_proportions(0.1, 0.001) == rows_for_proportions(0.1, 0.1)


@given(st.floats(0.01, 5), st.floats(0.1, 3), st.floats(0.8, 0.99), st.floats(0.5, 0.95))
def test_rows_for_means_are_statsmodels(difference: float, sd: float, level: float, power: float) -> None:
    """The same formula, in theirs the mirror image's chance left out."""
    expected = normal_sample_size_one_tail(difference, power, (1 - level) / 2, sd)
    found = rows_for_means(difference, sd, level=level, power=power)
    assert expected - 1e-6 * expected <= found <= expected * (1 + 1e-6) + 1
    assert rows_for_means(-difference, sd, level=level, power=power) == found


def test_rows_for_means_are_those_of_a_z_test() -> None:
    """statsmodels' power class, one sample: an effect of 0.2 takes 197 rows."""
    expected = NormalIndPower(ddof=0).solve_power(effect_size=0.2, alpha=0.05, power=0.8, ratio=0)
    assert rows_for_means(0.2, 1.0) == np.ceil(expected) == 197


def test_the_design_effect_is_that_of_the_intervals() -> None:
    """Rows that come in threes of the same value count once each: three times as many are needed."""
    values = np.repeat(np.random.default_rng(0).normal(size=200), 3)
    groups = np.repeat(np.arange(200), 3)
    assert design_effect(values, groups) == pytest.approx(3, abs=0.02)
    clustered, single = clustered_mean(values, groups), clustered_mean(values, np.arange(600))
    assert clustered is not None
    assert single is not None
    t = stats.t.ppf(0.975, 199) / stats.t.ppf(0.975, 599)
    ratio = (clustered.high - clustered.low) / (single.high - single.low) / t
    assert design_effect(values, groups) == pytest.approx(ratio**2, rel=1e-9)
    assert rows_for_means(0.2, 1.0, design_effect=3) == pytest.approx(3 * 196.2, abs=1)


def test_the_design_effect_is_at_least_one() -> None:
    """Groups that balance out by chance, one group only, and no spread promise nothing."""
    assert design_effect(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 0, 1, 1])) == 1
    assert design_effect(np.array([0.0, 1.0]), np.array([0, 0])) == 1
    assert design_effect(np.ones(4), np.array([0, 0, 1, 1])) == 1
    assert design_effect(np.ones(1), np.array([0])) == 1
