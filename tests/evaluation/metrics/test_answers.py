"""Answers that are right or not: labels, fields, patterns, functions; and how all of them are named."""

import enum
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import batchframe as bf
from batchframe.evaluation.metrics import accuracy, contains, exact, json_fields, matches, named, scored
from batchframe.evaluation.metrics.json_fields import field_accuracy
from tests.evaluation.metrics.observing import observed, value


class Team(enum.Enum):
    SALES = "sales"


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("sales", " sales\n", 1), ("sales", "Sales", 0), (3, "3", 1), (3.0, 3, 1), (np.int64(3), 3.0, 1),
        (True, "True", 1), (Team.SALES, "sales", 1), ([1, 2], "[1, 2]", 1), ({"b": 1, "a": 2}, {"a": 2, "b": 1}, 1),
        ("x", None, 0),
    ],
)  # fmt: skip
def test_an_answer_is_right_when_it_is_the_gold(gold: Any, answer: Any, right: float) -> None:
    """Whatever type either has; outer white space aside."""
    assert value(exact(), [gold], [answer]) == right


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("Sales", "sales."), ("Straße", "STRASSE"), ("ﬁle", "file"), ("a  b", "“A b”"), ("3.5", "(3.5)")],
)
def test_what_people_overlook_is_overlooked_when_asked(gold: str, answer: str) -> None:
    """Case, forms of characters, white space and punctuation around."""
    assert value(exact(normalise=True), [gold], [answer]) == 1
    assert value(exact(normalise=True), ["3.5"], ["35"]) == 0


def test_json_is_right_field_by_field() -> None:
    """Nested fields by themselves, lists as a whole, what is missing as null, and no JSON as nothing."""
    gold = {"name": "Ada", "born": {"year": 1815, "place": "London"}, "tags": ["a", "b"], "died": None}
    said = '{"name": "Ada", "born": {"year": "1815", "place": "Paris"}, "tags": ["b", "a"], "more": 1}'
    assert value(json_fields(), [gold], [said]) == pytest.approx(3 / 5)
    assert value(json_fields(), [gold, gold], ["no JSON", None]) == 0
    assert field_accuracy([gold], [said])["accuracy"].to_dict() == {
        "name": 1, "born.year": 1, "born.place": 0, "tags": 0, "died": 1,
    }  # fmt: skip
    assert value(json_fields(), [{1: "x", 2: {3: "y"}}], ['{"1": "x", "2": {"3": "y"}}']) == 1
    with pytest.raises(bf.InputError, match="is no JSON object"):
        value(json_fields(), ["text"], [said])


def test_patterns_are_found_in_answers() -> None:
    """A regular expression, a text, a column's value, or the gold."""
    assert value(matches(r"^\d+$"), [None] * 3, ["12", "x12", None]) == pytest.approx(1 / 3)
    assert value(contains("Sales"), [None] * 2, ["the sales team", None]) == 0.5
    assert value(contains("Sales", ignore_case=False), [None], ["the sales team"]) == 0
    assert value(contains(), ["ada", None], ["Ada Lovelace", "x"]) == 1
    rows: list[Mapping[Any, Any]] = [{"name": "Ada"}, {"name": None}]
    score = contains(column="name").score(observed([None, None], ["ada!", "x"], rows))
    assert float(score.value(np.ones(2))) == 1
    with pytest.raises(bf.InputError, match="is no regular expression"):
        matches("(")
    with pytest.raises(bf.InputError, match="There is no column 'team'"):
        contains(column="team").score(observed([None], ["x"], [{"name": "Ada"}]))


def test_a_function_scores_answers_and_its_row() -> None:
    """None does not count, failed rows are never passed to it, and what it raises names the row."""

    def length(answer: str, row: Mapping[str, Any]) -> float | None:
        return None if row["skip"] else len(answer) / row["most"]

    rows: list[Mapping[Any, Any]] = [{"skip": False, "most": 4}, {"skip": True, "most": 1}, {"skip": False, "most": 2}]
    scored_ = scored(length).score(observed([None] * 3, ["ab", "cd", None], rows))
    assert scored_.counted.tolist() == [True, False, True]
    assert float(scored_.value(np.ones(3))) == 0.25
    with pytest.raises(bf.InputError, match=r"length raised ZeroDivisionError.*to the row"):
        scored(length).score(observed([None], ["ab"], [{"skip": False, "most": 0}]))
    errors = scored(length, name="errors", better="lower", share=False)
    assert not errors.score(observed([None], [None], rows[:1])).counted.any()
    with pytest.raises(bf.InputError, match="needs a name"):
        scored(lambda answer, row: 1.0)
    with pytest.raises(bf.InputError, match="is a share"):
        scored(lambda answer, row: 2.0, name="two", share=True).score(observed([None], ["x"], [{}]))


def test_every_name_makes_a_metric_that_can_be_kept() -> None:
    """What is stored with an evaluation makes the same metric again."""
    for name in [*named._FACTORIES, *named._NORMALISED]:
        if name in ("matches", "contains"):
            continue
        (metric,) = named.resolve(name)
        assert metric.name == name
        assert named.from_spec(metric.spec).name == name
    for metric in (matches("a+"), contains("x", ignore_case=False), contains(column="name"), contains()):
        assert named.from_spec(metric.spec) == metric


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("acuracy", "Did you mean 'accuracy'"), ({"metric": "matches"}, "needs pattern"), (7, "is no metric"),
        ({"metric": "accuracy", "case": True}, "has no option 'case'"), ({"function": "mine"}, "is a Python function"),
        ({"metric": "exact_normalised", "normalise": True}, "has no option 'normalise'"),
        ({"metric": "contains", "column": ["a"]}, "name of one column"),
        (accuracy, "makes a metric: call it"), ([], "is empty"), (["accuracy", "accuracy"], "Two metrics"),
    ],
)  # fmt: skip
def test_what_is_no_metric_is_refused(wrong: Any, said: str) -> None:
    """With what to write instead."""
    with pytest.raises(bf.InputError, match=said):
        named.resolve(wrong)


def test_nothing_that_counts_has_no_value() -> None:
    """A share of nothing is not zero."""
    assert math.isnan(value(accuracy(), [None], ["x"]))
