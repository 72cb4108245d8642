"""Deadlines: what is unanswered by then is asked in real time or given up, once."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once


def rows(n: int) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"row number {number}" for number in range(n)]})


def right(frame: pd.DataFrame) -> int:
    return int((frame["response"] == frame["text"]).sum())


def test_what_a_batch_has_not_answered_by_the_deadline_is_asked_in_real_time(
    session: bf.Session, simulator: Simulator
) -> None:
    """Answers the batch made are kept; the rest is asked once its batch has stopped, so nothing is paid twice."""
    simulator.settings.duration = 6.0
    job = rows(60).llm.batch("{text}", model="m", deadline=dt.timedelta(seconds=2))
    simulator.wait_for(lambda seen: seen.ledger.requests >= 5)
    assert right(job.wait(60, progress=False)) == 60
    assert simulator.ledger.calls["batches.cancel"] >= 1
    assert 0 < simulator.ledger.calls["chat.completions"] < 60
    assert paid_once(simulator, 60)
    batches = job.batches()
    assert set(batches["mode"]) == {"batch", "realtime"}
    assert set(batches["state"]) == {"done"}


def test_rows_that_never_left_are_asked_in_real_time_too(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """A queue that is full for hours is what deadlines are for."""
    connect(batch_max_requests=10)
    simulator.settings.duration = 3600
    simulator.settings.enqueued_tokens = 300
    job = rows(50).llm.batch("{text}", model="m", deadline="1.5s")
    assert right(job.wait(60, progress=False)) == 50
    assert paid_once(simulator, 50)


def test_a_create_call_in_doubt_is_not_asked_in_real_time_before_it_is_clear(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """The batch that was made without our knowing would be paid for as well."""
    connect(poll_seconds=0.05, grace_seconds=3.0)
    simulator.settings.list_lag = 1.5
    simulator.settings.duration = 3600
    simulator.faults.on("batches.create", "reset_after")
    job = rows(20).llm.batch("{text}", model="m", deadline="0.5s")
    assert right(job.wait(60, progress=False)) == 20
    assert paid_once(simulator, 20)
    assert simulator.ledger.calls["batches.cancel"] >= 1


def test_giving_up_ends_the_rest_with_its_reason(session: bf.Session, simulator: Simulator) -> None:
    """No answer is worth the double price: nothing is asked in real time; asking again later is a batch again."""
    simulator.settings.duration = 6.0
    job = rows(60).llm.batch("{text}", model="m", deadline="1.5s", at_deadline="give_up")
    simulator.wait_for(lambda seen: seen.ledger.requests >= 2)
    frame = job.wait(60, progress=False)
    answered = right(frame)
    assert 2 <= answered < 60
    assert frame["response__error"].dropna().eq("deadline: There was no answer by the deadline.").sum() == 60 - answered
    assert simulator.ledger.calls["chat.completions"] == 0
    simulator.settings.duration = 0
    assert right(job.retry().wait(30, progress=False)) == 60
    assert simulator.ledger.calls["chat.completions"] == 0
    assert paid_once(simulator, 60)


def test_a_job_that_is_done_in_time_knows_no_deadline(session: bf.Session, simulator: Simulator) -> None:
    """The discount is kept for whoever can wait."""
    job = rows(20).llm.batch("{text}", model="m", deadline="1h")
    assert right(job.wait(30, progress=False)) == 20
    assert simulator.ledger.calls["chat.completions"] == 0


def test_real_time_costs_twice_and_is_told_so(session: bf.Session, simulator: Simulator) -> None:
    """A bill at the batch rate would be half of what the provider asks."""
    simulator.settings.duration = 3600
    job = rows(10).llm.batch("{text}", model="gpt-5-mini", deadline="0.5s")
    job.wait(30, progress=False)
    ledger = simulator.ledger
    cost = (ledger.input_tokens * 0.25 + ledger.output_tokens * 2) / 10**6
    assert float(job.usage().cost_usd or 0) == pytest.approx(cost)


TWO_CENTS: dict[str, Any] = {"model": "m", "max_completion_tokens": 1000, "price": (0, 10)}
"""An answer is expected to cost one cent in a batch and two in real time; real ones cost far less."""


def test_a_budget_holds_in_real_time(session: bf.Session, simulator: Simulator) -> None:
    """Not all can be under way at once; as the bills come in, the rest follows."""
    simulator.settings.duration = 3600
    job = rows(40).llm.batch("{text}", deadline="1s", budget_usd=0.05, **TWO_CENTS)
    assert right(job.wait(60, progress=False)) == 40
    assert paid_once(simulator, 40)


def test_a_budget_for_a_batch_may_be_too_small_for_real_time(session: bf.Session, simulator: Simulator) -> None:
    """A deadline is no reason to spend what was not given."""
    simulator.settings.duration = 3600
    job = rows(1).llm.batch("{text}", deadline="0.2s", budget_usd=0.015, **TWO_CENTS)
    with pytest.raises(bf.JobPausedError, match=r"the next request would cost about \$0.020"):
        job.wait(30, progress=False)
    assert simulator.ledger.requests == 0


@pytest.mark.parametrize(
    ("kind", "status", "lost"),
    [
        ("reset_after", 0, True),
        ("status_after", 500, True),
        ("status_after", 408, True),
        ("status", 429, False),
        ("status", 401, False),
    ],
)
def test_an_answer_lost_in_real_time_is_reported_and_only_a_refusal_repeated(
    session: bf.Session, simulator: Simulator, kind: Any, status: int, lost: bool
) -> None:
    """No list tells what became of the call; asking again by itself may pay twice."""
    simulator.settings.duration = 3600
    simulator.faults.on("chat.completions", kind, status=status, times=3)
    job = rows(10).llm.batch("{text}", model="m", deadline="0.3s")
    frame = job.wait(60, progress=False)
    assert right(frame) == (7 if lost else 10)
    assert frame["response__error"].dropna().str.startswith("answer_lost: ").sum() == (3 if lost else 0)
    assert paid_once(simulator, 10)
    simulator.settings.duration = 0
    assert right(job.retry().wait(30, progress=False)) == 10, "asking again is the user's word"


def test_rows_a_dead_engine_was_asking_are_reported_not_asked_again(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """Killed in the middle of a call, nobody knows whether it was paid; those that were answered before are kept."""
    first = connect(lease_seconds=1.0)
    simulator.settings.duration = 3600
    simulator.faults.on("chat.completions", "late", seconds=30, skip=8, times=4)
    job = rows(12).llm.batch("{text}", model="m", deadline="0.3s", name="late")
    simulator.wait_for(lambda seen: seen.ledger.requests == 12)
    # As after a kill: the engine says nothing any more, and its lease runs out.
    first.background.stop()
    with first.database.transaction() as connection:
        connection.execute(text("UPDATE batch SET lease_until = now() WHERE state = 'asking'"))
    connect()
    frame = bf.job("late").wait(30, progress=False)
    assert job.id == bf.job("late").id
    assert right(frame) == 8
    assert frame["response__error"].dropna().str.contains("ended before the answer came").sum() == 4
    assert paid_once(simulator, 12)


def test_a_row_that_is_bad_in_real_time_has_its_real_reason(session: bf.Session, simulator: Simulator) -> None:
    """As in a batch."""
    simulator.settings.duration = 3600
    simulator.faults.row("number 7", status=400, code="bad", message="Not this.")
    frame = rows(10).llm.batch("{text}", model="m", deadline="0.3s").wait(30, progress=False)
    assert frame["response__error"].dropna().to_dict() == {7: "bad: Not this."}


@pytest.mark.parametrize("endpoint", ["responses", "embeddings"])
def test_every_endpoint_can_be_asked_in_real_time(session: bf.Session, simulator: Simulator, endpoint: str) -> None:
    """A deadline is taken with all of them."""
    simulator.settings.duration = 3600
    frame = rows(5).llm.batch("{text}", model="m", endpoint=endpoint, deadline="0.3s").wait(30, progress=False)
    assert set(frame["response__status"]) == {"ok"}
    assert paid_once(simulator, 5)


def test_a_row_another_job_is_asking_is_not_waited_for_beyond_the_deadline(
    session: bf.Session, simulator: Simulator
) -> None:
    """The other job may have a day; this one has not. It is the one case in which jobs pay for a request each."""
    simulator.settings.duration = 3600
    patient = rows(5).llm.batch("{text}", model="m", name="patient")
    hasty = rows(5).llm.batch("{text}", model="m", name="hasty", deadline="0.5s")
    assert right(hasty.wait(30, progress=False)) == 5
    patient.cancel()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"deadline": "soon"}, "deadline='soon'"),
        ({"deadline": "0h"}, "deadline='0h' is over"),
        ({"deadline": 6}, "deadline=6"),
        ({"deadline": dt.datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001 - what is tested
        ({"deadline": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "is over"),
        ({"deadline": "1h", "at_deadline": "panic"}, "at_deadline='panic'"),
    ],
)
def test_a_deadline_that_cannot_be_used_is_refused_before_anything_is_stored(
    session: bf.Session, arguments: dict[str, Any], said: str
) -> None:
    """A typo must not become a day of waiting, or a bill at twice the price."""
    with pytest.raises(bf.InputError, match="deadline") as caught:
        rows(1).llm.batch("{text}", model="m", **arguments)
    assert said in str(caught.value)
    assert bf.jobs().empty


def test_a_row_that_fails_in_real_time_does_not_hide_what_the_others_cost(
    session: bf.Session, simulator: Simulator
) -> None:
    """Counted as unknown, the sum would count as nothing, and the budget with it; and a model's budget sees it too."""
    bf.set_budget("gpt-5-mini", 10)
    simulator.settings.duration = 3600
    simulator.faults.row("number 3", status=400, code="bad", message="Not this.")
    job = rows(10).llm.batch("{text}", model="gpt-5-mini", deadline="0.3s", budget_usd=1)
    job.wait(30, progress=False)
    ledger = simulator.ledger
    cost = (ledger.input_tokens * 0.25 + ledger.output_tokens * 2) / 10**6
    assert ledger.requests == 9
    assert float(job.usage().cost_usd or 0) == pytest.approx(cost)
    assert bf.budgets()["spent_usd"].item() == pytest.approx(cost)
    assert job.batches()["ended"].notna().all()


def test_an_answer_lost_in_real_time_counts_against_the_budget(session: bf.Session, simulator: Simulator) -> None:
    """It may have been paid for, at most at what it was expected to cost."""
    simulator.settings.duration = 3600
    simulator.faults.on("chat.completions", "reset_after", times=None)
    job = rows(2).llm.batch("{text}", deadline="0.3s", budget_usd=1, **TWO_CENTS)
    job.wait(30, progress=False)
    assert float(job.usage().cost_usd or 0) == pytest.approx(0.04)


def test_a_rate_limit_in_real_time_is_waited_for_however_long_it_lasts(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """In a batch it would be; five tries are over in minutes, and every row of the job with them."""
    connect(row_attempts=1)
    simulator.settings.duration = 3600
    simulator.faults.on("chat.completions", "status", status=429, times=60)
    job = rows(10).llm.batch("{text}", model="m", deadline="0.3s")
    assert right(job.wait(60, progress=False)) == 10
    assert paid_once(simulator, 10)


def test_a_retry_after_the_deadline_leaves_no_row_to_real_time(session: bf.Session, simulator: Simulator) -> None:
    """It is promised the batch's price; groups that were planned for real time and not asked yet are given back."""
    simulator.settings.duration = 3600
    bad = simulator.faults.on("chat.completions", "status", status=400)
    refused = simulator.faults.on("chat.completions", "status", status=429, times=None)
    job = rows(40).llm.batch("{text}", model="m", deadline="0.3s")
    simulator.wait_for(lambda seen: bad.hits and refused.hits > 40, timeout=30)
    simulator.settings.duration = 0
    assert right(job.retry().wait(30, progress=False)) == 40, "in real time every call is refused"
    assert paid_once(simulator, 40)
