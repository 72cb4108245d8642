"""The provider's check of an input file: as a whole, line by line, before anything runs. Sources: facts §2.5.

A line is first read with a decoder that looks only at what the rules are about, a microsecond a line. A line that does
not pass it is looked at again, slowly, to say what is wrong; one error a line, up to a number of errors a file.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import msgspec

from batchframe.model import EMBEDDINGS
from batchframe.simulator import models
from batchframe.simulator.embeddings import inputs_of
from batchframe.simulator.settings import Settings
from batchframe.simulator.tokens import tokens_of_bytes
from batchframe.wire import jsontext
from batchframe.wire.batch_lines import (
    PROMPT_PARAMETER,
    LineError,
    duplicate,
    line_error,
    other_model,
    read_line,
    unparseable,
    wrong_body,
    wrong_envelope,
)


class _Body(msgspec.Struct):
    model: str
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
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
    errors: list[LineError] = []


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
        prompt = getattr(body, PROMPT_PARAMETER[self.endpoint])
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

    def _examine(self, text: bytes, line: int) -> LineError | None:
        """What is wrong with a line; None if it is in order after all, and then it counts."""
        found = read_line(text)
        if found is None:
            return unparseable(line)
        error = wrong_envelope(found, self.endpoint, line)
        if error is not None:
            return error
        custom_id, body = found["custom_id"], found["body"]
        if custom_id in self.seen:
            return duplicate(custom_id, line)
        error = wrong_body(body, self.endpoint, line) or self._wrong_model(body.get("model"), line)
        if error is None:
            self._count(custom_id, body)
        return error

    def _wrong_model(self, model: Any, line: int) -> LineError | None:
        if not models.exists(model, self.settings):
            message = f"The provided model '{model}' is not supported by the Batch API."
            return line_error("model_not_found", message, line, "body.model")
        if self.file.model is None:
            self.file.model = model
        return other_model(model, line) if model != self.file.model else None

    def _count(self, custom_id: str, body: dict[str, Any]) -> None:
        prompt = body.get(PROMPT_PARAMETER[self.endpoint])
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
