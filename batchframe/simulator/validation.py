"""The provider's check of an input file: as a whole, line by line, before anything runs. Sources: facts §2.5.

A line is first read with a decoder that looks only at what the rules are about, a microsecond a line. A line that does
not pass it is looked at again, slowly, to say what is wrong; one error a line, up to a number of errors a file.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import msgspec

from batchframe.model import CHAT, EMBEDDINGS, RESPONSES
from batchframe.simulator import models
from batchframe.simulator.embeddings import inputs_of
from batchframe.simulator.settings import Settings
from batchframe.simulator.tokens import tokens_of_bytes
from batchframe.wire import jsontext

_PROMPT_PARAMETER = {CHAT: "messages", RESPONSES: "input", EMBEDDINGS: "input"}
_FAMILY = {CHAT: "Chat Completions", RESPONSES: "Responses", EMBEDDINGS: "Embeddings"}


class _Body(msgspec.Struct):
    model: str
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    stream: bool | None = None


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: _Body


class InputFile(msgspec.Struct):
    """What validation learned of a file.

    Attributes:
        ends: the offset behind each line, so that lines can be answered in any order.
        tokens: an estimate of its prompt tokens: a quarter of the bytes of their JSON.
        errors: entries of `errors.data`; the file is refused if there are any.
    """

    ends: array[int]
    model: str | None = None
    tokens: int = 0
    errors: list[dict[str, Any]] = []


def line_error(code: str, message: str, line: int | None = None, param: str | None = None) -> dict[str, Any]:
    """An entry of a batch's `errors.data`."""
    return {"code": code, "line": line, "message": message, "param": param}


def missing_parameter(endpoint: str, body: dict[str, Any]) -> tuple[str, str] | None:
    """The parameter a body must have and has not, with its message; in real time and in batches alike."""
    if not isinstance(body.get("model"), str):
        return "model", "Model parameter is required."
    prompt = _PROMPT_PARAMETER[endpoint]
    if body.get(prompt) is None and not (endpoint == RESPONSES and _continues(body)):
        return prompt, f"{prompt.capitalize()} parameter is required."
    return None


def check_file(path: Path, endpoint: str, settings: Settings) -> InputFile:
    """Validate the content of an input file for an endpoint."""
    return _Check(endpoint, settings).run(path)


class _Check:
    def __init__(self, endpoint: str, settings: Settings) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self.file = InputFile(array("Q"), errors=[])
        self.seen: set[str] = set()
        self.inputs = 0
        self._decode = msgspec.json.Decoder(_Line).decode

    def run(self, path: Path) -> InputFile:
        file, errors, position = self.file, self.file.errors, 0
        with path.open("rb") as content:
            for line in content:
                position += len(line)
                file.ends.append(position)
                if not self._passes(line) and len(errors) < self.settings.max_errors:
                    error = self._examine(line, len(file.ends))
                    if error is not None:
                        errors.append(error)
        self._check_size(len(file.ends))
        return file

    def _passes(self, line: bytes) -> bool:
        """Whether a line is beyond doubt; False means: look closer."""
        try:
            found = self._decode(line)
            if not line.isascii():
                line.decode()  # the decoder does not look into what it skips
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        body = found.body
        prompt = body.messages if self.endpoint == CHAT else body.input
        size = len(prompt)
        if (
            found.custom_id in self.seen
            or body.model != self.file.model
            or found.url != self.endpoint
            or found.method != "POST"
            or body.stream
            or size <= len(b"null")
            or self.endpoint == EMBEDDINGS
        ):
            return False
        self.seen.add(found.custom_id)
        self.file.tokens += tokens_of_bytes(size)
        return True

    def _examine(self, text: bytes, line: int) -> dict[str, Any] | None:
        """What is wrong with a line; None if it is in order after all, and then it counts."""
        try:
            found = jsontext.decode(text)
        except ValueError:
            return line_error("invalid_json_line", "This line is not parseable as valid JSON.", line)
        if not isinstance(found, dict):
            return line_error("invalid_json_line", "This line is not parseable as valid JSON.", line)
        return self._examine_envelope(found, line) or self._examine_body(found["custom_id"], found["body"], line)

    def _examine_envelope(self, found: dict[str, Any], line: int) -> dict[str, Any] | None:
        for name, kind in (("custom_id", str), ("method", str), ("url", str), ("body", dict)):
            value = found.get(name)
            if value is None:
                return line_error("missing_required_parameter", f"Missing required parameter: '{name}'.", line, name)
            if not isinstance(value, kind):
                expected = "a string" if kind is str else "an object"
                return line_error("invalid_type", f"Invalid type for '{name}': expected {expected}.", line, name)
        if found["method"] != "POST":
            message = f"Invalid value: '{found['method']}'. Supported values are: 'POST'"
            return line_error("invalid_method", message, line, "method")
        if found["url"] != self.endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            return line_error("invalid_url", message, line, "url")
        if found["custom_id"] in self.seen:
            message = (
                f"The custom_id '{found['custom_id']}' for this request is a duplicate of another request. "
                "The custom_id parameter must be unique for each request in a batch."
            )
            return line_error("duplicate_custom_id", message, line, "custom_id")
        return None

    def _examine_body(self, custom_id: str, body: dict[str, Any], line: int) -> dict[str, Any] | None:
        if body.get("stream"):
            message = f"{_FAMILY[self.endpoint]}: Streaming is not supported in the Batch API."
            return line_error("streaming_unsupported", message, line, "body.stream")
        missing = missing_parameter(self.endpoint, body)
        if missing is not None:
            return line_error("invalid_request", missing[1], line, f"body.{missing[0]}")
        model = body["model"]
        if not models.exists(model, self.settings):
            message = f"The provided model '{model}' is not supported by the Batch API."
            return line_error("model_not_found", message, line, "body.model")
        if self.file.model is None:
            self.file.model = model
        elif model != self.file.model:
            message = (
                f"The model '{model}' for this request does not match the rest of the batch. "
                "Each batch must contain requests for a single model."
            )
            return line_error("mismatched_model", message, line, "body.model")
        self._count(custom_id, body)
        return None

    def _count(self, custom_id: str, body: dict[str, Any]) -> None:
        prompt = body.get(_PROMPT_PARAMETER[self.endpoint])
        self.seen.add(custom_id)
        self.file.tokens += tokens_of_bytes(len(jsontext.encode(prompt)))
        if self.endpoint == EMBEDDINGS:
            self.inputs += len(inputs_of(prompt))

    def _check_size(self, lines: int) -> None:
        """Limits of the file as a whole; OpenAI's wording is not known, the code is Azure's."""
        limit = self.settings.max_requests
        if lines > limit:
            message = f"The input file has {lines} requests; the maximum is {limit}."
            self.file.errors.insert(0, line_error("too_many_tasks", message))
        if self.inputs > self.settings.max_inputs:
            message = f"The input file has {self.inputs} embedding inputs; the maximum is {self.settings.max_inputs}."
            self.file.errors.insert(0, line_error("too_many_tasks", message))


def _continues(body: dict[str, Any]) -> bool:
    """Whether a responses request has its input elsewhere."""
    return any(body.get(name) is not None for name in ("prompt", "previous_response_id", "conversation"))
