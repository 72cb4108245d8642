"""Adjusting: p values of several comparisons at once, so that finding anything where nothing is stays rare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batchframe.evaluation.scored import Floats


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """The adjusted p values of Holm 1979, Scandinavian Journal of Statistics 6, p. 65-70.

    The smallest times the number of tests, the next times one less, and so on; none below the one before it nor above
    1. Those that are under 1 - level may all be believed: the chance that any is wrong is at most 1 - level, whatever
    the tests have to do with each other.

    Args:
        p_values: nan where there was no test; it stays nan and does not count.
    """
    adjusted = np.array(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(adjusted))
    order = tested[np.argsort(adjusted[tested], kind="stable")]
    times = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(adjusted[order] * times))
    return adjusted
