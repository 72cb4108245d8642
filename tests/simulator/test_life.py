"""The life of a batch: what it says of itself on the way, and how each of its ends looks."""

from __future__ import annotations

import time
from typing import Any

import openai
import pytest

from batchframe.simulator import Simulator, life
from batchframe.simulator.validation import check_file

CHAT = "/v1/chat/completions"
HOUR = 3_600.0


def counts(batch: Any) -> tuple[int, int, int]:
    """Total, completed, failed."""
    return batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed


def content(line: dict[str, Any]) -> str:
    """What a line of an output file answers."""
    return line["response"]["body"]["choices"][0]["message"]["content"]  # type: ignore[no-any-return]


def test_a_batch_answers_every_line_and_says_so(sim: Any, customer: Any, chat_lines: Any) -> None:
    """The plain case: all answered, no error file, usage added up, metadata as given."""
    created = customer.create(chat_lines(100), metadata={"batchframe": "uid-1"})
    assert (created.status, created.output_file_id, created.usage, counts(created)) == (
        "validating",
        None,
        None,
        (0, 0, 0),
    )
    batch = customer.wait(created)
    assert (batch.status, counts(batch), batch.errors) == ("completed", (100, 100, 0), None)
    assert (batch.error_file_id, batch.model) == (None, "gpt-5-mini-2025-08-07")
    assert batch.metadata == {"batchframe": "uid-1"}
    assert (batch.completion_window, batch.expires_at - batch.created_at) == ("24h", 86_400)
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    lines = customer.lines_of(batch.output_file_id)
    assert {line["custom_id"]: content(line) for line in lines} == {f"r{at}": f"prompt {at}" for at in range(100)}
    usages = [line["response"]["body"]["usage"] for line in lines]
    assert batch.usage.total_tokens == sum(usage["total_tokens"] for usage in usages) == sim.ledger.tokens


def test_the_output_is_not_in_the_order_of_the_input(customer: Any, chat_lines: Any) -> None:
    """A client that joins by position must fail here and not in production; the order is the seed's."""
    batch = customer.run(chat_lines(100))
    order = [line["custom_id"] for line in customer.lines_of(batch.output_file_id)]
    assert order != [f"r{at}" for at in range(100)]
    assert sorted(order) == sorted(f"r{at}" for at in range(100))


def test_a_batch_gets_on_without_being_polled(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Time passes at the provider whether anybody looks or not."""
    sim.settings.duration = 0.2
    customer.create(chat_lines(10))
    calls = sum(sim.ledger.calls.values())
    sim.wait_for(lambda sim: sim.batches[0].status == "completed")
    assert sum(sim.ledger.calls.values()) == calls


def test_progress_is_visible_and_takes_its_time(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Progress bars and polling need counts that move, and a bill that moves with them."""
    sim.settings.duration = 0.5
    started = time.monotonic()
    made = customer.create(chat_lines(100))
    seen: set[int] = set()

    def moved(sim: Any) -> bool:
        (batch,) = sim.batches
        seen.add(batch.completed)
        assert batch.completed == sim.ledger.requests
        return bool(batch.ended)

    sim.wait_for(moved)
    assert time.monotonic() - started >= 0.45
    assert len(seen) > 5
    assert customer.wait(made).request_counts.completed == 100


def test_a_running_batch_can_be_held_and_let_go(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """Tests of other rooms look at a batch in progress for as long as they need."""
    sim.settings.duration = HOUR
    made = customer.create(chat_lines(10))
    sim.wait_for(lambda sim: sim.batches[0].status == "in_progress")
    batch = client.batches.retrieve(made.id)
    assert (batch.status, counts(batch), batch.output_file_id) == ("in_progress", (10, 0, 0), None)
    sim.settings.duration = 0
    assert customer.wait(made).status == "completed"


@pytest.mark.parametrize("status", ["validating", "finalizing"])
def test_statuses_of_passage_can_be_held(sim: Any, customer: Any, client: Any, chat_lines: Any, status: str) -> None:
    """An engine meets these statuses in production for minutes; file ids stay null until the end."""
    sim.settings.hold = {status: HOUR}
    made = customer.create(chat_lines(3))
    sim.wait_for(lambda sim: sim.batches[0].status == status)
    batch = client.batches.retrieve(made.id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == (status, None, None)
    sim.settings.hold = {}
    assert customer.wait(made).status == "completed"


def test_a_batch_longer_than_its_window_expires_with_what_it_has(sim: Any, customer: Any, chat_lines: Any) -> None:
    """What was answered is kept and billed; the rest is named in the error file and counts as nothing (facts §2.2)."""
    sim.settings.duration, sim.settings.window = 0.4, 0.1
    batch = customer.run(chat_lines(100))
    assert (batch.status, counts(batch)) == ("expired", (100, 25, 0))
    assert batch.expired_at is not None
    assert batch.completed_at is None
    answered, rest = customer.lines_of(batch.output_file_id), customer.lines_of(batch.error_file_id)
    assert (len(answered), len(rest), sim.ledger.requests) == (25, 75, 25)
    assert {line["custom_id"] for line in answered + rest} == {f"r{at}" for at in range(100)}
    message = "This request could not be executed before the completion window expired."
    for line in rest:
        assert (line["response"], line["error"]) == (None, {"code": "batch_expired", "message": message})


def test_a_cancelled_batch_keeps_what_it_has(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """First `cancelling` without files, then `cancelled` with both; what never ran is not failed."""
    sim.settings.duration, sim.settings.hold = 1.0, {"cancelling": HOUR}
    made = customer.create(chat_lines(1_000))
    sim.wait_for(lambda sim: sim.batches[0].completed >= 100)
    cancelling = client.batches.cancel(made.id)
    assert (cancelling.status, cancelling.output_file_id, cancelling.error_file_id) == ("cancelling", None, None)
    assert client.batches.cancel(made.id).status == "cancelling"
    sim.settings.hold = {}
    batch = customer.wait(made)
    answered, rest = customer.lines_of(batch.output_file_id), customer.lines_of(batch.error_file_id)
    assert (batch.status, batch.request_counts.failed) == ("cancelled", 0)
    assert 100 <= len(answered) == batch.request_counts.completed == sim.ledger.requests < 1_000
    assert len(answered) + len(rest) == 1_000
    assert {line["error"]["code"] for line in rest} == {"batch_cancelled"}
    assert client.batches.cancel(made.id) == batch


def test_a_batch_can_be_cancelled_before_it_is_validated(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """Nothing ran, so there is no file and no bill."""
    sim.settings.hold = {"validating": HOUR}
    made = customer.create(chat_lines(3))
    client.batches.cancel(made.id)
    batch = customer.wait(made)
    assert (batch.status, counts(batch)) == ("cancelled", (0, 0, 0))
    assert (batch.output_file_id, batch.error_file_id, sim.ledger.requests) == (None, None, 0)


def test_a_batch_can_be_cancelled_while_it_is_validated(
    customer: Any, client: Any, chat_lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel call has been answered, so validation may not bring the batch back to life."""

    def check_and_be_cancelled(*arguments: Any) -> Any:
        checked = check_file(*arguments)
        (batch,) = client.batches.list().data
        assert client.batches.cancel(batch.id).status == "cancelling"
        return checked

    monkeypatch.setattr(life, "check_file", check_and_be_cancelled)
    batch = customer.run(chat_lines(3))
    assert (batch.status, counts(batch), batch.in_progress_at) == ("cancelled", (3, 0, 0), None)
    assert len(customer.lines_of(batch.error_file_id)) == 3


@pytest.mark.parametrize("end", ["completed", "failed", "expired"])
def test_an_ended_batch_cannot_be_cancelled(sim: Any, customer: Any, client: Any, chat_lines: Any, end: str) -> None:
    """409, which the SDKs repeat: facts §2.4."""
    if end == "expired":
        sim.faults.batch(expire_after=0.5)
    batch = customer.run(chat_lines(2) + ["{bad"] * (end == "failed"))
    assert batch.status == end
    with pytest.raises(openai.ConflictError) as refused:
        client.batches.cancel(batch.id)
    assert refused.value.body == {
        "message": f"Cannot cancel a batch with status '{end}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_when_every_line_fails_the_batch_is_completed_without_output(sim: Any, customer: Any, chat_lines: Any) -> None:
    """A client must not take "completed" for "there is an output file"."""
    sim.faults.row("prompt", status=400, code="context_length_exceeded", message="Too long.")
    batch = customer.run(chat_lines(3))
    assert (batch.status, counts(batch), batch.output_file_id, batch.errors) == ("completed", (3, 0, 3), None, None)
    assert len(customer.lines_of(batch.error_file_id)) == 3
    assert sim.ledger.requests == 0


def test_no_error_file_can_be_an_empty_text(sim: Any, customer: Any, chat_lines: Any) -> None:
    """Seen at OpenAI; a client that asks for the file `""` gets the list of files."""
    sim.settings.empty_error_file_id = True
    assert customer.run(chat_lines(1)).error_file_id == ""


def test_result_files_live_as_long_as_asked(customer: Any, client: Any, chat_lines: Any) -> None:
    """The clock of `output_expires_after` starts with the output file, not with the batch."""
    batch = customer.run(chat_lines(1), output_expires_after={"anchor": "created_at", "seconds": 3_600})
    output = client.files.retrieve(batch.output_file_id)
    assert (output.purpose, output.expires_at - output.created_at) == ("batch_output", 3_600)


def test_an_input_file_deleted_under_way_does_no_harm(sim: Any, customer: Any, client: Any, chat_lines: Any) -> None:
    """The provider has read it by then."""
    sim.settings.duration = HOUR
    made = customer.create(chat_lines(50))
    sim.wait_for(lambda sim: sim.batches[0].status == "in_progress")
    client.files.delete(made.input_file_id)
    sim.settings.duration = 0
    assert len(customer.lines_of(customer.wait(made).output_file_id)) == 50


def test_batches_run_side_by_side(sim: Any, customer: Any, chat_lines: Any) -> None:
    """A large batch does not stand in the way of a small one."""
    sim.settings.hold = {"validating": HOUR}
    large, small = customer.create(chat_lines(10_000)), customer.create(chat_lines(10))
    sim.settings.hold = {}
    customer.wait(large)
    customer.wait(small)
    order = [entry.batch_id for entry in sim.ledger.entries()]
    assert order.index(small.id) < len(order) - 1 - order[::-1].index(large.id)


def test_the_order_of_the_output_is_the_seeds(customer_of: Any, chat_lines: Any) -> None:
    """A failure that depends on the order can be seen again; two batches of one run still differ."""
    orders = []
    for seed in (1, 1, 2):
        with Simulator(seed=seed) as sim:
            customer = customer_of(sim)
            for _ in range(2):
                batch = customer.run(chat_lines(50))
                orders.append(tuple(line["custom_id"] for line in customer.lines_of(batch.output_file_id)))
    assert orders[0:2] == orders[2:4]
    assert len(set(orders)) == 4
