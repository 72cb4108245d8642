"""Errors of numbers, held against scikit-learn and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

import batchframe as bf
from batchframe.evaluation.metrics import mae, numeric, rmse, spearman
from tests.evaluation.metrics.observing import observed, repeated, value

NUMBERS = st.integers(-20, 20).map(lambda at: at / 4)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 3)), min_size=2, max_size=30)


@given(PAIRS)
def test_they_are_scikit_learns_and_scipys(pairs: list[tuple[float, float, int]]) -> None:
    """Also where each observation counts several times: ranks are those of the repeated data."""
    times = [n for *_, n in pairs]
    if sum(times) < 2:
        times = [1] * len(pairs)
    golds, answers = [gold for gold, *_ in pairs], [answer for _, answer, _ in pairs]
    drawn, said = repeated(golds, times), repeated(answers, times)
    assert value(mae(), golds, answers, times) == pytest.approx(sk.mean_absolute_error(drawn, said), abs=1e-9)
    assert value(rmse(), golds, answers, times) == pytest.approx(sk.root_mean_squared_error(drawn, said), abs=1e-9)
    if len(set(drawn)) > 1 and len(set(said)) > 1:
        expected = float(stats.spearmanr(drawn, said).statistic)
        assert value(spearman(), golds, answers, times) == pytest.approx(expected, abs=1e-9)
    else:
        assert math.isnan(value(spearman(), golds, answers, times))


@pytest.mark.parametrize(
    ("said", "number"),
    [("3", 3), (" 1,234.5 ", 1234.5), ("−2", -2), ("1e3", 1000), (7, 7), (np.float32(0.5), 0.5)],  # noqa: RUF001
)
def test_a_text_that_is_a_number_as_a_whole_is_one(said: object, number: float) -> None:
    """What models write for numbers."""
    assert numeric.number(said) == number


@pytest.mark.parametrize("said", ["about 3", "3 apples", "12%", "", "nan", "inf", "1,23", True, None, [3]])
def test_anything_else_is_none(said: object) -> None:
    """A guess at what was meant would be one at the model's error."""
    assert math.isnan(numeric.number(said))


def test_failed_rows_have_no_error() -> None:
    """They fall out of the count, which is shown."""
    scored = mae().score(observed([1, 2, 3, None], [2, None, "three", 4]))
    assert scored.counted.tolist() == [True, False, False, False]
    assert float(scored.value(np.ones(4))) == 1


def test_a_gold_that_is_no_number_is_an_error_that_names_it() -> None:
    """Said before anything is paid for."""
    with pytest.raises(bf.InputError, match=r"The gold 'high' \(observation 1"):
        mae().score(observed([1, "high"], [None, None]))
