"""The provider's validation: every finding with its code, line, parameter and words (facts §2.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

CHAT = "/v1/chat/completions"


def good(**changes: Any) -> dict[str, Any]:
    """A line in order, but for the changes; a change to None takes the field away."""
    line: dict[str, Any] = {
        "custom_id": "good",
        "method": "POST",
        "url": CHAT,
        "body": {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]},
    }
    line |= changes
    return {name: value for name, value in line.items() if value is not None}


def body(**changes: Any) -> dict[str, Any]:
    """A body in order, but for the changes."""
    changed: dict[str, Any] = good()["body"] | changes
    return {name: value for name, value in changed.items() if value is not None}


NOT_JSON = "This line is not parseable as valid JSON."
MISSING = "Missing required parameter: '{}'."
OTHER_URL = "The URL provided for this request does not match the batch endpoint."
STREAMING = "Chat Completions: Streaming is not supported in the Batch API."
UNKNOWN_MODEL = "The provided model 'nonexistent-model-xyz' is not supported by the Batch API."
SECOND_MODEL = (
    "The model 'gpt-4o' for this request does not match the rest of the batch. "
    "Each batch must contain requests for a single model."
)
DUPLICATE = (
    "The custom_id 'first' for this request is a duplicate of another request. "
    "The custom_id parameter must be unique for each request in a batch."
)
FINDINGS: dict[str, tuple[Any, str, str | None, str]] = {
    "not json": ("{not json", "invalid_json_line", None, NOT_JSON),
    "not an object": ("[1, 2]", "invalid_json_line", None, NOT_JSON),
    "an empty line": ("", "invalid_json_line", None, NOT_JSON),
    "no custom_id": (good(custom_id=None), "missing_required_parameter", "custom_id", MISSING.format("custom_id")),
    "no method": (good(method=None), "missing_required_parameter", "method", MISSING.format("method")),
    "no url": (good(url=None), "missing_required_parameter", "url", MISSING.format("url")),
    "no body": (good(body=None), "missing_required_parameter", "body", MISSING.format("body")),
    "a method": (good(method="GET"), "invalid_method", "method", "Invalid value: 'GET'. Supported values are: 'POST'"),
    "another url": (good(url="/v1/responses"), "invalid_url", "url", OTHER_URL),
    "streaming": (good(body=body(stream=True)), "streaming_unsupported", "body.stream", STREAMING),
    "model": (good(body=body(model="nonexistent-model-xyz")), "model_not_found", "body.model", UNKNOWN_MODEL),
    "no model": (good(body=body(model=None)), "invalid_request", "body.model", "Model parameter is required."),
    "no prompt": (
        *(good(body=body(messages=None)), "invalid_request", "body.messages"),
        "Messages parameter is required.",
    ),
    "a second model": (good(body=body(model="gpt-4o")), "mismatched_model", "body.model", SECOND_MODEL),
    "a custom_id again": (good(custom_id="first"), "duplicate_custom_id", "custom_id", DUPLICATE),
}


@pytest.mark.parametrize("finding", FINDINGS)
def test_one_bad_line_fails_the_whole_batch_by_name(sim: Any, customer: Any, finding: str) -> None:
    """An engine that packs the rest anew needs the line, and must never see a batch run in part."""
    bad, code, param, message = FINDINGS[finding]
    sim.settings.models = frozenset({"gpt-5-mini", "gpt-4o"})
    batch = customer.run([good(custom_id="first"), bad, good(custom_id="last")])
    assert batch.status == "failed"
    assert [error.model_dump() for error in batch.errors.data] == [
        {"code": code, "line": 2, "message": message, "param": param}
    ]
    assert (batch.output_file_id, batch.error_file_id, batch.usage, batch.request_counts.total) == (None, None, None, 0)
    assert batch.failed_at is not None
    assert sim.ledger.requests == 0


def test_every_bad_line_is_listed(customer: Any) -> None:
    """All errors at once: else a file of many bad lines costs a batch for each."""
    bad = [FINDINGS[finding][0] for finding in ("not json", "no custom_id", "streaming", "no prompt")]
    batch = customer.run([good(custom_id="first"), *bad])
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (2, "invalid_json_line"),
        (3, "missing_required_parameter"),
        (4, "streaming_unsupported"),
        (5, "invalid_request"),
    ]


def test_the_list_of_errors_ends_somewhere(sim: Any, customer: Any) -> None:
    """A client must cope with a list that names only some of the bad lines."""
    sim.settings.max_errors = 3
    batch = customer.run([good(custom_id="first"), *["{bad"] * 10])
    assert [error.line for error in batch.errors.data] == [2, 3, 4]


def test_a_byte_order_mark_makes_the_first_line_unparseable(customer: Any) -> None:
    """Files saved by some editors begin with one; the provider takes the upload and fails the batch."""
    batch = customer.run(b"\xef\xbb\xbf" + json.dumps(good()).encode())
    assert [(error.line, error.code) for error in batch.errors.data] == [(1, "invalid_json_line")]


def test_bytes_that_are_not_utf8_make_a_line_unparseable(customer: Any) -> None:
    """The quick look at a line skips its content, so this needs a look of its own."""
    lines = (
        json.dumps(good()).encode() + b"\n" + json.dumps(good(custom_id="b")).encode().replace(b"Hello", b"\xff\xfe")
    )
    batch = customer.run(lines)
    assert [(error.line, error.code) for error in batch.errors.data] == [(2, "invalid_json_line")]


def test_half_a_surrogate_pair_is_json(customer: Any) -> None:
    """msgspec would call the line broken; it is legal JSON, and the answer brings the text back."""
    batch = customer.run(
        [good(), good(custom_id="half \ud800", body=body(messages=[{"role": "user", "content": "\ud800"}]))]
    )
    answers = {line["custom_id"]: line for line in customer.lines_of(batch.output_file_id)}
    assert answers["half \ud800"]["response"]["body"]["choices"][0]["message"]["content"] == "\ud800"


def test_lines_end_at_line_feeds_alone(customer: Any) -> None:
    """Other separators are legal inside a JSON text and must not shift the numbers of lines or the answers."""
    text = "a\u2028b\u2029c\u0085d\u000be\u001cf"
    lines = [
        json.dumps(
            good(custom_id=f"r{at}", body=body(messages=[{"role": "user", "content": text + str(at)}])),
            ensure_ascii=False,
        )
        for at in range(3)
    ]
    batch = customer.run(lines)
    answers = {line["custom_id"]: line["response"]["body"] for line in customer.lines_of(batch.output_file_id)}
    assert {key: answer["choices"][0]["message"]["content"] for key, answer in answers.items()} == {
        f"r{at}": text + str(at) for at in range(3)
    }


def test_a_missing_input_file_fails_the_batch(customer: Any, client: Any) -> None:
    """The create call succeeds for any file id; the refusal comes with the batch."""
    made = client.batches.create(input_file_id="file-nowhere", endpoint=CHAT, completion_window="24h")
    batch = customer.wait(made)
    (error,) = batch.errors.data
    assert (batch.status, error.code, error.line, error.param) == ("failed", "invalid_request", None, "file_id")
    assert error.message.startswith("Cannot find file file-nowhere, or organization ")


def test_a_file_of_another_purpose_is_no_input(customer: Any, client: Any) -> None:
    """A wrong purpose works nowhere else, so it must not work here."""
    made = client.files.create(file=("a.jsonl", json.dumps(good()).encode()), purpose="user_data")
    batch = customer.wait(client.batches.create(input_file_id=made.id, endpoint=CHAT, completion_window="24h"))
    assert [(error.code, error.param) for error in batch.errors.data] == [("invalid_request", "file_id")]


def test_too_many_requests_fail_the_batch(sim: Any, customer: Any, chat_lines: Any) -> None:
    """The limit is a number of lines; one more is too many."""
    assert sim.settings.max_requests == 50_000
    sim.settings.max_requests = 5
    assert customer.run(chat_lines(5)).status == "completed"
    batch = customer.run(chat_lines(6))
    assert [(error.code, error.line) for error in batch.errors.data] == [("too_many_tasks", None)]


def test_embedding_inputs_are_counted_not_lines(sim: Any, customer: Any) -> None:
    """Embeddings have a limit on inputs over all lines, which a client that counts rows runs into."""
    sim.settings.max_inputs = 5
    lines = [
        {
            "custom_id": f"e{at}",
            "method": "POST",
            "url": "/v1/embeddings",
            "body": {"model": "text-embedding-3-small", "input": given, "dimensions": 2},
        }
        for at, given in enumerate(["one", ["two", "three"], [1, 2, 3], [[1], [2]]])
    ]
    assert customer.run(lines[:3], "/v1/embeddings").status == "completed"
    batch = customer.run(lines, "/v1/embeddings")
    assert [error.code for error in batch.errors.data] == ["too_many_tasks"]


def test_a_response_that_continues_another_needs_no_input(customer: Any) -> None:
    """`previous_response_id` and `prompt` stand in for `input`; nothing does for an empty body."""

    def line(**more: Any) -> dict[str, Any]:
        return {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-5-mini", **more}}

    assert customer.run([line(prompt={"id": "pmpt_1"})], "/v1/responses").status == "completed"
    batch = customer.run([line()], "/v1/responses")
    assert [(error.code, error.param) for error in batch.errors.data] == [("invalid_request", "body.input")]
