"""What has a thread here is stopped before the interpreter goes, while the thread can still end in good order."""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import Protocol


class Stoppable(Protocol):
    """Something with a thread that can be told to end."""

    def stop(self) -> None:
        """End the thread."""


_running: weakref.WeakSet[Stoppable] = weakref.WeakSet()


def stop_at_shutdown(one: Stoppable) -> None:
    """Have it stopped with the process, if it is still there."""
    _running.add(one)


def stopped(one: Stoppable) -> None:
    """It has been stopped already."""
    _running.discard(one)


def _stop_running() -> None:
    for one in list(_running):
        one.stop()


# Plain `atexit` runs when the thread pools are gone already, too late for an engine to give its leases back. This hook,
# which the pools use themselves, runs before; it has no public name.
getattr(threading, "_register_atexit", atexit.register)(_stop_running)
