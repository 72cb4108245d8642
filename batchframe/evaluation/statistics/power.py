"""Power: how many rows it takes to show a difference."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from batchframe.evaluation.scored import Floats
from batchframe.evaluation.statistics.grouping import Codes
from batchframe.evaluation.statistics.intervals import clustered_error, two_sided


def rows_for_proportions(
    difference: float, discordant: float, *, level: float = 0.95, power: float = 0.8, design_effect: float = 1.0
) -> int:
    """How many pairs a two-sided McNemar test needs to show a difference between two paired proportions.

    Connor 1987 (Biometrics 43, p. 207-211), after Miettinen 1968: (z_level sqrt(ψ) + z_power sqrt(ψ - δ²))² / δ², for
    a difference δ with a share ψ of the pairs differing.

    Args:
        difference: not 0, of either sign.
        discordant: the share of the pairs that differ. No less than the difference, which is put in its place else.
        power: how likely the difference is to be shown.
        design_effect: how many times as many it takes because pairs depend on each other, see `design_effect`.
    """
    share = max(discordant, abs(difference))
    under_none = two_sided(level) * math.sqrt(share)
    under_this = NormalDist().inv_cdf(power) * math.sqrt(share - difference**2)
    return math.ceil(design_effect * ((under_none + under_this) / difference) ** 2)


def rows_for_means(
    difference: float, sd: float, *, level: float = 0.95, power: float = 0.8, design_effect: float = 1.0
) -> int:
    """How many observations a two-sided test needs to show a mean difference: ((z_level + z_power) sd / difference)².

    The normal approximation (Cohen 1988, Statistical Power Analysis, section 2.4); under 30 rows a t test takes about
    two more.

    Args:
        difference: not 0, of either sign.
        sd: the standard deviation of the differences between the two of a pair.
        power: how likely the difference is to be shown.
        design_effect: how many times as many it takes because pairs depend on each other, see `design_effect`.
    """
    errors = two_sided(level) + NormalDist().inv_cdf(power)
    return math.ceil(design_effect * (errors * sd / difference) ** 2)


def design_effect(values: Floats, groups: Codes) -> float:
    """How many times as many observations a mean takes because they come in groups: Kish 1965, Survey Sampling, 8.2.

    The variance of the mean with the groups over the one without. No less than 1: where few groups happen to differ
    less than chance would have it, that is no promise for the rows to come.

    Args:
        values: shape (n,), no nan.
        groups: the number of each one's group, from 0 without gaps, shape (n,).
    """
    spread = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    if not spread or len(np.unique(groups)) < 2:
        return 1.0
    return max(1.0, clustered_error(values, groups) ** 2 * len(values) / spread)
