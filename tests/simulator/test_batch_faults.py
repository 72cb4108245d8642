"""Batches that go wrong: results that are short, doubled, foreign or gone, and ends that come early."""

from __future__ import annotations

from collections import Counter
from typing import Any

import openai
import pytest


def custom_ids(lines: list[dict[str, Any]]) -> Counter[str]:
    """How often each custom id stands in a file."""
    return Counter(line["custom_id"] for line in lines)


def test_a_batch_can_expire_at_a_fraction(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Expiry without waiting: the next batch, sent for the rest, goes through."""
    sim.faults.batch(expire_after=0.5)
    batch = customer.run(chat_lines(10))
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("expired", 5, 0)
    rest = customer.lines_of(batch.error_file_id)
    assert [line["error"]["code"] for line in rest] == ["batch_expired"] * 5
    assert sim.ledger.requests == 5
    assert customer.run(chat_lines(10)).status == "completed"


def test_a_batch_can_expire_before_anything_ran(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Then there is no output file at all."""
    sim.faults.batch(expire_after=0.0)
    batch = customer.run(chat_lines(4))
    assert (batch.status, batch.output_file_id) == ("expired", None)
    assert len(customer.lines_of(batch.error_file_id)) == 4


def test_a_batch_can_fail_validation_with_any_errors(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Codes nobody has seen yet, and lists that leave fields out."""
    sim.faults.batch(validation_errors=[{"code": "brand_new", "line": 2, "message": "?"}, {"message": "No code."}])
    batch = customer.run(chat_lines(3))
    assert batch.status == "failed"
    assert [(error.code, error.line, error.message, error.param) for error in batch.errors.data] == [
        ("brand_new", 2, "?", None),
        (None, None, "No code.", None),
    ]


def test_answers_can_be_missing_from_the_output(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Billed, counted as completed, and in neither file."""
    sim.faults.batch(drop_lines=3)
    batch = customer.run(chat_lines(10))
    assert (batch.request_counts.completed, batch.error_file_id, sim.ledger.requests) == (10, None, 10)
    assert len(customer.lines_of(batch.output_file_id)) == 7


def test_every_answer_can_be_missing(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Completed, with neither file."""
    sim.faults.batch(drop_lines=10)
    batch = customer.run(chat_lines(10))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("completed", None, None)


def test_lines_can_be_there_twice_and_from_somebody_else(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Neither may become a second answer or shift one."""
    sim.faults.batch(duplicate_lines=2, foreign_lines=3)
    batch = customer.run(chat_lines(10))
    ids = custom_ids(customer.lines_of(batch.output_file_id))
    assert {f"r{at}" for at in range(10)} < set(ids)
    assert (len(ids), sorted(ids.values())) == (13, [1] * 11 + [2] * 2)
    assert sim.ledger.requests == 10


def test_the_output_file_can_be_gone(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """The batch names a file that cannot be downloaded."""
    sim.faults.batch(result_gone=True)
    batch = customer.run(chat_lines(3))
    with pytest.raises(openai.NotFoundError):
        client.files.content(batch.output_file_id)


def test_one_batch_can_have_an_empty_error_file_id(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Only the batch that was ordered."""
    sim.faults.batch(empty_error_file_id=True)
    assert customer.run(chat_lines(1)).error_file_id == ""
    assert customer.run(chat_lines(1)).error_file_id is None


def test_a_status_nobody_knows_can_show_for_a_while(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """Providers add statuses; one that is not known is not an end, and shows no files."""
    sim.faults.batch(status="reticulating", polls=3)
    made = customer.create(chat_lines(3))
    sim.wait_for(lambda sim: sim.batches[0].ended)
    looks = [client.batches.retrieve(made.id) for _ in range(3)]
    assert [made.status] + [look.status for look in looks] == ["reticulating"] * 3 + ["completed"]
    assert [look.output_file_id is None for look in looks] == [True, True, False]


def test_batch_faults_queue_up(sim: Any, customer: Any, chat_lines: Any) -> None:
    """One call of `batch` is for the next batches, the next call for those after them."""
    sim.faults.batch(expire_after=0.5, skip=1, times=2)
    sim.faults.batch(drop_lines=1)
    batches = [customer.run(chat_lines(2)) for _ in range(5)]
    assert [batch.status for batch in batches] == ["completed", "expired", "expired", "completed", "completed"]
    assert [len(customer.lines_of(batch.output_file_id)) for batch in batches] == [2, 1, 1, 1, 2]


def test_a_batch_can_fail_because_of_what_is_in_it(sim: Any, customer: Any, chat_lines: Any) -> None:
    """A poisonous line spoils every file it is in, and no other."""
    sim.faults.batch(times=None, validation_errors=[{"code": "bad", "message": "?"}], if_contains="prompt 3")
    lines = chat_lines(5)
    assert customer.run(lines).status == "failed"
    del lines[3]
    assert customer.run(lines).status == "completed"
