"""Who answers: a responder is any function from a request to text, a dict, an `Answer` or a `Failure`.

`echo` and `schema` are built in; a function may be passed as it is or named as `module:function`. Responders run on
the simulator's own threads, so a slow one slows batches and never the server.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import msgspec

from batchframe.errors import ConfigurationError
from batchframe.simulator import schema_answers
from batchframe.wire import jsontext


class Request(msgspec.Struct):
    """What a responder sees of a request.

    Attributes:
        endpoint: as in `/v1/chat/completions`.
        model: as the request names it.
        body: the whole request body.
        custom_id: the line's id in its batch; None in real time.
    """

    endpoint: str
    model: str
    body: dict[str, Any]
    custom_id: str | None = None

    @property
    def prompt(self) -> str:
        """The text of the last user message, or the last of several texts."""
        turns = prompt_of(self.body)
        if isinstance(turns, str):
            return turns
        for turn in reversed(turns if isinstance(turns, list) else []):
            if isinstance(turn, str):
                return turn
            if isinstance(turn, dict) and turn.get("role") == "user":
                return text_of(turn.get("content"))
        return ""

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema the answer must follow; None when the request has none."""
        for holder, name in (("response_format", "json_schema"), ("text", "format")):
            asked = self.body.get(holder)
            described = asked.get(name) if isinstance(asked, dict) else None
            found = described.get("schema") if isinstance(described, dict) else None
            if isinstance(found, dict):
                return found
        return None


class ToolCall(msgspec.Struct):
    """A call of one of the request's tools; arguments are JSON text or a dict."""

    name: str
    arguments: str | dict[str, Any]


class Answer(msgspec.Struct):
    """An answer with more to it than text.

    `finish_reason` speaks the language of chat completions (`stop`, `length`, `content_filter`); `/v1/responses`
    says the same as a status.
    """

    text: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    tool_calls: list[ToolCall] = []


class Failure(Exception):  # noqa: N818 (rows fail; a responder raises or returns it)
    """A row-level error. With `status=None` no HTTP answer came at all, as in `request_timeout`."""

    def __init__(
        self, status: int | None = 500, code: str | None = None, message: str = "The simulator failed this request."
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


Reply = str | dict[str, Any] | Answer | Failure
Responder = Callable[[Request], Reply]


def echo(request: Request) -> Reply:
    """Answer with the last user message."""
    return request.prompt


def schema(request: Request) -> Reply:
    """Answer with an instance of the request's JSON schema that depends on its prompt alone; else like `echo`."""
    wanted = request.schema
    if wanted is None:
        return request.prompt
    return jsontext.encode(schema_answers.instance(wanted, request.prompt)).decode()


def find_responder(named: str | Responder) -> Responder:
    """The responder itself, from a function, `echo`, `schema` or `module:function`.

    Raises:
        ConfigurationError: there is no such responder.
    """
    if not isinstance(named, str):
        return named
    if named in _BUILT_IN:
        return _BUILT_IN[named]
    module, _, function = named.partition(":")
    if not function:
        raise ConfigurationError(f"Unknown responder {named!r}. Use 'echo', 'schema' or 'module:function'.")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"Responder {named!r} cannot be loaded: {error}. Is {module!r} importable from here?"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"Responder {named!r} is not a function.")
    return found  # type: ignore[no-any-return]


def prompt_of(body: dict[str, Any]) -> Any:
    """What a body asks, by whichever name its endpoint gives it."""
    return next((body[name] for name in ("messages", "input", "prompt") if name in body), None)


def text_of(content: Any) -> str:
    """The text of a message's content, whether a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


_BUILT_IN: dict[str, Responder] = {"echo": echo, "schema": schema}
