"""Holm's adjustment, against statsmodels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from batchframe.evaluation.statistics.adjusting import holm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_it_is_statsmodels(p_values: list[float]) -> None:
    """Ties and ones included."""
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], rtol=0, atol=1e-12)


def test_what_was_not_tested_does_not_count() -> None:
    """0.01 is one of two tests, not of three; and the second is no smaller than the first."""
    np.testing.assert_allclose(holm([0.015, np.nan, 0.01]), [0.02, np.nan, 0.02], rtol=1e-12)
    assert holm([]).tolist() == []
