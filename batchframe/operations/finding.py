"""What a check of `doctor` has found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result.

    Attributes:
        said: what was found.
        todo: what to do next, in one line; None when there is nothing to do.
        details: further lines, such as the batches concerned.
    """

    check: str
    level: Level
    said: str
    todo: str | None = None
    details: tuple[str, ...] = ()
