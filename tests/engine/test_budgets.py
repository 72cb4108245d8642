"""Budgets, from the call to the ledger. gpt-5-mini costs $0.125 and $1 a million tokens in a batch (facts §9)."""

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once

MODEL = "gpt-5-mini"
ANSWER = {"max_completion_tokens": 1000}
"""A request's expected cost is a tenth of a cent and a little for its input."""


def frame(n: int) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"row number {number}" for number in range(n)]})


def bill(simulator: Simulator) -> Decimal:
    """What the ledger's tokens cost."""
    ledger = simulator.ledger
    return (ledger.input_tokens * Decimal("0.125") + ledger.output_tokens) / 10**6


def test_a_job_pauses_before_its_budget_is_passed_and_goes_on_with_a_larger_one(
    session: bf.Session, simulator: Simulator
) -> None:
    """Nothing is submitted past it; what was answered is kept; raising it pays for nothing twice."""
    simulator.settings.duration = 3600  # nothing comes back, so estimates under way are all there is
    job = frame(40).llm.batch("{text}", model=MODEL, budget_usd=0.02, **ANSWER)
    simulator.wait_for(lambda seen: sum(batch.total for batch in seen.batches) >= 16)
    simulator.settings.duration = 0
    # Bills are far below the estimates, so the job goes on by itself as they come in, never past the budget.
    assert set(job.wait(30, progress=False)["response__status"]) == {"ok"}
    assert paid_once(simulator, 40)
    assert job.usage().cost_usd == bill(simulator) < Decimal("0.02")
    assert max(batch.total for batch in simulator.batches) == 4, "a batch is at most a quarter of the budget"


def test_what_is_under_way_counts_at_what_it_may_cost(session: bf.Session, simulator: Simulator) -> None:
    """Otherwise the whole job is at the provider before the first bill comes."""
    simulator.settings.duration = 3600
    job = frame(40).llm.batch("{text}", model=MODEL, budget_usd=0.02, **ANSWER)
    simulator.wait_for(lambda seen: len(seen.batches) == 4)
    with pytest.raises(TimeoutError):
        job.wait(1.0, progress=False)
    assert sum(batch.total for batch in simulator.batches) == 16, "a fifth batch of 4 would go past two cents"
    assert "is used up: $0.00 is spent and about $0.016 is under way" in str(job.progress())
    job.cancel()


def test_a_budget_too_small_for_one_request_pauses_at_once_and_says_so(
    session: bf.Session, simulator: Simulator
) -> None:
    """The user reads what it would cost and how to go on; nothing was uploaded or paid."""
    job = frame(10).llm.batch("{text}", model=MODEL, budget_usd=0.0005, **ANSWER)
    with pytest.raises(
        bf.JobPausedError,
        match=r"paused.*budget_usd of \$0.00050 is too small.*resume\(budget_usd=…\)",
    ):
        job.wait(30, progress=False)
    assert job.status == "paused"
    assert simulator.ledger.calls["files.create"] == 0
    assert set(job.resume(budget_usd=1).wait(30, progress=False)["response__status"]) == {"ok"}
    assert paid_once(simulator, 10)


def test_awaiting_a_paused_job_raises_as_waiting_does(session: bf.Session) -> None:
    """A cell that awaits must not hang for ever."""
    job = frame(1).llm.batch("{text}", model=MODEL, budget_usd=0.0005, **ANSWER)

    async def cell() -> None:
        await job

    with pytest.raises(bf.JobPausedError):
        asyncio.run(cell())


def test_the_same_cell_with_more_money_is_the_same_job_going_on(session: bf.Session, simulator: Simulator) -> None:
    """The natural thing to do in a notebook; less money is not applied silently."""
    first = frame(10).llm.batch("{text}", model=MODEL, budget_usd=0.0005, **ANSWER)
    with pytest.raises(bf.JobPausedError):
        first.wait(30, progress=False)
    again = frame(10).llm.batch("{text}", model=MODEL, budget_usd=0.5, **ANSWER)
    assert again.id == first.id
    assert set(again.wait(30, progress=False)["response__status"]) == {"ok"}
    assert again.usage().budget_usd == Decimal("0.5")


def test_less_money_in_the_same_cell_is_a_warning(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """A budget that was raised by hand is not taken back by running an old cell again."""
    connect()
    simulator.settings.duration = 3600
    frame(10).llm.batch("{text}", model=MODEL, budget_usd=2, **ANSWER)
    with pytest.warns(UserWarning, match="goes on with its budget"):
        job = frame(10).llm.batch("{text}", model=MODEL, budget_usd=1, **ANSWER)
    assert job.usage().budget_usd == 2
    job.cancel()


def test_without_a_cap_the_first_answers_teach_what_the_rest_will_cost(
    session: bf.Session, simulator: Simulator
) -> None:
    """A guess of 1,000 tokens must not keep a job of short answers from using its budget."""
    job = frame(100).llm.batch("{text}", model=MODEL, budget_usd=0.02)
    assert set(job.wait(60, progress=False)["response__status"]) == {"ok"}
    assert job.usage().cost_usd == bill(simulator)


def test_the_price_must_be_known_for_a_budget(session: bf.Session, simulator: Simulator) -> None:
    """Nothing is stored or sent; the user says the price, or does without the budget."""
    with pytest.raises(bf.ParameterError, match=r"'m' costs is not known.*price=\(input, output\)"):
        frame(2).llm.batch("{text}", model="m", budget_usd=1)
    assert bf.jobs().empty
    job = frame(2).llm.batch("{text}", model="m", budget_usd=1, price=(10, 20))
    job.wait(30, progress=False)
    ledger = simulator.ledger
    assert job.usage().cost_usd == Decimal(ledger.input_tokens * 10 + ledger.output_tokens * 20) / 10**6
    assert frame(3).llm.batch("{text}", model="m").wait(30, progress=False).shape == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"budget_usd": 0}, "budget_usd=0"),
        ({"budget_usd": float("nan")}, "budget_usd=nan"),
        ({"budget_usd": True}, "budget_usd=True"),
        ({"budget_usd": "5"}, "budget_usd='5'"),
        ({"price": 3}, "price=3"),
        ({"price": (1, -1)}, "price="),
    ],
)
def test_terms_that_cannot_be_used_are_refused_before_anything_is_stored(
    session: bf.Session, arguments: dict[str, Any], said: str
) -> None:
    """Money is no place for guesses."""
    with pytest.raises(bf.InputError) as caught:
        frame(1).llm.batch("{text}", model=MODEL, **arguments)
    assert str(caught.value).startswith(said)
    assert bf.jobs().empty


def test_jobs_of_a_model_share_its_budget(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """Two notebooks at once must not spend it twice."""
    connect(batch_max_requests=5)
    bf.set_budget(MODEL, 0.016)
    simulator.settings.duration = 3600
    jobs = [frame(10).llm.batch(f"{letter} {{text}}", model=MODEL, **ANSWER) for letter in "ab"]
    simulator.wait_for(lambda seen: sum(batch.total for batch in seen.batches) == 15)
    (row,) = bf.budgets().itertuples()
    assert (row.model, row.budget_usd, row.spent_usd) == (MODEL, 0.016, 0)
    assert 0.015 < row.under_way_usd < 0.016
    bf.set_budget(MODEL, 1)
    simulator.wait_for(lambda seen: sum(batch.total for batch in seen.batches) == 20)
    simulator.settings.duration = 0
    for job in jobs:
        assert set(job.wait(30, progress=False)["response__status"]) == {"ok"}
    assert bf.budgets()["spent_usd"].item() == pytest.approx(float(bill(simulator)))
    bf.set_budget(MODEL, None)
    assert bf.budgets().empty


def test_two_engines_do_not_spend_a_budget_twice(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """The decision is made under the lock of the row that holds the budget."""
    simulator.settings.duration = 3600
    sessions = [connect(batch_max_requests=1) for _ in range(3)]
    job = frame(40).llm.batch("{text}", model=MODEL, budget_usd=0.0104, **ANSWER)
    for session in sessions:
        threading.Thread(target=session.background.ensure).start()
    simulator.wait_for(lambda seen: len(seen.batches) >= 10)
    with pytest.raises(TimeoutError):
        job.wait(1.0, progress=False)
    assert len(simulator.batches) == 10
    job.cancel()


def test_usage_is_told_by_job_and_by_batch(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """From the provider's own count, failures and retries included."""
    connect(batch_max_requests=4)
    simulator.faults.row("number 3", status=429, times=1)
    job = frame(10).llm.batch("{text}", model=MODEL)
    job.wait(30, progress=False)
    usage, batches = job.usage(), job.batches()
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (
        10,
        simulator.ledger.input_tokens,
        simulator.ledger.output_tokens,
    )
    assert usage.cost_usd == bill(simulator)
    assert usage.to_come_usd is None
    assert batches["requests"].tolist() == [4, 4, 2, 1]
    assert batches["input_tokens"].sum() == usage.input_tokens
    assert batches["cost_usd"].sum() == pytest.approx(float(usage.cost_usd))
    assert set(batches["state"]) == {"done"}


def test_a_cancelled_job_keeps_its_answers_and_says_what_was_saved(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """Half of it had been answered when it was stopped at the provider."""
    connect()
    simulator.settings.duration = 4.0
    job = frame(400).llm.batch("{text}", model=MODEL, **ANSWER)
    simulator.wait_for(lambda seen: seen.ledger.requests >= 20)
    simulator.settings.duration = 3600  # it gets no further
    filled = job.cancel().wait(30, progress=False)
    usage = job.usage()
    answered = int((filled["response__status"] == "ok").sum())
    assert 20 <= answered == usage.requests == simulator.ledger.requests < 400
    assert usage.cost_usd == bill(simulator)
    assert usage.saved_usd == pytest.approx(Decimal(400 - answered) / 1000, rel=Decimal("0.1"))
    assert "saved by cancelling" in repr(job)


def test_a_budget_given_later_in_the_same_cell_holds(session: bf.Session, simulator: Simulator) -> None:
    """Seeing the cost, one adds a budget and runs the cell again; ignored, it would be worse than none."""
    simulator.settings.duration = 3600
    frame(10).llm.batch("{text}", model=MODEL, **ANSWER)
    job = frame(10).llm.batch("{text}", model=MODEL, budget_usd=3, **ANSWER)
    assert job.usage().budget_usd == 3
    job.cancel()


def test_going_on_keeps_the_budget_unless_it_is_lifted_in_words(session: bf.Session, simulator: Simulator) -> None:
    """A job that was paused by its model's budget must not lose its own when it goes on."""
    simulator.settings.duration = 3600
    job = frame(10).llm.batch("{text}", model=MODEL, budget_usd=3, **ANSWER)
    assert job.resume().usage().budget_usd == 3
    assert job.resume("none").usage().budget_usd is None
    job.cancel()


def test_raising_a_models_budget_is_enough_to_wait_again(session: bf.Session, simulator: Simulator) -> None:
    """The advice of the error must work at once, not when an engine happens to come by."""
    bf.set_budget(MODEL, 0.0005)
    job = frame(3).llm.batch("{text}", model=MODEL, **ANSWER)
    with pytest.raises(bf.JobPausedError, match=r"Raise it with bf\.set_budget"):
        job.wait(30, progress=False)
    session.background.stop()
    bf.set_budget(MODEL, 1)
    assert set(job.wait(30, progress=False)["response__status"]) == {"ok"}


def test_a_job_that_waits_for_a_paused_one_says_so(session: bf.Session, simulator: Simulator) -> None:
    """It would wait for ever, with money of its own."""
    lender = frame(3).llm.batch("{text}", model=MODEL, budget_usd=0.0005, name="lender", **ANSWER)
    with pytest.raises(bf.JobPausedError):
        lender.wait(30, progress=False)
    borrower = frame(3).llm.batch("{text}", model=MODEL, name="borrower", **ANSWER)
    with pytest.raises(bf.JobPausedError, match=f"Waiting for the answers of job {lender.id}, which is paused"):
        borrower.wait(30, progress=False)
    lender.resume(1)
    assert set(borrower.wait(30, progress=False)["response__status"]) == {"ok"}
    assert paid_once(simulator, 3)


def test_a_sample_tells_the_budget_how_long_answers_are(session: bf.Session, simulator: Simulator) -> None:
    """Without a cap and a sample, a thousand tokens are guessed for each: a small budget would make batches of one."""
    plan = frame(200).llm.plan("{text}", model=MODEL)
    guessed = Decimal(1000) / 1_000_000
    plan.sample(20, random_state=0).run()
    simulator.settings.duration = 3600
    job = frame(200).llm.batch("{text}", model=MODEL, budget_usd=0.02)
    to_come = job.usage().to_come_usd
    assert to_come is not None
    assert 0 < to_come < guessed * 180 / 20
    simulator.wait_for(lambda seen: any(batch.total > 20 for batch in seen.batches))
    job.cancel()
