"""JSON as clients really send it: fast by msgspec, and by the standard library where msgspec refuses a text.

A lone surrogate (`"\\ud800"`) is legal JSON that cannot be UTF-8. msgspec refuses it in both directions, so such a text
is read by `json` and written back as an ASCII escape. `NaN` and `Infinity` are not JSON and stay refused.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_sorted_encoder = msgspec.json.Encoder(order="sorted")


def decode(text: bytes) -> Any:
    """Read JSON text; raises ValueError (of which UnicodeDecodeError is one) for what is not JSON."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(text.decode(), parse_constant=_refuse)


def encode(value: Any) -> bytes:
    """Write a value or a msgspec struct as JSON text of one line."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()


def canonical(value: Any) -> bytes:
    """Write a value so that equal values give equal bytes: keys sorted, no spaces."""
    try:
        return _sorted_encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON.")
