"""The lines of a client's input file, one by one, whatever parts the file comes in: read, checked, and as requests.

Memory holds one line, or the rest of a part. A line that is beyond doubt is decoded only as far as the rules look; any
other is looked at by the rules themselves (`wire/batch_lines.py`), which say what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

from batchframe.core.results import compact
from batchframe.wire import jsontext
from batchframe.wire.batch_lines import (
    PROMPT_PARAMETER,
    LineError,
    line_error,
    other_model,
    read_line,
    unparseable,
    wrong_body,
    wrong_envelope,
)


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line that is in order.

    Attributes:
        row_no: its number in the file, from 0.
        custom_id: as a JSON string, written the same way for equal ids.
        body: JSON text without control characters.
    """

    row_no: int
    custom_id: bytes
    body: bytes


class WrongLine(Exception):  # noqa: N818 (a finding)
    """A line that is not in order."""

    def __init__(self, error: LineError) -> None:
        super().__init__(error["message"])
        self.error = error


def split(parts: Iterable[bytes], most: int) -> Iterator[bytes | None]:
    """The lines of a file, without their ends; empty ones at its end are none. One longer than `most` comes as None."""
    rest: list[bytes] = []
    size = empty = 0
    for part in parts:
        *ended, begun = part.split(b"\n")
        for piece in ended:
            size += len(piece)
            line = None if size > most else b"".join((*rest, piece)).removesuffix(b"\r")
            rest, size = [], 0
            if line == b"":
                empty += 1
                continue
            yield from _empty(empty)
            empty = 0
            yield line
        size += len(begun)
        if begun and size <= most:
            rest.append(begun)
        elif size > most:
            rest = []
    last = b"".join(rest).removesuffix(b"\r")
    if size > most or last:
        yield from _empty(empty)
        yield None if size > most else last


def _empty(count: int) -> Iterator[bytes]:
    """Empty lines that turned out to have something behind them."""
    for _ in range(count):
        yield b""


class _Body(msgspec.Struct):
    model: str
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    stream: bool | None = None


class _Envelope(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _BodyAlone(msgspec.Struct):
    body: msgspec.Raw


_envelope_decoder = msgspec.json.Decoder(_Envelope)
_body_decoder = msgspec.json.Decoder(_Body)
_body_alone_decoder = msgspec.json.Decoder(_BodyAlone)


class Reader:
    """Reads lines for an endpoint, all of them for the model of the first one.

    Args:
        most: bytes a line may have, so that the provider's own limit of a file admits it.
    """

    def __init__(self, endpoint: str, most: int) -> None:
        self.model: str | None = None
        self._endpoint = endpoint
        self._prompt = PROMPT_PARAMETER[endpoint]
        self._most = most

    def read(self, text: bytes | None, number: int) -> Line:
        """A line of the file by its number, from 1.

        Raises:
            WrongLine: it is not in order.
        """
        if text is None:
            message = f"This line is longer than the {self._most} bytes that a batch may have."
            raise WrongLine(line_error("invalid_request", message, number))
        return self._beyond_doubt(text, number) or self._examined(text, number)

    def _beyond_doubt(self, text: bytes, number: int) -> Line | None:
        try:
            found = _envelope_decoder.decode(text)
            body = _body_decoder.decode(found.body)
            if not text.isascii():
                text.decode()  # the decoder does not look into what it skips
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if (
            body.model != self.model
            or found.url != self._endpoint
            or found.method != "POST"
            or body.stream
            or len(getattr(body, self._prompt)) <= len(b"null")
        ):
            return None
        return Line(number - 1, jsontext.encode(found.custom_id), compact(bytes(found.body)))

    def _examined(self, text: bytes, number: int) -> Line:
        found = read_line(text)
        if found is None:
            raise WrongLine(unparseable(number))
        error = wrong_envelope(found, self._endpoint, number) or wrong_body(found["body"], self._endpoint, number)
        if error is not None:
            raise WrongLine(error)
        model = found["body"]["model"]
        if self.model is None:
            self.model = self._usable(model, number)
        if model != self.model:
            raise WrongLine(other_model(model, number))
        return Line(number - 1, jsontext.encode(found["custom_id"]), self._body(text, found["body"], number))

    @staticmethod
    def _usable(model: str, number: int) -> str:
        """A model's name that Postgres can hold."""
        try:
            model.encode()
        except UnicodeEncodeError:
            model = ""
        if not model or not model.isprintable():
            message = f"The provided model {model!r} is not supported by the Batch API."
            raise WrongLine(line_error("model_not_found", message, number, "body.model"))
        return model

    @staticmethod
    def _body(text: bytes, body: object, number: int) -> bytes:
        """The body as it was written; one with lone surrogates, which the decoder does not pass by, written anew."""
        try:
            return compact(bytes(_body_alone_decoder.decode(text).body))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        try:
            return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise WrongLine(unparseable(number)) from None
