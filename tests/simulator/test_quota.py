"""The enqueued-token limit: a queue for each model, given back when a batch ends."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from batchframe.simulator import Simulator

HOUR = 3_600.0
PROMPT = "x" * 400
"""About 110 tokens a line, its JSON around it counted."""


def test_a_batch_over_the_limit_fails_after_validation(customer_of: Any, chat_line: Any) -> None:
    """The words are OpenAI's; an engine tells a full queue from a bad file by the code."""
    with Simulator(enqueued_tokens=1_000) as sim:
        customer = customer_of(sim)
        batch = customer.run([chat_line(f"r{at}", PROMPT) for at in range(20)])
    (error,) = batch.errors.data
    assert batch.status == "failed"
    assert error.model_dump() == {
        "code": "token_limit_exceeded",
        "line": None,
        "message": "Enqueued token limit reached for gpt-5-mini in organization org-simulator. "
        "Limit: 1,000 enqueued tokens. "
        "Please try again once some in_progress batches have been completed.",
        "param": None,
    }


def test_tokens_are_given_back_when_a_batch_ends(customer_of: Any, chat_line: Any) -> None:
    """However it ends; otherwise a cancelled job would block its model for good."""
    lines = [chat_line(f"r{at}", PROMPT) for at in range(6)]
    with Simulator(enqueued_tokens=1_000, duration=HOUR) as sim:
        customer = customer_of(sim)
        first = customer.create(lines)
        sim.wait_for(lambda sim: sim.batches[0].status == "in_progress")
        assert customer.run(lines).errors.data[0].code == "token_limit_exceeded"
        customer.client.batches.cancel(first.id)
        customer.wait(first)
        sim.settings.duration = 0
        assert customer.run(lines).status == "completed"
        assert customer.run(lines).status == "completed"


def test_every_model_has_its_own_queue(customer_of: Any, chat_line: Any) -> None:
    """A full queue of one model must not stop another; a model without a limit has none."""
    with Simulator(enqueued_tokens={"gpt-5-mini": 150, "gpt-4o": 150}, duration=HOUR) as sim:
        customer = customer_of(sim)
        customer.create([chat_line("a", PROMPT)])
        sim.wait_for(lambda sim: sim.batches[0].status == "in_progress")
        assert customer.run([chat_line("a", PROMPT)]).status == "failed"
        customer.create([chat_line("a", PROMPT, model="gpt-4o")])
        customer.create([chat_line("a", PROMPT * 9, model="gpt-4.1")])
        sim.wait_for(lambda sim: {batch.status for batch in sim.batches[2:]} == {"in_progress"})


@pytest.mark.parametrize(("status", "kind"), [(429, openai.RateLimitError), (400, openai.BadRequestError)])
def test_the_create_call_itself_can_be_refused(customer_of: Any, chat_line: Any, status: int, kind: Any) -> None:
    """Azure's fail-fast regions do that; no batch is created."""
    with Simulator(enqueued_tokens=100) as sim:
        sim.settings.quota_refusal = status
        with pytest.raises(kind) as refused:
            customer_of(sim).create([chat_line("a", PROMPT)])
        assert refused.value.code == "token_limit_exceeded"
        assert sim.batches == []
