"""A chat completion as server-sent events: the words of a finished answer, one chunk each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from batchframe.simulator.shapes import ChatCompletion
from batchframe.wire import jsontext


def chat_events(completion: ChatCompletion, include_usage: bool) -> Iterator[bytes]:
    """The events of an answer, ending with `[DONE]`."""
    choice = completion.choices[0]
    message = choice.message
    yield _event(completion, {"role": "assistant", "content": "", "refusal": None})
    for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+", message.content or ""):
        yield _event(completion, {"content": word})
    if message.refusal is not None:
        yield _event(completion, {"refusal": message.refusal})
    if message.tool_calls:
        calls = [{"index": at, **msgspec.to_builtins(call)} for at, call in enumerate(message.tool_calls)]
        yield _event(completion, {"tool_calls": calls})
    yield _event(completion, {}, choice.finish_reason)
    if include_usage:
        yield _line({**_frame(completion), "choices": [], "usage": completion.usage})
    yield b"data: [DONE]\n\n"


def _event(completion: ChatCompletion, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _line({**_frame(completion), "choices": [choice]})


def _frame(completion: ChatCompletion) -> dict[str, Any]:
    return {
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
        "service_tier": completion.service_tier,
        "system_fingerprint": None,
    }


def _line(value: dict[str, Any]) -> bytes:
    return b"data: " + jsontext.encode(value) + b"\n\n"
