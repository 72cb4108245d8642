"""Ids as clients see them: a prefix that says of what, and a UUID's 32 digits."""

from __future__ import annotations

import re
from uuid import UUID

_DIGITS = re.compile(r"[0-9a-f]{32}")

FILE = "file-"
BATCH = "batch_"


def show(prefix: str, id_: UUID) -> str:
    """The id as text."""
    return prefix + id_.hex


def read(prefix: str, text: str) -> UUID | None:
    """The id a text stands for; None when it can be nothing of ours."""
    digits = text.removeprefix(prefix)
    return UUID(digits) if digits != text and _DIGITS.fullmatch(digits) else None
