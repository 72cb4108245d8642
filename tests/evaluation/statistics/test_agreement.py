"""Agreement across samples, against Fleiss' own table and statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from batchframe.evaluation.statistics.agreement import agreement

FLEISS = """
    444444 222555 233335 555555 222444 113333 333355 113334 114444 555555
    144444 124444 222333 144444 224445 333335 111455 111112 224444 133555
    555555 244444 224555 114444 144445 222224 111155 224444 133333 555555
"""
"""Fleiss 1971, table 1: diagnoses of 30 patients by six psychiatrists each."""

WIKIPEDIA = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def test_kappa_is_fleiss_own() -> None:
    """0.430 in the paper, p. 380; five of the thirty patients had one diagnosis from all."""
    found = agreement(np.array([list(row) for row in FLEISS.split()], dtype=object))
    assert round(found.kappa, 3) == 0.430
    assert (found.rows, found.samples, found.unanimous) == (30, 6, pytest.approx(5 / 30))


def test_kappa_is_the_well_known_example() -> None:
    """0.210 in the encyclopaedia."""
    labels = np.array([np.repeat(list("abcde"), counts) for counts in WIKIPEDIA], dtype=object)
    assert round(agreement(labels).kappa, 3) == 0.210


LABELLED = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(st.sampled_from("abc"), min_size=k, max_size=k), min_size=1, max_size=8)
)


@given(LABELLED)
def test_kappa_is_statsmodels(rows: list[list[str]]) -> None:
    """For all tables where there is one."""
    labels = np.array(rows, dtype=object)
    found = agreement(labels)
    assert found.unanimous == np.mean([len(set(row)) == 1 for row in rows])
    if len(np.unique(labels.astype(str))) == 1:
        assert np.isnan(found.kappa)
    else:
        expected = fleiss_kappa(aggregate_raters(np.vectorize("abc".index)(labels))[0])
        assert found.kappa == pytest.approx(expected, abs=1e-12)


def test_a_failed_sample_agrees_with_no_answer() -> None:
    """A prompt that answers now and then is not stable; a row that never got an answer says nothing about it."""
    failing = np.array([["a", None], ["a", "a"], [None, None], ["b", "b"]], dtype=object)
    named = np.array([["a", "failed"], ["a", "a"], ["b", "b"]], dtype=object)
    assert agreement(failing) == agreement(named)
    assert agreement(failing).unanimous == pytest.approx(2 / 3)


def test_labels_may_be_of_any_kind() -> None:
    """Numbers beside text, as answers are."""
    found = agreement(np.array([[1, 1], ["1", "1"], [True, "x"]], dtype=object))
    assert found.unanimous == pytest.approx(2 / 3)


def test_without_rows_or_with_one_sample_there_is_no_kappa() -> None:
    """Nothing to agree with."""
    nothing = agreement(np.empty((0, 3), dtype=object))
    assert (nothing.rows, np.isnan(nothing.unanimous), np.isnan(nothing.kappa)) == (0, True, True)
    single = agreement(np.array([["a"], ["b"]], dtype=object))
    assert (single.unanimous, np.isnan(single.kappa)) == (1.0, True)
