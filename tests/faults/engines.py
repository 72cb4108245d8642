"""Engines in processes of their own, forked from a server that has everything imported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faults import child
from tests.faults.child import Report, Site
from tests.faults.failpoints import Armed

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.child"])
_ONE_AT_A_TIME = threading.RLock()
"""Held by whoever may read how a process ended. `start` looks after all children, those of other threads, too; of two
threads that read the end of one, the second finds nothing to read, and takes that for status 255."""

_PATIENCE = 60.0
"""Seconds an engine may take before the test says that it hangs: far more than any of them needs."""
_FIRST_PAUSE = 0.2


@dataclass(frozen=True)
class Ended:
    """How an engine's process ended.

    Attributes:
        hit: whether it reached the armed failpoint.
        report: None when it died.
    """

    status: int
    hit: bool
    report: Report | None


class EngineProcess:
    """One engine at work; a context manager that leaves no process behind."""

    def __init__(self, site: Site, armed: Armed | None = None) -> None:
        self._site = site
        self._hit = False
        self._reports, there = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=child.run, args=(site, armed, there), daemon=True)
        with _ONE_AT_A_TIME:
            self._process.start()
        there.close()

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process.pid is not None
        return self._process.pid

    def wait_until_hit(self, seconds: float = _PATIENCE) -> None:
        """Wait until it has reached the armed failpoint, and is frozen there.

        Raises:
            TimeoutError: it does not come to it.
        """
        if not self._reports.poll(seconds) or self._reports.recv() != child.HIT:
            raise TimeoutError("an engine did not come to its failpoint")
        self._hit = True
        # It says so just before it stops: to let it go on before that would be to stop it for good.
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0] != "T":
            time.sleep(0.001)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        with _ONE_AT_A_TIME:
            return self._process.is_alive()

    def threads(self) -> int:
        """How many threads its process has."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def thaw(self) -> None:
        """Let a frozen process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9."""
        with _ONE_AT_A_TIME:
            self._process.kill()

    def wait(self, seconds: float = _PATIENCE, *, time_passes: Callable[[], None] | None = None) -> Ended:
        """Wait for its end.

        Args:
            time_passes: called once it has met its fault, and again ever more rarely while it lives on.

        Raises:
            TimeoutError: it did not come to one.
        """
        report, closed = None, False
        until = time.monotonic() + seconds
        pause = seconds
        try:
            while (left := until - time.monotonic()) > 0:
                if self._reports.poll(min(pause, left)):
                    said = self._reports.recv()
                    report = said if isinstance(said, Report) else report
                    if said == child.HIT:
                        self._hit, pause = True, _FIRST_PAUSE if time_passes else seconds
                elif time_passes:
                    time_passes()
                    pause *= 2
        except EOFError:
            closed = True
        status = self._ended(seconds if closed else 0)
        if status is None:
            self.kill()
            stacks = self._site.stacks(self.pid).read_text()
            raise TimeoutError(f"an engine did not end within {seconds} s. It was at:\n{stacks}")
        return Ended(status, self._hit, report)

    def _ended(self, seconds: float) -> int | None:
        """Its status, waited for so long; None when it lives on."""
        connection.wait([self._process.sentinel], seconds)
        with _ONE_AT_A_TIME:
            return self._process.exitcode

    def wait_well(self) -> Ended:
        """Wait for the end of an engine that nothing was done to."""
        ended = self.wait()
        said = self._site.stacks(self.pid)
        assert ended.status == 0, f"a healthy engine ended with status {ended.status}:\n{said.read_text()}"
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        connection.wait([self._process.sentinel])
        with _ONE_AT_A_TIME:
            self._process.join()
            self._process.close()
        self._reports.close()


def finish(site: Site) -> Ended:
    """Let one healthy engine work until no job is open."""
    with EngineProcess(site) as engine:
        return engine.wait_well()
