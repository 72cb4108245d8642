"""Calls: what a body and its headers come to, without a server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.providers.openai import parameters
from batchframe.proxy.calls import Call, parse
from batchframe.wire.refusals import Refusal

TURNS = [{"role": "user", "content": "Hello"}]
REQUIRED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": TURNS}, RESPONSES: {"input": "Hello"}, EMBEDDINGS: {"input": "Hello"},
    COMPLETIONS: {"prompt": "Hello"}, MODERATIONS: {"input": "Hello"},
}  # fmt: skip


def called(endpoint: str = CHAT, headers: dict[str, str] | None = None, **body: Any) -> Call:
    sent = {"model": "gpt-5-mini", **REQUIRED[endpoint], **body}
    return parse(endpoint, json.dumps(sent).encode(), headers or {}, parameters(endpoint))


def refused(raw: bytes | None = None, endpoint: str = CHAT, **body: Any) -> Refusal:
    with pytest.raises(Refusal) as raised:
        if raw is None:
            called(endpoint, **body)
        else:
            parse(endpoint, raw, {}, parameters(endpoint))
    return raised.value


@pytest.mark.parametrize("endpoint", REQUIRED)
def test_the_body_is_what_was_sent_without_what_only_concerns_the_connection(endpoint: str) -> None:
    """A batch refuses `stream`, and a row that is refused after an hour is an hour lost."""
    body = json.loads(called(endpoint).body)
    assert body == {"model": "gpt-5-mini", **REQUIRED[endpoint]}


def test_streaming_is_taken_out_and_remembered() -> None:
    """The answer comes from a batch, so the events are the proxy's own affair."""
    call = called(stream=True, stream_options={"include_usage": True})
    assert (call.stream, call.include_usage) == (True, True)
    assert json.loads(call.body).keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"audio": {"voice": "x", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"temprature": 1}, "temprature"),
        ({"stream": "yes"}, "stream"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"messages": None}, "messages"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    """The client must see at once which parameter it is."""
    refusal = refused(**body)
    assert (refusal.status, refusal.body.error.param) == (400, param)
    assert refusal.body.error.type == "invalid_request_error"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"text"', b"null", b'{"model": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    """Also one that would exhaust the stack of a parser."""
    assert refused(raw).status == 400


def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    """It would pass the parser here and fail somewhere behind it."""
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    assert "deeper" in str(refused(metadata=deep))


def test_a_lone_surrogate_is_kept() -> None:
    """Legal JSON, and nobody's business but the model's."""
    raw = b'{"model": "m", "messages": [{"role": "user", "content": "a\\ud800b"}]}'
    call = parse(CHAT, raw, {}, parameters(CHAT))
    assert json.loads(call.body)["messages"][0]["content"] == "a\ud800b"


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_the_stored_body_says_the_same_and_can_be_copied(text: str, metadata: dict[str, str]) -> None:
    """COPY relies on there being no control characters."""
    call = called(messages=[{"role": "user", "content": text}], metadata=metadata)
    assert json.loads(call.body)["messages"][0]["content"] == text
    assert json.loads(call.body)["metadata"] == metadata
    assert not any(byte < 32 for byte in call.body)


def test_the_same_call_is_known_again_whether_it_streams_or_not() -> None:
    """It is how a call that comes again finds its request; whoever asks for a receipt wants another thing."""
    assert called().identity == called(stream=True).identity
    other = [
        called(temperature=0.5), called(headers={"prefer": "respond-async"}),
        called(headers={"x-batchframe-deadline": "6h"}),
    ]  # fmt: skip
    assert len({called().identity, *(call.identity for call in other)}) == 4


@pytest.mark.parametrize(
    ("given_", "seconds"), [("90", 90.0), ("30m", 1800.0), ("6h", 21600.0), ("0.5s", 0.5), ("1 d", 86400.0)]
)
def test_a_deadline_is_read(given_: str, seconds: float) -> None:
    """In seconds or with a unit, as `deadline=` of a frame takes it."""
    assert called(headers={"x-batchframe-deadline": given_}).deadline == seconds


@pytest.mark.parametrize("given_", ["soon", "-1", "8d", "1e9", "", "nan"])
def test_a_deadline_that_is_none_is_refused(given_: str) -> None:
    """A misread deadline costs money or time."""
    with pytest.raises(Refusal):
        called(headers={"x-batchframe-deadline": given_})


def test_real_time_is_a_deadline_that_is_over() -> None:
    """It goes the way a frame's deadline goes."""
    assert called(headers={"x-batchframe-mode": "realtime"}).deadline == 0


@pytest.mark.parametrize(
    ("endpoint", "body", "cap"),
    [
        (CHAT, {}, None),
        (CHAT, {"max_completion_tokens": 5}, 5),
        (CHAT, {"max_tokens": 6}, 6),
        (RESPONSES, {"max_output_tokens": 7}, 7),
        (COMPLETIONS, {}, 16),
        (EMBEDDINGS, {}, 0),
    ],
)
def test_the_cap_of_the_answer_is_known(endpoint: str, body: dict[str, Any], cap: int | None) -> None:
    """By it budgets reckon."""
    assert called(endpoint, **body).answer_tokens == cap


def test_preferences_are_read() -> None:
    """`Prefer` may hold several, some of them for others."""
    call = called(headers={"prefer": "handling=strict, wait=30, respond-async"})
    assert (call.patience, call.receipt) == (30.0, True)
