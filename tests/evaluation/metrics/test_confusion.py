"""Figures of classification, held against scikit-learn."""

import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from batchframe.evaluation.metrics import balanced_accuracy, confusion, kappa, macro_f1, micro_f1, weighted_f1
from tests.evaluation.metrics.observing import observed, repeated, value

GOLDS = st.sampled_from(["a", "b", "c", "d"])
ANSWERS = st.sampled_from(["a", "b", "c", "d", "other", None])
PAIRS = st.lists(st.tuples(GOLDS, ANSWERS, st.integers(0, 3)), min_size=1, max_size=40)


def _f1(golds: list[str], answers: list[str], average: str) -> float:
    return float(sk.f1_score(golds, answers, average=average, labels=sorted(set(golds)), zero_division=0))


@given(PAIRS)
def test_they_are_scikit_learns(pairs: list[tuple[str, str | None, int]]) -> None:
    """F1 over the classes of the gold, balanced accuracy, and kappa in which a failed row is a label of its own; also
    where each observation counts several times, as in a resample."""
    times = [n for *_, n in pairs]
    if not any(times):
        times = [1] * len(pairs)
    golds, answers = [gold for gold, *_ in pairs], [answer for _, answer, _ in pairs]
    drawn = repeated(golds, times)
    said = ["(failed)" if answer is None else answer for answer in repeated(answers, times)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class was answered that no gold has is the case in question
        expected = {
            "macro": (macro_f1(), _f1(drawn, said, "macro")),
            "micro": (micro_f1(), _f1(drawn, said, "micro")),
            "weighted": (weighted_f1(), _f1(drawn, said, "weighted")),
            "balanced": (balanced_accuracy(), float(sk.balanced_accuracy_score(drawn, said))),
        }
        agreement = float(sk.cohen_kappa_score(drawn, said)) if len({*drawn, *said}) > 1 else math.nan
    for metric, figure in expected.values():
        assert value(metric, golds, answers, times) == pytest.approx(figure, abs=1e-12)
    assert value(kappa(), golds, answers, times) == pytest.approx(agreement, abs=1e-12, nan_ok=True)


def test_cohens_example() -> None:
    """Cohen 1960, table 1: two judges, 200 patients, kappa 0.492."""
    shares = [("1", "1", 44), ("1", "2", 5), ("1", "3", 1), ("2", "1", 7), ("2", "2", 20), ("2", "3", 3)]
    shares += [("3", "1", 9), ("3", "2", 5), ("3", "3", 6)]
    golds, answers, times = ([one[at] for one in shares] for at in range(3))
    assert value(kappa(), golds, answers, times) == pytest.approx(0.492, abs=5e-4)


def test_rows_without_gold_count_nowhere() -> None:
    """Whatever was answered to them."""
    assert value(macro_f1(), ["a", None, "b"], ["a", "a", "a"]) == value(macro_f1(), ["a", "b"], ["a", "a"])
    assert not macro_f1().score(observed([None], ["a"])).counted.any()


def test_labels_are_normalised_when_asked() -> None:
    """Case and a full stop are no error then."""
    assert value(macro_f1(normalise=True), ["Yes", "no"], ["yes.", "**No**"]) == 1
    assert value(macro_f1(), ["Yes", "no"], ["yes.", "no"]) < 1


def test_the_matrix_counts_every_row_once() -> None:
    """Gold labels first, then answers no gold has, then failed rows; it is scikit-learn's where that has it."""
    golds, answers = ["b", "a", "a", "b", None], ["a", "a", None, "x", "a"]
    found = confusion.confusion_matrix(golds, answers)
    assert found.columns.tolist() == ["a", "b", "x", confusion.FAILED]
    assert found.loc["a"].tolist() == [1, 0, 0, 1]
    assert found.loc["b"].tolist() == [1, 0, 1, 0]
    plain = confusion.confusion_matrix(["a", "b", "b"], ["a", "a", "b"])
    expected = sk.confusion_matrix(["a", "b", "b"], ["a", "a", "b"])
    assert plain[["a", "b"]].to_numpy().tolist() == expected.tolist()


def test_without_rows_there_is_no_value() -> None:
    """Before the first answer an evaluation is looked at, too."""
    for metric in (macro_f1(), kappa(), balanced_accuracy()):
        assert math.isnan(value(metric, [], []))
