"""Server-sent events as bytes, and the cutting of a text into the pieces they carry. Knows no endpoint."""

from __future__ import annotations

import re
from typing import Any

from batchframe.wire import jsontext

KEEP_ALIVE = b": waiting for the batch\n\n"
"""A comment: every client skips it, and every machine between sees that the connection lives."""

DONE = b"data: [DONE]\n\n"

_PIECE = re.compile(r"(?s).{1,80}(?=\s|\Z)|.{1,80}")
_LINE_ENDS = [(mark.encode(), f"\\u{ord(mark):04x}".encode()) for mark in "\x85\u2028\u2029"]


def message(value: dict[str, Any], event: str | None = None) -> bytes:
    """One event that carries a JSON object.

    Clients that split by `str.splitlines` take three more characters than the standard does for the end of a line.
    JSON has them in strings alone, so there they are escaped.
    """
    data = jsontext.encode(value)
    for mark, escape in _LINE_ENDS:
        data = data.replace(mark, escape)
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + data + b"\n\n"


def pieces(text: str) -> list[str]:
    """A text cut before white space into pieces of about a line: all of it is here, so nothing is gained by words."""
    return _PIECE.findall(text)
