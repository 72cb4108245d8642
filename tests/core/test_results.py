"""Result lines and what they mean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchframe.core.results import CANCELLED, INVALID_ANSWER, Line, Rules, decode_line, judge, line_of_reply, not_run
from batchframe.model import CHAT, Attempt, Stop, Usage

RULES = Rules(CHAT, row_attempts=3, retry_wait=lambda tries: float(tries))
ROW = Attempt(7, 3, 1)


def chat(content: str | None, **extra: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **extra.pop("message", {})}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **extra}], "usage": usage}


def line(status: int | None = None, body: object = None, error: object = None) -> Line:
    response = None if status is None else {"status_code": status, "request_id": "r", "body": body}
    found = decode_line(
        json.dumps({"id": "x", "custom_id": ROW.custom_id, "response": response, "error": error}).encode()
    )
    assert found is not None
    return found


def test_a_good_answer_is_final_with_its_usage() -> None:
    """The plain case."""
    outcome = judge(line(200, chat("yes")), ROW, 0, RULES)
    assert (outcome.final, outcome.ok, outcome.tries, outcome.usage) == (True, True, 1, Usage(5, 1, 2))
    assert json.loads(outcome.body or b"")["choices"][0]["message"]["content"] == "yes"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_4xx_row_is_final_with_the_providers_reason(status: int) -> None:
    """Asking again would fail again; the real reason is what helps."""
    body = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    outcome = judge(line(status, body), ROW, 0, RULES)
    assert (outcome.final, outcome.ok) == (True, False)
    assert (outcome.status, outcome.code, outcome.message) == (status, "context_length_exceeded", "too long")


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_a_passing_failure_is_asked_again_up_to_the_limit(status: int) -> None:
    """Neither given up too early nor asked for ever."""
    outcomes = [judge(line(status, {"error": {"message": "busy"}}), ROW, tries, RULES) for tries in range(3)]
    assert [outcome.final for outcome in outcomes] == [False, False, True]
    assert [outcome.retry_after for outcome in outcomes] == [1.0, 2.0, None]
    assert outcomes[-1].message == "busy (tried 3 times)"


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled", "request_timeout"])
def test_rows_that_never_ran_are_asked_again(code: str) -> None:
    """Peers lose expired rows whole."""
    outcome = judge(line(error={"code": code, "message": "…"}), ROW, 0, RULES)
    assert (outcome.final, outcome.code) == (False, code)


def test_in_a_cancelled_job_nothing_is_asked_again() -> None:
    """Cancel means cancel."""
    rules = Rules(CHAT, 3, lambda tries: 1.0, stop=Stop(CANCELLED, "m"))
    outcome = judge(line(error={"code": "batch_cancelled", "message": "…"}), ROW, 0, rules)
    assert (outcome.final, outcome.ok, outcome.code) == (True, False, CANCELLED)


def test_an_answer_that_does_not_validate_is_final_and_kept() -> None:
    """It was paid for; the user decides whether to pay again."""
    rules = Rules(CHAT, 3, lambda tries: 1.0, validate=lambda text: None if text == "yes" else "not yes")
    outcome = judge(line(200, chat("no")), ROW, 0, rules)
    assert (outcome.final, outcome.ok, outcome.code, outcome.message) == (True, False, INVALID_ANSWER, "not yes")
    assert b'"no"' in (outcome.body or b"")
    assert judge(line(200, chat("yes")), ROW, 0, rules).ok


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (chat(None, message={"refusal": "I cannot"}), "refusal"),
        (chat("half", finish_reason="content_filter"), "content_filter"),
        (chat("", finish_reason="length"), "empty_answer"),
        ({"choices": []}, "empty_answer"),
        ({"nothing": 1}, "unreadable_answer"),
        ("a string", "unreadable_answer"),
    ],
)
def test_a_200_without_an_answer_is_a_failure(body: object, code: str) -> None:
    """An empty cell that says ok would be believed."""
    outcome = judge(line(200, body), ROW, 0, RULES)
    assert (outcome.final, outcome.ok, outcome.code) == (True, False, code)


@given(st.text(st.characters(exclude_categories=[])))
def test_any_answer_survives_as_text_without_control_characters(content: str) -> None:
    """NUL, U+2028 and lone surrogates arrive as JSON escapes and must pass through decode, judge and COPY."""
    body = chat("x" + content)
    outcome = judge(line(200, body), ROW, 0, RULES)
    assert outcome.ok
    assert json.loads(outcome.body or b"") == body
    assert min(outcome.body or b"") >= 32


@pytest.mark.parametrize(
    "raw",
    [
        b'{"custom_id":"a","response":{"status_code":70000,"body":{}}}',
        b'{"custom_id":"a","response":{"status_code":200,"body":' + b"[" * 3000 + b"]" * 3000 + b"}}",
        b'{"custom_id":"a","response":{"status_code":200,"body":{\t"choices":' + b"9" * 5000 + b"}}}",
        b'{"custom_id":"a","response":{"status_code":200,"body":{"choices":[],"usage":{"prompt_tokens":3000000000}}}}',
    ],
)
def test_no_line_is_poison(raw: bytes) -> None:
    """One strange line must not hold up the 49,999 others of its batch."""
    found = decode_line(raw)
    if found is not None:
        outcome = judge(found, ROW, 0, RULES)
        assert outcome.final
        assert outcome.usage.input < 2**31


def test_white_space_between_tokens_does_not_reach_the_store() -> None:
    """A pretty-printing server writes tabs and carriage returns."""
    raw = b'{"custom_id":"bf-7-3-1","response":{"status_code":200,\t"body":\t{"choices":\r[]}}}'
    found = decode_line(raw)
    assert found is not None
    assert judge(found, ROW, 0, RULES).body == b'{"choices":[]}'


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"[]", b"{}", b'{"custom_id": 5}', b'{"custom_id":"a","response":', b'{"custom_id":"\xff"}', b"\x00"],
)
def test_a_broken_line_is_no_line(raw: bytes) -> None:
    """It may cost its own row, never the file's."""
    assert decode_line(raw) is None


def test_what_a_batch_left_unasked_comes_again_at_once_when_the_deadline_is_over() -> None:
    """Waiting for its back-off, or out of tries without ever having run, a row would miss the deadline for nothing."""
    late = Rules("/v1/chat/completions", 1, lambda tries: 600.0, late=True)
    found = decode_line(b'{"custom_id":"a","response":null,"error":{"code":"batch_cancelled","message":"m"}}')
    assert found is not None
    assert judge(found, ROW, 0, late) == not_run(ROW, 0)


def test_an_order_to_stop_ends_what_may_pass_and_nothing_else() -> None:
    """A refusal for good keeps its reason; an answer that was paid for stays an answer."""
    stopped = Rules("/v1/chat/completions", 5, lambda tries: 1.0, stop=Stop("deadline", "Too late."))
    passing, final = line(429, {}), line(400, {"error": {"code": "bad", "message": "m"}})
    assert (judge(passing, ROW, 0, stopped).code, judge(final, ROW, 0, stopped).code) == ("deadline", "bad")
    assert judge(line(200, chat("x")), ROW, 0, stopped).ok


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'{"half', b'{"a":1}\n{"b":2}'])
def test_a_reply_that_is_no_json_is_not_stored(body: bytes) -> None:
    """COPY relies on JSON; a gateway's page is none."""
    assert judge(line_of_reply("bf-1-2-3", 400, body), ROW, 0, RULES).body == b"null"


def test_a_pretty_printed_reply_is_stored_as_one_line() -> None:
    """In real time nobody promises that an answer has no newlines, which COPY would take for the end of a row."""
    outcome = judge(line_of_reply("a", 200, json.dumps(chat("x"), indent=2).encode()), ROW, 0, RULES)
    assert outcome.ok
    assert min(outcome.body or b"") >= 32
