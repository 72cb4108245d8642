"""Rows that go wrong: where their failure is written, and that they are not billed."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import openai
import pytest

from batchframe.simulator import Failure, Simulator


def test_a_failed_row_is_in_the_error_file_with_its_response(sim: Any, customer: Any, chat_lines: Any) -> None:
    """The status decides later whether the row is asked again, so it must be there as OpenAI writes it."""
    sim.faults.row("prompt 3", status=400, code="context_length_exceeded", message="Too long.")
    batch = customer.run(chat_lines(10))
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (10, 9, 1)
    (line,) = customer.lines_of(batch.error_file_id)
    assert (line["custom_id"], line["error"], line["response"]["status_code"]) == ("r3", None, 400)
    assert line["response"]["body"] == {
        "error": {
            "message": "Too long.",
            "type": "invalid_request_error",
            "param": None,
            "code": "context_length_exceeded",
        }
    }
    assert sim.ledger.requests == 9
    assert "r3" not in sim.ledger.by_custom_id


def test_a_row_without_any_http_answer_has_an_error_of_its_own(sim: Any, customer: Any, chat_lines: Any) -> None:
    """`request_timeout` is the third shape of an error line: no response at all."""
    sim.faults.row("prompt 3", status=None, code="request_timeout", message="It took too long.")
    (line,) = customer.lines_of(customer.run(chat_lines(10)).error_file_id)
    assert (line["response"], line["error"]) == (None, {"code": "request_timeout", "message": "It took too long."})


def test_a_row_can_fail_once_and_then_succeed(sim: Any, customer: Any, chat_lines: Any) -> None:
    """`times` counts for each distinct request, so a retried row gets through while others still fail."""
    sim.faults.row("", status=503, times=1)
    first = customer.run(chat_lines(3))
    assert first.request_counts.failed == 3
    second = customer.run(chat_lines(4))
    assert [line["custom_id"] for line in customer.lines_of(second.error_file_id)] == ["r3"]


@pytest.mark.parametrize(
    "match", ["r7", re.compile("^r7$"), re.compile(r"prompt 7\b"), 'say "prompt 7"', '"content":"say \\"prompt 7\\""']
)
def test_rows_are_matched_by_custom_id_prompt_or_body(sim: Any, customer: Any, chat_line: Any, match: Any) -> None:
    """Whoever writes a test knows one of the three and should not need to know how JSON escapes it."""
    sim.faults.row(match)
    batch = customer.run([chat_line(f"r{at}", f'say "prompt {at}"') for at in range(9)])
    assert [line["custom_id"] for line in customer.lines_of(batch.error_file_id)] == ["r7"]


@pytest.mark.parametrize(
    ("code", "kind"), [("rate_limit_exceeded", "requests"), ("insufficient_quota", "insufficient_quota")]
)
def test_row_faults_reach_requests_in_real_time(sim: Any, client: Any, code: str, kind: str) -> None:
    """The same prompt fails the same way on both roads."""
    sim.faults.row("bad", status=429, code=code, times=1)
    turns = [{"role": "user", "content": "bad"}]
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="gpt-5-mini", messages=turns)
    assert (refused.value.code, refused.value.type) == (code, kind)
    assert sim.ledger.requests == 0
    client.chat.completions.create(model="gpt-5-mini", messages=turns)
    assert sim.ledger.requests == 1


def test_a_responder_can_fail_rows_itself(customer_of: Any, chat_lines: Any) -> None:
    """By raising or returning a failure; a defect of its own is a failure too and does not stop the batch."""

    def respond(request: Any) -> Any:
        if request.prompt == "prompt 0":
            raise Failure(400, "content_policy_violation", "No.")
        if request.prompt == "prompt 1":
            return Failure(429, "rate_limit_exceeded", "Later.")
        if request.prompt == "prompt 2":
            raise KeyError("oops")
        return 42 if request.prompt == "prompt 3" else "fine"

    with Simulator(responder=respond) as sim:
        customer = customer_of(sim)
        batch = customer.run(chat_lines(6))
        failures = {line["custom_id"]: line["response"] for line in customer.lines_of(batch.error_file_id)}
    assert Counter(response["status_code"] for response in failures.values()) == {400: 1, 429: 1, 500: 2}
    assert "KeyError" in failures["r2"]["body"]["error"]["message"]
    assert "not int" in failures["r3"]["body"]["error"]["message"]
    assert batch.request_counts.completed == 2
