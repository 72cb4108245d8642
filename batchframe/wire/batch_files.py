"""What is asked of an uploaded file before it is kept: a purpose, a size, and a first line that is JSON (facts §1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batchframe.wire import jsontext
from batchframe.wire.refusals import Refusal
from batchframe.wire.uploads import Upload

_LONG_LINE = 16_000_000
"""A first line beyond this is not looked at here; validation reads it anyway."""


def purpose_of(upload: Upload, supported: tuple[str, ...]) -> str:
    """The purpose of an upload that has a file and a purpose."""
    if upload.filename is None:
        raise Refusal(400, "Missing required parameter: 'file'.", code="missing_required_parameter", param="file")
    purpose = upload.fields.get("purpose")
    if purpose is None:
        raise Refusal(400, "Missing required parameter: 'purpose'.", code="missing_required_parameter", param="purpose")
    if purpose not in supported:
        listed = ", ".join(f"'{name}'" for name in supported)
        message = f"Invalid value: '{purpose}'. Supported values are: {listed}."
        raise Refusal(400, message, code="invalid_value", param="purpose")
    return purpose


def check_batch_file(upload: Upload, limit: int) -> None:
    """Refuse what is too large, or no JSONL by its name or its first line."""
    first = _first_line(upload.path)
    if upload.size > limit:
        body = None if first is None else first.get("body")
        model = body.get("model") if isinstance(body, dict) else None
        raise Refusal(413, f"The batch input file is larger than the {limit} maximum for the {model} model")
    if first is None or not (upload.filename or "").lower().endswith(".jsonl"):
        raise Refusal(400, "Invalid file format for Batch API. Must be .jsonl")


def _first_line(path: Path) -> dict[str, Any] | None:
    """The first line as JSON; None if it is none. A byte order mark is the later validation's affair (facts §2.5)."""
    with path.open("rb") as opened:
        text = opened.readline(_LONG_LINE).removeprefix(b"\xef\xbb\xbf")
    if len(text) >= _LONG_LINE - 3:
        return {}
    try:
        found = jsontext.decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
