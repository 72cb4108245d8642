"""Answers: what a response body of each endpoint says, as a text or a vector.

Only the fields that matter are decoded; the rest of the body is skipped, not built. A field that is missing or of
another kind makes the answer unreadable, never an exception in the engine.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any, TypeVar

import msgspec

from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, NO_USAGE, RESPONSES, Usage

T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back in a successful response.

    Attributes:
        text: the answer's text; a tool call's JSON when the model answered by tool calls, the results' JSON for
            moderations; None for embeddings.
        vector: the embedding; None for the other endpoints.
        code, problem: set when the response carries no usable answer, and why.
        truncated: whether the text stops at a token limit.
    """

    text: str | None = None
    vector: list[float] | None = None
    code: str | None = None
    problem: str | None = None
    truncated: bool = False
    usage: Usage = NO_USAGE


def read_answer(endpoint: str, body: bytes) -> Answer:
    """Read a 2xx response body of the endpoint; never raises."""
    try:
        return _READERS[endpoint](body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Answer(code="unreadable_answer", problem=f"The response cannot be read: {error}")


def decode_json(text: bytes | str, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode JSON into the decoder's type, also when it holds lone surrogates.

    Those are legal JSON escapes that name no character; strict decoders refuse them, so they become U+FFFD.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeError):
        return msgspec.convert(without_lone_surrogates(json.loads(text)), type=decoder.type)


def without_lone_surrogates(value: Any) -> Any:
    """The same JSON value with every lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_lone_surrogates(key): without_lone_surrogates(item) for key, item in value.items()}
    return value


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    """Chat and embeddings say prompt and completion, responses say input and output."""

    prompt_tokens: int | None = None
    input_tokens: int | None = None
    completion_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None

    def plain(self) -> Usage:
        details = self.prompt_tokens_details or self.input_tokens_details
        return Usage(
            input=_tokens(self.prompt_tokens or self.input_tokens),
            cached=_tokens(details.cached_tokens if details else 0),
            output=_tokens(self.completion_tokens or self.output_tokens),
        )


def _tokens(count: int | None) -> int:
    """A count as the store can hold it."""
    return min(max(count or 0, 0), 2**31 - 1)


def _plain(usage: _Usage | None) -> Usage:
    return usage.plain() if usage else NO_USAGE


def _settle(text: str | None, refusal: str | None, stopped: str | None, usage: Usage) -> Answer:
    if refusal:
        return Answer(text=text, code="refusal", problem=f"The model refused: {refusal}", usage=usage)
    if stopped == "content_filter":
        return Answer(text=text, code="content_filter", problem="The provider's content filter cut it.", usage=usage)
    truncated = stopped in ("length", "max_output_tokens")
    if not text:
        why = "the token limit was reached before any text" if truncated else "the response holds no text"
        return Answer(text=text, code="empty_answer", problem=f"No answer: {why}.", truncated=truncated, usage=usage)
    return Answer(text=text, truncated=truncated, usage=usage)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Chat(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_chat_decoder = msgspec.json.Decoder(_Chat)


def _read_chat(body: bytes) -> Answer:
    chat = decode_json(body, _chat_decoder)
    usage = _plain(chat.usage)
    if not chat.choices:
        return Answer(code="empty_answer", problem="No answer: the response holds no choice.", usage=usage)
    choice = chat.choices[0]
    text = choice.message.content
    calls = bytes(choice.message.tool_calls)
    if not text and calls not in (b"null", b"[]"):
        text = calls.decode("utf-8", "replace")
    return _settle(text, choice.message.refusal, choice.finish_reason, usage)


class _Content(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str
    content: list[_Content] | None = None
    name: str | None = None
    arguments: str | None = None
    call_id: str | None = None


class _Reason(msgspec.Struct):
    reason: str | None = None
    code: str | None = None
    message: str | None = None


class _Response(msgspec.Struct):
    output: list[_Item]
    status: str | None = None
    error: _Reason | None = None
    incomplete_details: _Reason | None = None
    usage: _Usage | None = None


_response_decoder = msgspec.json.Decoder(_Response)


def _read_response(body: bytes) -> Answer:
    response = decode_json(body, _response_decoder)
    usage = _plain(response.usage)
    if response.status == "failed" and response.error:
        return Answer(code=response.error.code or "failed", problem=response.error.message, usage=usage)
    parts = [part for item in response.output if item.type == "message" for part in item.content or ()]
    text = "".join(part.text or "" for part in parts if part.type == "output_text")
    refusal = "".join(part.refusal or "" for part in parts if part.type == "refusal")
    calls = [item for item in response.output if item.type == "function_call"]
    if not text and calls:
        text = msgspec.json.encode(
            [{"name": call.name, "arguments": call.arguments, "call_id": call.call_id} for call in calls]
        ).decode()
    stopped = response.incomplete_details.reason if response.incomplete_details else None
    return _settle(text, refusal, stopped, usage)


class _Embedding(msgspec.Struct):
    embedding: list[float] | str


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]
    usage: _Usage | None = None


_embeddings_decoder = msgspec.json.Decoder(_Embeddings)


def _read_embedding(body: bytes) -> Answer:
    embeddings = decode_json(body, _embeddings_decoder)
    usage = _plain(embeddings.usage)
    if not embeddings.data:
        return Answer(code="empty_answer", problem="No answer: the response holds no embedding.", usage=usage)
    vector = embeddings.data[0].embedding
    return Answer(vector=_floats(vector) if isinstance(vector, str) else vector, usage=usage)


def _floats(encoded: str) -> list[float]:
    """A vector in base64, as the SDKs ask for it by default: 32-bit floats, the low byte first."""
    packed = base64.b64decode(encoded, validate=True)
    if len(packed) % 4:
        raise ValueError("a vector in base64 is cut off")
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


class _Completion(msgspec.Struct):
    text: str | None = None
    finish_reason: str | None = None


class _Completions(msgspec.Struct):
    choices: list[_Completion]
    usage: _Usage | None = None


_completions_decoder = msgspec.json.Decoder(_Completions)


def _read_completion(body: bytes) -> Answer:
    completions = decode_json(body, _completions_decoder)
    usage = _plain(completions.usage)
    if not completions.choices:
        return Answer(code="empty_answer", problem="No answer: the response holds no choice.", usage=usage)
    choice = completions.choices[0]
    return _settle(choice.text, None, choice.finish_reason, usage)


class _Moderations(msgspec.Struct):
    results: list[dict[str, Any]]


_moderations_decoder = msgspec.json.Decoder(_Moderations)


def _read_moderation(body: bytes) -> Answer:
    """Moderations are free of charge, so they come without usage."""
    results = decode_json(body, _moderations_decoder).results
    if not results:
        return Answer(code="empty_answer", problem="No answer: the response holds no result.")
    return Answer(text=msgspec.json.encode(results[0] if len(results) == 1 else results).decode())


_READERS = {
    CHAT: _read_chat,
    RESPONSES: _read_response,
    EMBEDDINGS: _read_embedding,
    COMPLETIONS: _read_completion,
    MODERATIONS: _read_moderation,
}
