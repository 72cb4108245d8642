"""What response bodies say."""

import base64
import json
import struct
from typing import Any

import pytest

from batchframe.core.answers import read_answer
from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES, Usage


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def response(*output: dict[str, Any], **extra: Any) -> bytes:
    usage = {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 2}
    return body({"output": list(output), "status": "completed", "usage": usage, **extra})


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "content": list(parts)}


def test_a_response_is_the_text_of_its_messages() -> None:
    """Reasoning and other items around it are not the answer."""
    answer = read_answer(
        RESPONSES,
        response(
            {"type": "reasoning", "content": None},
            message({"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}),
        ),
    )
    assert (answer.text, answer.problem, answer.usage) == ("ab", None, Usage(3, 1, 2))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (response(message({"type": "refusal", "refusal": "no"})), "refusal"),
        (response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "empty_answer"),
        (response(status="incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (response(status="failed", error={"code": "server_error", "message": "x"}), "server_error"),
        (b"{}", "unreadable_answer"),
    ],
)
def test_a_response_without_an_answer_says_why(raw: bytes, code: str) -> None:
    """An empty cell that says ok would be believed."""
    answer = read_answer(RESPONSES, raw)
    assert answer.code == code
    assert answer.problem


def test_tool_calls_are_the_answer_when_there_is_no_text() -> None:
    """Who passes tools wants to see what was called."""
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    chat = read_answer(CHAT, body({"choices": [{"message": {"content": None, "tool_calls": calls}}]}))
    assert json.loads(chat.text or "") == calls
    item = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
    called = read_answer(RESPONSES, response(item))
    assert json.loads(called.text or "") == [{"name": "f", "arguments": "{}", "call_id": "c"}]


def test_a_completion_is_the_text_of_its_first_choice() -> None:
    """The proxy's batches may be of the old endpoint; an unread answer would cost its row."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    said = body({"choices": [{"text": " is red.", "index": 0, "finish_reason": "length"}], "usage": usage})
    answer = read_answer(COMPLETIONS, said)
    assert (answer.text, answer.problem, answer.truncated) == (" is red.", None, True)
    assert answer.usage == Usage(input=5, output=2)
    assert read_answer(COMPLETIONS, body({"choices": []})).code == "empty_answer"
    assert read_answer(COMPLETIONS, body({"choices": [{"text": ""}]})).code == "empty_answer"
    assert read_answer(COMPLETIONS, b"{}").code == "unreadable_answer"


def test_a_moderation_is_its_result_as_json() -> None:
    """That nothing is flagged is an answer, too; there is no usage, for it costs nothing."""
    result = {"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.001}}
    answer = read_answer(MODERATIONS, body({"id": "modr-1", "model": "m", "results": [result]}))
    assert json.loads(answer.text or "") == result
    assert (answer.problem, answer.usage) == (None, Usage())
    both = read_answer(MODERATIONS, body({"results": [result, result]}))
    assert json.loads(both.text or "") == [result, result]
    assert read_answer(MODERATIONS, body({"results": []})).code == "empty_answer"
    assert read_answer(MODERATIONS, body({"results": [1]})).code == "unreadable_answer"


def test_an_embedding_is_a_vector() -> None:
    """And an empty list of them is no answer."""
    answer = read_answer(EMBEDDINGS, body({"data": [{"embedding": [0.5, 1]}], "usage": {"prompt_tokens": 4}}))
    assert (answer.vector, answer.usage.input, answer.problem) == ([0.5, 1.0], 4, None)
    assert read_answer(EMBEDDINGS, body({"data": []})).code == "empty_answer"


def test_lone_surrogates_become_the_replacement_character() -> None:
    """They name no character; Arrow could not hold them."""
    answer = read_answer(CHAT, rb'{"choices":[{"message":{"content":"a\ud800b \ud83d\ude00"}}]}')
    assert answer.text == "a\ufffdb \U0001f600"


def test_a_vector_in_base64_is_read() -> None:
    """The SDKs ask for it by default, so a proxied embedding would count as failed, and as free."""
    packed = base64.b64encode(struct.pack("<3f", 1.0, -2.5, 0.25)).decode()
    body = {"data": [{"embedding": packed}], "usage": {"prompt_tokens": 7}}
    answer = read_answer(EMBEDDINGS, json.dumps(body).encode())
    assert (answer.vector, answer.usage.input, answer.code) == ([1.0, -2.5, 0.25], 7, None)
    for broken in ("AAA", "AAAAAAA=", "!!!!"):
        assert read_answer(EMBEDDINGS, json.dumps({"data": [{"embedding": broken}]}).encode()).code
