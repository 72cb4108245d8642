"""Chat completions and completions as chunks: each repeats the answer's head and brings the next bit of one choice.

A client adds the bits up, so none may be sent twice. Fields this file does not know (those of other providers too) go
once and whole: an answer's with the first chunk, a message's in a chunk of their own, a choice's with its last chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from batchframe.proxy.server_sent import pieces

Fields = dict[str, Any]

_HEAD = {"id", "created", "model", "service_tier", "system_fingerprint"}
"""What every chunk repeats, after which the SDK's own accumulation takes the last as valid."""

_TOOL_TEXTS = {"function": "arguments", "custom": "input"}
"""Kinds of tool calls, and the field of each that comes in pieces."""


def chat_chunks(answer: Fields, include_usage: bool) -> Iterator[Fields]:
    """A chat completion as `chat.completion.chunk` objects."""
    return _chunks(answer, "chat.completion.chunk", _chat_bits, include_usage)


def completion_chunks(answer: Fields, include_usage: bool) -> Iterator[Fields]:
    """A completion as `text_completion` objects."""
    return _chunks(answer, "text_completion", _completion_bits, include_usage)


def _chunks(
    answer: Fields, kind: str, bits_of: Callable[[Fields], Iterator[Fields]], include_usage: bool
) -> Iterator[Fields]:
    head = {name: value for name, value in answer.items() if name in _HEAD} | {"object": kind}
    no_usage: Fields = {"usage": None} if include_usage else {}
    more = _without(answer, *head, "choices", "usage")
    for at, choice in _in_order(answer.get("choices")):
        for bit in bits_of(choice):
            added = {"index": at, "logprobs": None, "finish_reason": None, **bit}
            yield {**head, **more, "choices": [added], **no_usage}
            more = {}
    if include_usage and answer.get("usage") is not None:
        yield {**head, **more, "choices": [], "usage": answer["usage"]}


def _in_order(choices: Any) -> list[tuple[int, Fields]]:
    """The choices by index: the SDK puts a choice it has not seen at the end of its list, whatever its index."""
    numbered = [(choice.get("index", at), choice) for at, choice in enumerate(choices or [])]
    return sorted(numbered, key=lambda pair: pair[0])


def _chat_bits(choice: Fields) -> Iterator[Fields]:
    """What a chat choice adds, chunk by chunk."""
    message = choice.get("message") or {}
    content, refusal = message.get("content"), message.get("refusal")
    begun = "" if isinstance(content, str) else None
    yield {"delta": {"role": message.get("role") or "assistant", "content": begun, "refusal": None}}
    if choice.get("logprobs") is not None:
        # They belong to tokens, not to pieces, so the text goes whole with all of them.
        texts = {"content": content, "refusal": refusal}
        said = {name: text for name, text in texts.items() if text is not None}
        yield {"delta": said, "logprobs": choice["logprobs"]}
    else:
        yield from ({"delta": {"content": piece}} for piece in _pieces(content))
        yield from ({"delta": {"refusal": piece}} for piece in _pieces(refusal))
    for at, call in enumerate(message.get("tool_calls") or []):
        yield from ({"delta": {"tool_calls": [{"index": at, **bit}]}} for bit in _tool_call_bits(call))
    others = _without(message, "role", "content", "refusal", "tool_calls")
    if said_more := {name: value for name, value in others.items() if value not in (None, [])}:
        yield {"delta": said_more}
    yield {**_without(choice, "index", "message", "logprobs"), "delta": {}}


def _tool_call_bits(call: Fields) -> Iterator[Fields]:
    """A call's name first, and then its arguments; a kind of call that is not known goes whole."""
    kind = call.get("type", "function")
    named, text_field = call.get(kind), _TOOL_TEXTS.get(kind)
    if text_field is None or not isinstance(named, dict) or not isinstance(named.get(text_field), str):
        yield _without(call, "index")
        return
    yield {**_without(call, "index"), "type": kind, kind: {**named, text_field: ""}}
    for piece in pieces(named[text_field]):
        yield {kind: {text_field: piece}}


def _completion_bits(choice: Fields) -> Iterator[Fields]:
    """What a completion's choice adds, chunk by chunk."""
    if choice.get("logprobs") is not None:
        yield {"text": choice.get("text", ""), "logprobs": choice["logprobs"]}
    else:
        yield from ({"text": piece} for piece in _pieces(choice.get("text")))
    yield {**_without(choice, "index", "logprobs"), "text": ""}


def _pieces(content: Any) -> list[Any]:
    """The pieces of a text; content that is no text, as some providers' lists of parts, is one piece."""
    if content is None:
        return []
    return pieces(content) if isinstance(content, str) else [content]


def _without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}
