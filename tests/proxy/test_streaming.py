"""Chat completions and completions as streams: what a client adds up is the answer it would have got in one piece."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES
from batchframe.proxy.streaming import KEEP_ALIVE, events, failure_event
from tests.proxy.replaying import covers, read, replay
from tests.published import assert_published

TURNS: list[Any] = [{"role": "user", "content": "Hello"}]
LONG = "Once upon a time there was a batch that took its time. " * 9 + "\n\n  The end\u2028or not.\n"
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 12,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
}
LOGPROBS = [
    {"token": token, "logprob": -0.25, "bytes": list(token.encode()), "top_logprobs": []} for token in ("Hel", "lo")
]
CALLS = [
    {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": json.dumps({"city": "Ulm " * 99})},
    },
    {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": ""}},
]
CITATION = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 2, "url": "https://e.org", "title": "E"},
}


def choice(index: int = 0, finish_reason: str = "stop", logprobs: Any = None, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **message}
    return {"index": index, "message": said, "logprobs": logprobs, "finish_reason": finish_reason}


def chat(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-5-mini-2025-08-07",
        "choices": list(choices),
        "usage": USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        **more,
    }


ANSWERS = {
    "a text": chat(choice(content=LONG)),
    "an empty text": chat(choice(content="")),
    "nothing": chat(choice()),
    "a refusal": chat(choice(refusal="I cannot help with that, " * 9)),
    "tool calls": chat(choice(finish_reason="tool_calls", tool_calls=CALLS)),
    "a text and tool calls": chat(choice(content="Let me see.", finish_reason="tool_calls", tool_calls=CALLS)),
    "a call of old": chat(choice(finish_reason="function_call", function_call={"name": "f", "arguments": "{}"})),
    "annotations": chat(choice(content="See E.", annotations=[CITATION])),
    "logprobs": chat(choice(content="Hello", logprobs={"content": LOGPROBS, "refusal": None})),
    "logprobs of a refusal": chat(choice(refusal="Hello", logprobs={"content": None, "refusal": LOGPROBS})),
    "several choices": chat(
        choice(0, content="One."), choice(1, refusal="No."), choice(2, content=LONG, tool_calls=CALLS)
    ),
    "choices in disorder": chat(choice(1, content="Two."), choice(0, content="One.")),
    "fields of another provider": chat(choice(content="Hi", reasoning_content="Hm."), citations=["https://e.org"]),
}


def stream_of(answer: dict[str, Any], endpoint: str = CHAT, include_usage: bool = True) -> bytes:
    return b"".join(events(endpoint, json.dumps(answer).encode(), include_usage=include_usage))


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_the_sdk_puts_the_answer_together_again(answer: dict[str, Any]) -> None:
    """A client that streams must end with what another, which does not, is given."""
    with (
        replay(KEEP_ALIVE + stream_of(answer)) as client,
        client.chat.completions.stream(model="any", messages=TURNS) as stream,
    ):
        final = stream.get_final_completion().to_dict()
    in_order = {**answer, "choices": sorted(answer["choices"], key=lambda one: one["index"])}
    assert covers(final, in_order)


def test_the_sdk_sees_that_an_answer_was_cut_short() -> None:
    """Its helper raises then, and shows what there is."""
    answer = chat(choice(content=LONG, finish_reason="length"))
    with (
        replay(stream_of(answer)) as client,
        client.chat.completions.stream(model="any", messages=TURNS) as stream,
        pytest.raises(openai.LengthFinishReasonError) as raised,
    ):
        stream.get_final_completion()
    assert covers(raised.value.completion.to_dict(), answer)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_every_chunk_is_one(answer: dict[str, Any]) -> None:
    """By the published schema and by the SDK's types, and each with the answer's head."""
    with replay(stream_of(answer)) as client:
        chunks = list(client.chat.completions.create(model="any", messages=TURNS, stream=True))
    assert [chunk.to_dict() for chunk in chunks] == read(stream_of(answer))
    for chunk in read(stream_of(answer)):
        assert_published("CreateChatCompletionStreamResponse", chunk)
        ChatCompletionChunk.model_validate(chunk)
        for name in ("id", "created", "model", "service_tier", "system_fingerprint"):
            assert chunk[name] == answer[name]
    assert stream_of(answer).endswith(b"data: [DONE]\n\n")


def test_the_usage_comes_last_and_only_if_asked_for() -> None:
    """With `include_usage` every other chunk says null; without, none knows the field."""
    asked = read(stream_of(ANSWERS["a text"]))
    assert [chunk["usage"] for chunk in asked] == [None] * (len(asked) - 1) + [USAGE]
    assert asked[-1]["choices"] == []
    unasked = read(stream_of(ANSWERS["a text"], include_usage=False))
    assert not [chunk for chunk in unasked if "usage" in chunk]
    assert [chunk["choices"] for chunk in unasked] == [chunk["choices"] for chunk in asked[:-1]]


def test_a_choice_begins_with_its_role_and_ends_with_its_reason() -> None:
    """Clients wait for both; a long text in between comes in many chunks."""
    chunks = [chunk["choices"][0] for chunk in read(stream_of(ANSWERS["a text"], include_usage=False))]
    assert chunks[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert chunks[-1]["delta"] == {}
    assert [one["finish_reason"] for one in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len(chunks) > 6


def test_a_field_of_a_choice_that_is_not_known_comes_with_its_reason() -> None:
    """There other providers send theirs, as vLLM its `stop_reason`; the answer's own fields come once, at the start."""
    answer = chat(choice(content="Hi") | {"stop_reason": 2}, choice(1, content="Ho"), citations=["https://e.org"])
    chunks = read(stream_of(answer))
    assert [chunk["choices"] for chunk in chunks if "citations" in chunk] == [chunks[0]["choices"]]
    told = [one for chunk in chunks for one in chunk["choices"]]
    assert [one["finish_reason"] for one in told if "stop_reason" in one] == ["stop"]


def test_a_tool_call_is_named_before_its_arguments_come() -> None:
    """A client knows by the index which call the arguments belong to, and by the first delta what is called."""
    chunks = read(stream_of(ANSWERS["tool calls"], include_usage=False))
    deltas = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert deltas[0] == {**CALLS[0], "function": {"name": "weather", "arguments": ""}, "index": 0}
    assert deltas[-1] == {**CALLS[1], "index": 1}
    assert all(set(delta) == {"index", "function"} for delta in deltas[1:-1])
    assert len(deltas) > 4


def test_calls_of_custom_tools_come_in_pieces_and_unknown_ones_whole() -> None:
    """A new kind of call must not break the stream; nothing of it is lost."""
    custom: dict[str, Any] = {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "echo " * 40}}
    unknown = {"id": "u", "type": "wish", "wish": {"for": "rain"}}
    chunks = read(stream_of(chat(choice(tool_calls=[custom, unknown])), include_usage=False))
    deltas = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert "".join(delta["custom"]["input"] for delta in deltas[:-1]) == custom["custom"]["input"]
    assert deltas[-1] == {**unknown, "index": 1}


@pytest.mark.parametrize("content", [[{"type": "text", "text": "Hi"}], [], "lone \ud800 surrogate"])
def test_content_that_is_no_plain_text_passes(content: Any) -> None:
    """Some providers answer in parts, and half an emoji is legal JSON."""
    with replay(stream_of(chat(choice(content=content)))) as client:
        chunks = list(client.chat.completions.create(model="any", messages=TURNS, stream=True))
    told = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert content in told


COMPLETION_LOGPROBS = {
    "tokens": ["Hel", "lo"],
    "token_logprobs": [-0.5, -1.5],
    "top_logprobs": [],
    "text_offset": [0, 3],
}


@pytest.mark.parametrize("logprobs", [None, COMPLETION_LOGPROBS], ids=["plain", "logprobs"])
def test_a_completion_streams_as_a_chat_does(logprobs: Any) -> None:
    """The old endpoint is in batches too."""
    choices = [
        {"index": 0, "text": LONG, "finish_reason": "length", "logprobs": logprobs},
        {"index": 1, "text": "", "finish_reason": "stop", "logprobs": None},
    ]
    answer = chat(*choices, object="text_completion")
    with replay(stream_of(answer, COMPLETIONS)) as client:
        chunks = list(client.completions.create(model="any", prompt="Hello", stream=True))
    for chunk in read(stream_of(answer, COMPLETIONS)):
        assert_published("CreateCompletionResponse", chunk)
        assert covers(
            chunk, {name: answer[name] for name in ("id", "created", "model", "object", "system_fingerprint")}
        )
    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    for each in choices:
        mine = [one for one in told if one.index == each["index"]]
        assert "".join(one.text for one in mine) == each["text"]
        assert [one.finish_reason for one in mine] == [None] * (len(mine) - 1) + [each["finish_reason"]]
        assert [one.logprobs.to_dict() for one in mine if one.logprobs] == [logprobs] * (each["logprobs"] is not None)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.to_dict() == USAGE


@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_a_text_is_the_sum_of_its_deltas(text: str) -> None:
    """Not a space may be lost, whatever the text: line ends of all kinds, half emojis, nothing at all."""
    text = json.loads(json.dumps(text))
    told = read(stream_of(chat(choice(content=text)), include_usage=False))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in told) == text
    refused = read(stream_of(chat(choice(refusal=text)), include_usage=False))
    assert "".join(chunk["choices"][0]["delta"].get("refusal") or "" for chunk in refused) == text
    completed = read(stream_of({"choices": [{"text": text}]}, COMPLETIONS, include_usage=False))
    assert "".join(chunk["choices"][0]["text"] for chunk in completed) == text


ERROR = {"message": "The batch expired.", "type": "server_error", "param": None, "code": "batch_expired"}


@pytest.mark.parametrize("endpoint", [CHAT, COMPLETIONS, RESPONSES])
def test_an_error_in_a_stream_is_an_exception_of_the_sdk(endpoint: str) -> None:
    """The status was 200 long ago; a failure that looks like an empty answer would be taken for one."""
    with replay(KEEP_ALIVE * 3 + failure_event(endpoint, json.dumps({"error": ERROR}).encode())) as client:
        calls: dict[str, Any] = {
            CHAT: lambda: client.chat.completions.create(model="any", messages=TURNS, stream=True),
            COMPLETIONS: lambda: client.completions.create(model="any", prompt="Hello", stream=True),
            RESPONSES: lambda: client.responses.create(model="any", input="Hello", stream=True),
        }
        with pytest.raises(openai.APIError) as raised:
            list(calls[endpoint]())
    assert raised.value.message == ERROR["message"]
    assert raised.value.body == ERROR


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Bad gateway</html>", "<html>Bad gateway</html>"),
        (b'{"error": "no money"}', "no money"),
        (b'{"detail": "gone"}', '{"detail": "gone"}'),
        (b"[]", "[]"),
        (b"\xff", "\ufffd"),
    ],
)
def test_an_error_that_is_not_openais_is_told_all_the_same(body: bytes, message: str) -> None:
    """What stands between us and the provider answers in words of its own."""
    (event,) = read(failure_event(CHAT, body))
    assert event["error"] == {"message": message, "type": "server_error", "param": None, "code": None}


def test_what_cannot_be_streamed_is_refused_before_the_first_event() -> None:
    """A stream that has begun cannot take its status back."""
    with pytest.raises(ValueError):
        events(EMBEDDINGS, b"{}", include_usage=False)
    for body in (b"[]", b"{", b""):
        with pytest.raises(ValueError):
            events(CHAT, body, include_usage=False)
