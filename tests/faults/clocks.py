"""Clocks that are an hour off; functions of a module, so that an engine's process can be given one."""

from __future__ import annotations

import time

HOUR = 3600.0
_now = time.time


def ahead() -> float:
    """An hour too late."""
    return _now() + HOUR


def behind() -> float:
    """An hour too early."""
    return _now() - HOUR
