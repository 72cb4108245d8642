"""An upload on its way to disk: multipart form data parsed as it arrives, so a file of 200 MB costs no memory.

A form is always read to its end, also when it will be refused, because a client that is still sending would not see an
answer that comes early.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from batchframe.wire.refusals import Refusal

_FIELD_BYTES = 65_536
"""What is kept of a field that is not the file: no field of the API is longer."""


class Upload:
    """The parts of one form: small fields in memory, the file at a path."""

    def __init__(self, path: Path, keep: int | None = None) -> None:
        """Args:
        keep: bytes of the file that are written; what follows is only counted, as it will be refused. None: all.
        """
        self.path = path
        self._keep = keep
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.size = 0
        self._file: BinaryIO | None = None
        self._header = bytearray()
        self._value = bytearray()
        self._part = ""
        self._is_file = False
        self._text = bytearray()

    async def receive(self, request: Request) -> None:
        """Read the form to its end."""
        _, options = parse_options_header(request.headers.get("content-type"))
        if b"boundary" not in options:
            raise Refusal(400, "Expected a multipart/form-data body with a boundary.")
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._on_header,
                "on_header_value": self._on_value,
                "on_header_end": self._end_header,
                "on_part_data": self._on_data,
                "on_part_end": self._end_part,
            },
        )
        try:
            with self.path.open("wb") as self._file:
                async for chunk in request.stream():
                    parser.write(chunk)
                parser.finalize()
        except FormParserError as error:
            raise Refusal(400, f"The multipart body cannot be read: {error}") from None

    def _begin_part(self) -> None:
        self._part, self._is_file = "", False
        self._text.clear()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._part = options.get(b"name", b"").decode("utf-8", "replace")
            self._is_file = self._part == "file"
            if self._is_file:
                self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._text += data[start : min(end, start + _FIELD_BYTES - len(self._text))]
            return
        kept = end if self._keep is None else min(end, start + max(0, self._keep - self.size))
        self.size += end - start
        if self._file is not None:
            self._file.write(memoryview(data)[start:kept])

    def _end_part(self) -> None:
        if not self._is_file:
            self.fields[self._part] = self._text.decode("utf-8", "replace")
