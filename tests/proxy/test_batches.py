"""`/v1/batches` of the proxy, with the real engine against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from batchframe.simulator import Simulator
from batchframe.simulator.responders import Answer
from tests import published
from tests.proxy.batch_service import CHAT, Customer, Service, chat_line


@pytest.fixture
def service(database_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[Service]:
    """A proxy whose provider takes eight requests a batch."""
    with Service(database_url, simulator.base_url, tmp_path / "home", batch_max_requests=8) as running:
        yield running


@pytest.fixture
def customer(service: Service) -> Iterator[Customer]:
    with service.client() as opened:
        yield Customer(opened)


def test_one_batch_is_several_at_the_provider_and_one_for_the_client(customer: Customer, simulator: Simulator) -> None:
    """What the proxy is for: any size goes in, one file comes out, in the order of the input."""
    simulator.faults.row("bad", status=400, code="context_length_exceeded", message="Too long.")
    lines = [chat_line(f"id {at} ü", f"{'bad' if at % 5 == 4 else 'good'} {at}") for at in range(30)]
    batch = customer.run(lines, metadata={"of": "mine"})
    assert len(simulator.batches) == 4
    published.assert_published("Batch", batch.model_dump())
    assert batch.status == "completed"
    assert (batch.model, batch.endpoint, batch.metadata) == ("gpt-5-mini", CHAT, {"of": "mine"})
    assert batch.request_counts
    assert batch.request_counts.model_dump() == {"total": 30, "completed": 24, "failed": 6}
    assert batch.in_progress_at
    assert batch.finalizing_at
    assert batch.completed_at
    assert (batch.errors, batch.failed_at, batch.cancelled_at) == (None, None, None)
    answers, errors = customer.lines_of(batch.output_file_id), customer.lines_of(batch.error_file_id)
    assert [line["custom_id"] for line in answers] == [line["custom_id"] for at, line in enumerate(lines) if at % 5 < 4]
    assert [line["custom_id"] for line in errors] == [line["custom_id"] for at, line in enumerate(lines) if at % 5 == 4]
    for line in answers:
        at = int(line["custom_id"].split()[1])
        assert set(line) == {"id", "custom_id", "response", "error"}
        assert (line["error"], line["response"]["status_code"]) == (None, 200)
        assert line["response"]["request_id"].startswith("req_")
        published.assert_published("CreateChatCompletionResponse", line["response"]["body"])
        assert line["response"]["body"]["choices"][0]["message"]["content"] == f"good {at}"
    for line in errors:
        assert (line["error"], line["response"]["status_code"]) == (None, 400)
        assert line["response"]["body"]["error"]["code"] == "context_length_exceeded"
    assert len({line["id"] for line in answers + errors}) == 30
    assert batch.usage
    used = [line["response"]["body"]["usage"] for line in answers]
    assert batch.usage.input_tokens == sum(usage["prompt_tokens"] for usage in used)
    assert batch.usage.output_tokens == sum(usage["completion_tokens"] for usage in used)


def test_result_files_are_files_like_others(customer: Customer, simulator: Simulator) -> None:
    """Found, listed in their order, deleted, and made by nobody's upload."""
    simulator.faults.row("bad")
    batch = customer.run([chat_line("a", "bad"), chat_line("b")])
    assert batch.output_file_id
    assert batch.error_file_id
    files = customer.client.files
    output = files.retrieve(batch.output_file_id)
    published.assert_published("OpenAIFile", output.model_dump())
    assert (output.purpose, output.filename) == ("batch_output", f"{batch.id}_output.jsonl")
    everything = [batch.error_file_id, batch.output_file_id, batch.input_file_id]
    assert [file.id for file in files.list()] == everything
    assert [file.id for file in files.list(limit=1)] == everything
    assert [file.id for file in files.list(limit=1, order="asc")] == everything[::-1]
    assert [file.id for file in files.list(purpose="batch_output")] == everything[:2]
    assert files.delete(batch.output_file_id).deleted
    with pytest.raises(openai.NotFoundError):
        files.content(batch.output_file_id)
    assert [file.id for file in files.list()] == [batch.error_file_id, batch.input_file_id]
    with pytest.raises(openai.BadRequestError, match="Cannot find file"):
        customer.client.batches.create(input_file_id=batch.error_file_id, endpoint=CHAT, completion_window="24h")


def test_a_batch_without_answers_or_without_errors_has_no_file_for_them(
    customer: Customer, simulator: Simulator
) -> None:
    """As at OpenAI: an id stands for a file that has lines."""
    assert customer.run([chat_line("a")]).error_file_id is None
    simulator.faults.row("bad")
    batch = customer.run([chat_line("a", "bad")])
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert len(customer.lines_of(batch.error_file_id)) == 1


def test_an_answer_we_would_not_call_one_is_in_the_output_file(database_url: str, tmp_path: Path) -> None:
    """A refusal is the model's answer, it was paid for, and judging it is the client's affair."""

    def refuse(request: Any) -> Answer:
        return Answer(refusal="No.") if "secret" in request.prompt else Answer("Yes.")

    with (
        Simulator(responder=refuse) as simulator,
        Service(database_url, simulator.base_url, tmp_path / "home") as service,
        service.client() as client,
    ):
        customer = Customer(client)
        batch = customer.run([chat_line("a", "secret"), chat_line("b")])
        said = [line["response"]["body"]["choices"][0]["message"] for line in customer.lines_of(batch.output_file_id)]
        assert [(each["content"], each["refusal"]) for each in said] == [(None, "No."), ("Yes.", None)]
        assert batch.error_file_id is None
        assert batch.request_counts
        assert batch.request_counts.model_dump() == {"total": 2, "completed": 2, "failed": 0}


def test_a_request_without_a_response_says_why(customer: Customer, simulator: Simulator) -> None:
    """The provider's own code, after as many tries as are set, with words that need escaping."""
    simulator.faults.row("bad", status=None, code="request_timeout", message='A "quoted" word\\ and ü.')
    batch = customer.run([chat_line("a", "bad")])
    (line,) = customer.lines_of(batch.error_file_id)
    assert line["response"] is None
    assert line["error"]["code"] == "request_timeout"
    assert line["error"]["message"].startswith('A "quoted" word\\ and ü.')


def test_custom_ids_and_answers_come_back_as_they_were(customer: Customer) -> None:
    """Text that breaks things: quotes, control characters, half characters, line separators, nothing at all."""
    odd = ['"quoted"\\', "tab\tnewline\n\0", "", "\u2028\u2029\x7f", "😀", "\ud800"]
    lines = [chat_line(text, f"> {text}") for text in odd]
    batch = customer.run(lines)
    found = customer.lines_of(batch.output_file_id)
    assert [line["custom_id"] for line in found] == odd
    said = [line["response"]["body"]["choices"][0]["message"]["content"] for line in found]
    assert said == [f"> {text}" for text in odd]


def test_a_cancelled_batch_keeps_what_was_answered(customer: Customer, simulator: Simulator) -> None:
    """The rest is in the error file as not executed, and not counted as failed."""
    simulator.settings.duration = 3_600.0
    batch = customer.create([chat_line(f"r{at}") for at in range(20)])
    customer.until(batch, "in_progress")
    simulator.wait_for(lambda sim: len(sim.batches) == 3)
    cancelling = customer.client.batches.cancel(batch.id)
    assert (cancelling.status, cancelling.output_file_id) == ("cancelling", None)
    cancelled = customer.until(batch)
    published.assert_published("Batch", cancelled.model_dump())
    assert cancelled.status == "cancelled"
    assert cancelled.cancelling_at
    assert cancelled.cancelled_at
    assert (cancelled.completed_at, cancelled.finalizing_at) == (None, None)
    assert cancelled.request_counts
    assert cancelled.request_counts.model_dump() == {"total": 20, "completed": 0, "failed": 0}
    errors = customer.lines_of(cancelled.error_file_id)
    assert [line["custom_id"] for line in errors] == [f"r{at}" for at in range(20)]
    assert {line["error"]["code"] for line in errors} == {"batch_cancelled"}
    assert customer.client.batches.cancel(batch.id) == cancelled


def test_only_what_still_runs_can_be_cancelled(customer: Customer) -> None:
    """As at OpenAI, where a second cancellation is welcome and one of an ended batch is a conflict."""
    for lines, status in (([chat_line("a")], "completed"), (["{}"], "failed")):
        batch = customer.run(lines)
        with pytest.raises(openai.ConflictError, match=f"Cannot cancel a batch with status '{status}'"):
            customer.client.batches.cancel(batch.id)


def test_batches_are_listed_in_pages(customer: Customer) -> None:
    """Newest first, each once."""
    made = [customer.create([chat_line("a")]).id for _ in range(5)]
    batches = customer.client.batches
    assert [batch.id for batch in batches.list(limit=2)] == made[::-1]
    page = batches.list(limit=2)
    assert page.has_more
    assert [batch.id for batch in page.data] == made[:2:-1]
    assert not batches.list(limit=2, after=made[2]).has_more
    for query in ({"limit": 101}, {"after": "batch_none"}):
        with pytest.raises(openai.BadRequestError):
            batches.list(**query)  # type: ignore[arg-type]


def test_another_key_sees_nothing(service: Service, customer: Customer) -> None:
    """Neither the batch nor its files; and what it cannot see it cannot cancel or use."""
    batch = customer.run([chat_line("a")])
    with service.client("key-2") as other:
        assert other.batches.list().data == []
        assert other.files.list().data == []
        for call in (other.batches.retrieve, other.batches.cancel):
            with pytest.raises(openai.NotFoundError, match="No batch found with id"):
                call(batch.id)
        for call in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError):
                call(batch.output_file_id or "")
        with pytest.raises(openai.BadRequestError, match="Cannot find file"):
            other.batches.create(input_file_id=batch.input_file_id, endpoint=CHAT, completion_window="24h")
    assert customer.lines_of(batch.output_file_id)


@pytest.mark.parametrize(
    ("changes", "param", "said"),
    [
        ({"endpoint": "/v1/none"}, "endpoint", "Invalid value: '/v1/none'. Supported values are: '/v1/responses', "),
        ({"completion_window": "1h"}, "completion_window", "Supported values are: '24h'."),
        ({"input_file_id": None}, "input_file_id", "Missing required parameter: 'input_file_id'."),
        ({"input_file_id": "file-none"}, "input_file_id", "Cannot find file file-none"),
        ({"metadata": {"a": ["b"]}}, "metadata.a", "expected a string, but got an array instead"),
        ({"metadata": {str(at): "" for at in range(17)}}, "metadata", "at most 16 properties"),
        ({"metadata": {"a" * 65: ""}}, f"metadata.{'a' * 65}", "maximum length 64"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a", "maximum length 512"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after.seconds", "between"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    customer: Customer, changes: dict[str, Any], param: str, said: str
) -> None:
    """In OpenAI's words, and without a batch."""
    right = {"input_file_id": customer.upload([chat_line("a")]), "endpoint": CHAT, "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError, match=said) as refused:
        customer.client.post("/batches", body={**right, **changes}, cast_to=object)
    assert refused.value.param == param
    assert customer.client.batches.list().data == []
