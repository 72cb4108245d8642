"""The thread that keeps a session's live views up to date.

It starts with the first view and ends with the last, with the session, or with the process. What a view is, it does
not know: it calls each one until that says it is over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from batchframe.engine.shutdown import stop_at_shutdown, stopped

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 0.5
"""Views move no more often than this."""
_LOOK_SECONDS = 2.0
"""How often they look for what other processes did, and move their clocks; this one's engine rings."""
_STOP_SECONDS = 5.0


class View(Protocol):
    """Something that shows a job."""

    def refresh(self) -> bool:
        """Bring it up to date; False when it need not be called again."""

    def rest(self) -> None:
        """Nobody calls it any more, though the job goes on: say so."""


class Refresher:
    """Calls the views of a session, in a daemon thread."""

    def __init__(self, wait_for_change: Callable[[int, float], int]) -> None:
        """Args:
        wait_for_change: `Background.wait_for_change`.
        """
        self._wait_for_change = wait_for_change
        self._views: list[View] = []
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def add(self, view: View) -> None:
        """Call a view from now on."""
        with self._changing:
            self._views.append(view)
            if self._thread is None:
                # An event of its own: the thread before may still be ending.
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="batchframe-views", daemon=True
                )
                self._thread.start()
                stop_at_shutdown(self)

    def discard(self, view: View) -> None:
        """Call a view no more."""
        with self._changing:
            self._views = [other for other in self._views if other is not view]

    def stop(self) -> None:
        """End the thread, and put the views to rest."""
        stopped(self)
        with self._changing:
            thread, self._thread = self._thread, None
            views, self._views = self._views, []
            self._stop.set()
        if thread is None:
            return
        thread.join(_STOP_SECONDS)
        for view in views:
            try:
                view.rest()
            except Exception:  # the kernel may have closed its sockets already
                logger.debug("a view was left as it was", exc_info=True)

    def _run(self, stop: threading.Event) -> None:
        seen, idle = -1, _LOOK_SECONDS
        while not stop.wait(_EVERY_SECONDS):
            now = self._wait_for_change(seen, 0)
            idle += _EVERY_SECONDS
            if now != seen or idle >= _LOOK_SECONDS:
                seen, idle = now, 0.0
                self._refresh(stop)
            with self._changing:
                if not self._views:
                    if not stop.is_set():
                        self._thread = None
                        stopped(self)
                    return

    def _refresh(self, stop: threading.Event) -> None:
        with self._changing:
            views = list(self._views)
        for view in views:
            if stop.is_set():
                return
            try:
                goes_on = view.refresh()
            except Exception:
                logger.exception("a live view has ended; show the job again")
                goes_on = False
            if not goes_on:
                self.discard(view)
