"""Batches that fail validation."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.poison import MOST_PARTS, Verdict, judge_invalid
from batchframe.core.results import NOT_RUN, Rules
from batchframe.model import Attempt, Stop

RULES = Rules("/v1/chat/completions", 5, lambda tries: 1.0)
UNNAMED = (None, "invalid_request", "no")


def judged(
    problems: list[tuple[int | None, str, str]], *, n: int = 4, tries: int = 0, n_parts: int = 0, rules: Rules = RULES
) -> Verdict:
    return judge_invalid([(Attempt(1, row, 1), tries) for row in range(n)], problems, rules, n_parts)


def test_only_the_named_lines_of_an_invalid_file_fail() -> None:
    """One bad row must not cost the other 49,999."""
    outcomes = judged([(2, "invalid_json_line", "bad"), (3, "invalid_url", "wrong")]).outcomes
    assert [outcome.code for outcome in outcomes] == [NOT_RUN, "invalid_json_line", "invalid_url", NOT_RUN]
    assert [outcome.final for outcome in outcomes] == [False, True, True, False]
    assert [outcome.tries for outcome in outcomes] == [0, 0, 0, 0]


@pytest.mark.parametrize("line", [None, 0, 5, -1, 10**9])
def test_a_failure_that_names_no_line_of_the_file_comes_once_more_as_it_was(line: int | None) -> None:
    """It may have been about the moment: a file that was not there yet. The try it uses up keeps it from looping."""
    verdict = judged([(line, "invalid_request", "no")])
    assert {(one.final, one.tries, one.code) for one in verdict.outcomes} == {(False, 1, "invalid_request")}
    assert not verdict.parts


def test_the_second_time_it_is_halved() -> None:
    """Sent whole for ever, one bad row costs all the others."""
    verdict = judged([UNNAMED], tries=1)
    assert [[attempt.row_no for attempt in part] for part in verdict.parts] == [[0, 1], [2, 3]]
    assert {attempt.attempt_no for part in verdict.parts for attempt in part} == {2}
    assert {(one.final, one.code, one.tries) for one in verdict.outcomes} == {(False, NOT_RUN, 1)}


def test_a_row_alone_is_to_blame() -> None:
    """The search ends with the provider's reason."""
    (outcome,) = judged([UNNAMED], n=1, tries=1, n_parts=6).outcomes
    assert (outcome.final, outcome.code, outcome.message) == (True, "invalid_request", "no")


def test_the_search_has_a_bound() -> None:
    """A reason that lies in no row would otherwise cost a batch for each."""
    verdict = judged([UNNAMED], tries=1, n_parts=MOST_PARTS)
    assert not verdict.parts
    assert all(one.final and "the search ended here" in (one.message or "") for one in verdict.outcomes)


def test_a_model_that_is_not_there_ends_the_job() -> None:
    """The provider may list only some of the lines; all have the same model."""
    verdict = judged([(1, "model_not_found", "no such model")])
    assert {(outcome.final, outcome.code) for outcome in verdict.outcomes} == {(True, "model_not_found")}
    assert verdict.end == Stop("model_not_found", "no such model")


def test_a_job_that_is_stopped_is_not_searched() -> None:
    """Nothing more is sent of it."""
    stopped = Rules("/v1/chat/completions", 5, lambda tries: 1.0, stop=Stop("cancelled", "m"))
    for problems in ([UNNAMED], [(2, "invalid_url", "wrong")]):
        verdict = judged(problems, tries=1, rules=stopped)
        assert not verdict.parts
        assert all(outcome.final for outcome in verdict.outcomes)


@given(st.integers(2, 3000), st.data())
def test_the_search_finds_exactly_the_guilty_rows(n: int, data: st.DataObject) -> None:
    """Whatever rows fail a batch, the others are answered, at about 2·log₂ n batches for each."""
    guilty = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=3))
    sent, n_parts = [[(Attempt(1, row, 1), 0) for row in range(n)]], 0
    failed: set[int] = set()
    answered: set[int] = set()
    while sent:
        rows = sent.pop(0)
        if not guilty & {attempt.row_no for attempt, _ in rows}:
            answered |= {attempt.row_no for attempt, _ in rows}
            continue
        verdict = judge_invalid(rows, [UNNAMED], RULES, n_parts)
        failed |= {outcome.attempt.row_no for outcome in verdict.outcomes if outcome.final}
        tries = {outcome.attempt.row_no: outcome.tries for outcome in verdict.outcomes}
        n_parts += len(verdict.parts)
        sent += [[(attempt, tries[attempt.row_no]) for attempt in part] for part in verdict.parts]
        if not verdict.parts and not verdict.outcomes[0].final:
            sent.append([(one.attempt, one.tries) for one in verdict.outcomes])  # once more as it was
    assert failed == guilty
    assert answered == set(range(n)) - guilty
    assert n_parts <= 2 * len(guilty) * math.ceil(math.log2(n))
