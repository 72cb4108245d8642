"""A finished answer as the server-sent events OpenAI would have streamed, for clients that asked for `stream: true`.

A batch answers whole, so a stream is keep-alives first and everything at its end. The functions here are pure: what is
sent when, and to whom, is the caller's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchframe.model import CHAT, COMPLETIONS, RESPONSES
from batchframe.proxy.server_sent import DONE, KEEP_ALIVE, message
from batchframe.proxy.streaming_chunks import chat_chunks, completion_chunks
from batchframe.proxy.streaming_responses import response_events
from batchframe.wire import jsontext

__all__ = ["KEEP_ALIVE", "STREAMED", "events", "failure_event"]

STREAMED = frozenset({CHAT, COMPLETIONS, RESPONSES})
"""The endpoints that know `stream: true`."""


def events(endpoint: str, body: bytes, *, include_usage: bool) -> Iterator[bytes]:
    """The events of an answer, given as the JSON object that is sent without `stream`.

    What cannot be read raises ValueError here, before the first event. `include_usage` is the request's
    `stream_options.include_usage`; the Responses API has no such option and always ends with the usage.
    """
    if endpoint not in STREAMED:
        raise ValueError(f"{endpoint} has no streams.")
    answer = jsontext.decode(body)
    if not isinstance(answer, dict):
        raise ValueError("The answer is not a JSON object.")
    if endpoint == RESPONSES:
        return response_events(answer)
    return _messages((chat_chunks if endpoint == CHAT else completion_chunks)(answer, include_usage))


def failure_event(endpoint: str, error_body: bytes) -> bytes:
    """How an error is said in a stream whose status, 200, has gone out already.

    The Responses API documents the error's fields at the top of the event and sends them nested under `error`
    (openai-dotnet issue 881). OpenAI's own SDK raises for the nested form alone, so both are there. Its number is 0
    because nothing but keep-alives can have gone before.
    """
    error = _error(error_body)
    if endpoint != RESPONSES:
        return message({"error": error}) + DONE
    told = {name: error.get(name) for name in ("code", "message", "param")}
    return message({"type": "error", **told, "sequence_number": 0, "error": error}, "error")


def _messages(chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield from map(message, chunks)
    yield DONE


def _error(body: bytes) -> dict[str, Any]:
    """The error object of a body; a body that has none, as of a gateway on the way, is itself the message."""
    text = body.decode("utf-8", "replace")
    try:
        found = jsontext.decode(body)["error"]
    except (ValueError, LookupError, TypeError):
        found = text
    if not isinstance(found, dict):
        found = {"message": found if isinstance(found, str) else text}
    return {"message": text, "type": "server_error", "param": None, "code": None} | found
