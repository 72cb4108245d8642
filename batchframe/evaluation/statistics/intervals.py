"""Intervals that have a formula: of a proportion, of a mean of grouped observations, of two paired proportions.

Where there is no formula, the bootstrap (`bootstrap`) stands in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from batchframe.evaluation.scored import Floats
from batchframe.evaluation.statistics.grouping import Codes


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        level: how often such intervals hold the true value, between 0 and 1.
        method: how it was made, in words.
    """

    low: float
    high: float
    level: float
    method: str


def two_sided(level: float) -> float:
    """How many standard errors lie to each side at this level, by the normal distribution: 1.96 at 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """The interval of a proportion by Wilson's score method: Wilson 1927, JASA 22, p. 209-212.

    It stays within 0 and 1 and is no point where all or none succeed. Brown, Cai & DasGupta 2001 (Statistical Science
    16, p. 101-133) recommend it for few observations as well as for many.

    Args:
        n: above 0; of observations that depend on each other the number of independent ones they are worth.
    """
    z2 = two_sided(level) ** 2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half), level, "Wilson score")


def clustered_error(values: Floats, groups: Codes) -> float:
    """The standard error of a mean whose observations depend on each other within groups, and only there.

    The sandwich of Liang & Zeger 1986 (Biometrika 73, p. 13-22) for a model that is a mean only, times G / (G - 1) for
    the number of groups: Cameron & Miller 2015, Journal of Human Resources 50, equations 11 and 12.

    Args:
        values: shape (n,), no nan.
        groups: the number of each one's group, from 0 without gaps; at least two groups.
    """
    sums = np.bincount(groups, weights=values - values.mean())
    return math.sqrt(len(sums) / (len(sums) - 1) * float(sums @ sums)) / len(values)


def clustered_mean(values: Floats, groups: Codes, level: float = 0.95) -> Interval | None:
    """The interval of a mean whose observations come in groups; None with fewer than two groups.

    The standard error is `clustered_error`'s, the quantile that of a t with one degree of freedom less than there are
    groups (Cameron & Miller 2015, section VI.D). With groups of one it is the usual t interval.

    Args:
        values: shape (n,), no nan.
        groups: the number of each one's group, from 0 without gaps.
    """
    from scipy.special import stdtrit

    n_groups = len(np.unique(groups))
    if n_groups < 2:
        return None
    mean = float(values.mean())
    half = float(stdtrit(n_groups - 1, (1 + level) / 2)) * clustered_error(values, groups)
    return Interval(mean - half, mean + half, level, "cluster-robust t")


def paired_proportions(gained: int, lost: int, n: int, level: float = 0.95) -> Interval:
    """The interval of the difference between two proportions of the same n observations, second minus first.

    The adjusted Wald interval of Bonett & Price 2012 (Journal of Educational and Behavioral Statistics 37, p. 479-488):
    with p = (x + 1) / (n + 2) for each kind of discordant pair, the difference of the p with the standard error
    sqrt((p_gained + p_lost - (p_gained - p_lost)²) / (n + 2)). Its centre is a little nearer to 0 than the difference
    seen. Fagerland, Lydersen & Laake 2014 (Statistics in Medicine 33, p. 2850-2875) recommend it among 9 others.

    Args:
        gained: pairs of which only the second succeeds.
        lost: pairs of which only the first succeeds.
        n: all pairs.
    """
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = two_sided(level) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return Interval(max(-1.0, up - down - half), min(1.0, up - down + half), level, "Bonett-Price")
