"""Responses as typed events: the SDK must be able to follow them, and to find at every step what it has been told."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from batchframe.model import RESPONSES
from batchframe.proxy.streaming import KEEP_ALIVE, events, failure_event
from tests.proxy.replaying import covers, read, replay
from tests.published import assert_published_event

LONG = "Once upon a time there was a batch that took its time. " * 9 + "\n\n  The end\u2028or not.\n"
CITATION = {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://e.org", "title": "E"}
LOGPROBS = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]
SDK_EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)


def response(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "completed_at": 1_700_000_009,
        "status": status,
        "model": "gpt-5-mini-2025-08-07",
        "output": list(output),
        "usage": {
            "input_tokens": 9,
            "output_tokens": 12,
            "total_tokens": 21,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 3},
        },
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {"team": "blue"},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "service_tier": "default",
        **more,
    }


def text(value: str, annotations: list[Any] | None = None, logprobs: list[Any] | None = None) -> dict[str, Any]:
    return {"type": "output_text", "text": value, "annotations": annotations or [], "logprobs": logprobs or []}


def message(*content: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": list(content)}


REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "encrypted_content": "gAAAA",
    "summary": [{"type": "summary_text", "text": LONG}, {"type": "summary_text", "text": ""}],
    "content": [{"type": "reasoning_text", "text": "Let me think."}],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "weather",
    "arguments": json.dumps({"city": "Ulm " * 99}),
    "status": "completed",
}
CUSTOM = {"id": "ct_1", "type": "custom_tool_call", "call_id": "call_2", "name": "sh", "input": "echo " * 40}
SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "rain", "queries": ["rain"]},
}

ANSWERS = {
    "a text": response(message(text(LONG))),
    "an empty text": response(message(text(""))),
    "nothing": response(),
    "a message of nothing": response(message()),
    "a refusal": response(message({"type": "refusal", "refusal": "I cannot help with that, " * 9})),
    "two parts": response(message(text("One."), text("Two.", [CITATION]))),
    "logprobs": response(message(text("Hi", logprobs=LOGPROBS))),
    "reasoning and a text": response(REASONING, message(text(LONG))),
    "reasoning unseen": response({"id": "rs_1", "type": "reasoning", "summary": []}, message(text("Hi"))),
    "calls": response(CALL, CUSTOM, CALL | {"id": "fc_2", "call_id": "call_3", "arguments": ""}),
    "a tool of the provider": response(SEARCH, message(text("Rain."))),
    "an answer cut short": response(
        message(text("Once upon"), status="incomplete"),
        status="incomplete",
        incomplete_details={"reason": "max_output_tokens"},
        completed_at=None,
    ),
    "a failure": response(
        status="failed", error={"code": "server_error", "message": "Sorry."}, usage=None, completed_at=None
    ),
}


def stream_of(answer: dict[str, Any]) -> bytes:
    return b"".join(events(RESPONSES, json.dumps(answer).encode(), include_usage=False))


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_the_sdk_ends_with_the_answer(answer: dict[str, Any]) -> None:
    """All of it, with the fields that no event but the last brings."""
    with (
        replay(KEEP_ALIVE + stream_of(answer)) as client,
        client.responses.stream(model="any", input="Hello") as stream,
    ):
        told: list[Any] = list(stream)
    assert told[-1].type == f"response.{answer['status']}"
    assert covers(told[-1].response.to_dict(), answer)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_every_event_is_one(answer: dict[str, Any]) -> None:
    """By the published schema and by the SDK's types; numbered without a gap, and named as their type says."""
    stream = stream_of(answer)
    with replay(stream) as client:
        told = list(client.responses.create(model="any", input="Hello", stream=True))
    assert [event.to_dict() for event in told] == read(stream)
    for number, event in zip(count(), read(stream), strict=False):
        assert event["sequence_number"] == number
        assert_published_event(event)
        SDK_EVENT.validate_python(event)
    names = [line.removeprefix(b"event: ").decode() for line in stream.splitlines() if line.startswith(b"event: ")]
    assert names == [event["type"] for event in read(stream)]
    assert b"[DONE]" not in stream


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_the_events_alone_give_the_output(answer: dict[str, Any]) -> None:
    """A client that writes along, and never looks at the last event, has been told everything."""
    items: list[Any] = []
    for event in read(stream_of(answer))[2:-1]:
        follow(items, event)
    assert items == answer["output"]


def follow(items: list[Any], event: dict[str, Any]) -> None:
    """What a client that writes along does; what is shown complete must be what it has written."""
    at, kind = event["output_index"], event["type"]
    part_list = "summary" if "summary_index" in event else "content"
    part_at = event.get("summary_index", event.get("content_index"))
    if kind == "response.output_item.added":
        assert at == len(items)
        items.append(event["item"])
    elif kind == "response.output_item.done":
        unmarked = {name: value for name, value in event["item"].items() if name != "status"}
        assert covers(items[at], unmarked)
        items[at] = event["item"]
    elif kind.endswith("part.added"):
        assert part_at == len(items[at][part_list])
        items[at][part_list].append(event["part"])
    elif kind.endswith("part.done"):
        part = items[at][part_list][part_at]
        assert event["part"] == part | {name: event["part"][name] for name in event["part"] if name == "logprobs"}
        items[at][part_list][part_at] = event["part"]
    elif kind == "response.output_text.annotation.added":
        items[at]["content"][part_at]["annotations"].insert(event["annotation_index"], event["annotation"])
    else:
        holder = items[at] if part_at is None else items[at][part_list][part_at]
        field = {"function_call": "arguments", "custom_tool_call": "input", "refusal": "refusal"}.get(
            holder["type"], "text"
        )
        if kind.endswith(".delta"):
            assert event["delta"]
            holder[field] += event["delta"]
        else:
            assert kind.endswith(".done")
            assert event[field] == holder[field]


def test_a_message_is_told_step_by_step() -> None:
    """The order of OpenAI's own streams, on which user interfaces are built."""
    told = [event["type"] for event in read(stream_of(response(message(text("Hi", [CITATION])))))]
    assert told == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_what_has_only_begun_does_not_know_its_end() -> None:
    """A client that shows the first events must not show an answer, a price or an error of a response just begun."""
    created, in_progress, added = read(stream_of(ANSWERS["a text"]))[:3]
    for event in (created, in_progress):
        begun = event["response"]
        assert (begun["status"], begun["output"], begun["usage"], begun["completed_at"]) == (
            "in_progress",
            [],
            None,
            None,
        )
        assert begun["metadata"] == {"team": "blue"}
    assert (added["item"]["status"], added["item"]["content"]) == ("in_progress", [])


@pytest.mark.parametrize(
    "item",
    [
        {"id": "x", "type": "telepathy", "thought": "blue"},
        {"type": "message", "content": None},
        message({"type": "hologram", "depth": 3}),
        {"id": "m", "type": "message", "content": ["a text where a part was expected"]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": None},
        message(text("half \ud83d emoji")),
        "a text where an object was expected",
    ],
)
def test_what_is_not_known_passes_whole(item: Any) -> None:
    """OpenAI adds kinds of items every few months, and other providers have their own."""
    told = read(stream_of(response(item)))
    assert told[-1]["response"]["output"] == [item]
    assert told[-2]["item"] == item
    with replay(stream_of(response(item))) as client:
        assert list(client.responses.create(model="any", input="Hello", stream=True))[-1].type == "response.completed"


@pytest.mark.parametrize(
    ("status", "last"),
    [(None, "response.completed"), ("cancelled", "response.incomplete"), ("failed", "response.failed")],
)
def test_the_last_event_says_how_it_ended(status: Any, last: str) -> None:
    """Providers that leave the status out mean a completed one; what was cancelled must not look complete."""
    assert read(stream_of(response(status=status)))[-1]["type"] == last


def test_an_error_is_an_event_of_the_schema_too() -> None:
    """Besides the nested form, which the service sends, clients that were made from the schema find theirs."""
    error = {"message": "Gone.", "type": "server_error", "param": None, "code": "batch_expired"}
    stream = failure_event(RESPONSES, json.dumps({"error": error}).encode())
    (event,) = read(stream)
    assert_published_event(event)
    assert event == {
        "type": "error",
        "code": "batch_expired",
        "message": "Gone.",
        "param": None,
        "sequence_number": 0,
        "error": error,
    }
    assert stream.startswith(b"event: error\n")


@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_a_text_is_the_sum_of_its_deltas(value: str) -> None:
    """Not a space may be lost, whatever the text, of a message or of a call."""
    value = json.loads(json.dumps(value))
    told = read(stream_of(response(message(text(value)), CALL | {"arguments": value})))
    deltas = [event for event in told if event["type"].endswith(".delta")]
    assert "".join(event["delta"] for event in deltas if event["output_index"] == 0) == value
    assert "".join(event["delta"] for event in deltas if event["output_index"] == 1) == value
