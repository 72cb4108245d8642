"""Batches that fail validation, from the frame to the ledger."""

from collections.abc import Callable

import pandas as pd
import pytest

import batchframe as bf
from batchframe.core.poison import MOST_PARTS
from batchframe.simulator import Simulator
from tests.judging import paid_once

NAMELESS = {"code": "invalid_request", "line": None, "message": "Something in it is wrong.", "param": None}


def right(frame: pd.DataFrame) -> int:
    return int((frame["response"] == frame["text"]).sum())


def test_only_the_named_lines_of_an_invalid_file_fail(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """A batch that fails validation because of two lines loses only those."""
    errors = [{"code": "invalid_request", "line": line, "message": "Not this.", "param": "body"} for line in (3, 11)]
    simulator.faults.batch(validation_errors=errors)
    frame = twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    assert right(frame) == 18
    assert frame["response__error"].dropna().to_dict() == dict.fromkeys([2, 10], "invalid_request: Not this.")
    assert paid_once(simulator, 18)


def test_a_row_nobody_names_is_found_by_halving(session: bf.Session, simulator: Simulator) -> None:
    """One row of 200 fails the whole file and is not named: 199 are answered and paid once, one has the reason."""
    simulator.faults.batch(times=None, validation_errors=[NAMELESS], if_contains="row number 77!")
    frame = pd.DataFrame({"text": [f"row number {n}!" for n in range(200)]})
    filled = frame.llm.batch("{text}", model="m").wait(60, progress=False)
    assert right(filled) == 199
    assert filled["response__error"].dropna().to_dict() == {77: "invalid_request: Something in it is wrong."}
    assert paid_once(simulator, 199)
    assert len(simulator.batches) <= 2 + 2 * 8  # the whole twice, then two halves a level


@pytest.mark.parametrize("line", [None, 21])
def test_a_reason_that_lies_in_no_row_ends_after_a_bounded_number_of_batches(
    connect: Callable[..., bf.Session], simulator: Simulator, line: int | None
) -> None:
    """Not thousands of batches for a hundred rows; and nothing was paid, so asking again later is free."""
    connect(poll_seconds=0.01, poll_max_seconds=0.05)
    simulator.faults.batch(times=None, validation_errors=[{**NAMELESS, "line": line and 10**6}])
    frame = pd.DataFrame({"text": [f"row number {n}" for n in range(100)]})
    job = frame.llm.batch("{text}", model="m")
    filled = job.wait(60, progress=False)
    assert set(filled["response__status"]) == {"failed"}
    assert len(simulator.batches) == MOST_PARTS + 2, "the whole twice, and its parts"
    assert simulator.ledger.requests == 0
    simulator.faults.reset()
    assert right(job.retry().wait(30, progress=False)) == 100


def test_a_model_that_does_not_exist_ends_the_job_with_one_clear_error(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Not a failure in each of twenty rows, nor a batch tried for each part of the job; and nothing is paid."""
    connect(batch_max_requests=5)
    simulator.settings.models = frozenset({"gpt-5-mini"})
    job = twenty.llm.batch("{text}", model="gpt-nonsense")
    with pytest.raises(bf.JobEndedError, match=r"model_not_found.*'gpt-nonsense' is not supported"):
        job.wait(30, progress=False)
    assert job.status == "failed"
    assert job.progress().failed == 20
    assert job.frame()["response__error"].str.contains("gpt-nonsense").all()
    assert len(simulator.batches) <= 4
    assert simulator.ledger.requests == 0


def test_answers_from_before_the_model_went_away_are_kept(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """They were paid for; and the job goes on when the model is back."""
    connect(batch_max_requests=10)
    simulator.faults.batch(skip=1, validation_errors=[{**NAMELESS, "code": "model_not_found", "line": 1}])
    job = twenty.llm.batch("{text}", model="m")
    with pytest.raises(bf.JobEndedError, match="10 requests had an answer before"):
        job.wait(30, progress=False)
    assert right(job.frame()) == 10
    assert right(job.retry().wait(30, progress=False)) == 20
    assert paid_once(simulator, 20)
