"""`batchframe worker` processes that are killed and replaced, as an operating system might.

They are executed anew, or, where many are needed, forked from a server that has everything imported; either way they
run the command line's own worker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.faults.child import SETTINGS, Site

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.child", "batchframe.cli"])

REPORT = "is at the provider twice"
"""What a worker logs when it finds, and cancels, a batch that was created a second time."""


def environment(site: Site) -> dict[str, str]:
    """A site as the environment variables a worker reads."""
    known = {**SETTINGS, "home": site.home, "database_url": site.database_url, **site.settings}
    key = known.pop("openai_api_key")
    named = {f"BATCHFRAME_{name.upper()}": str(value) for name, value in known.items()}
    return {**named, "OPENAI_API_KEY": str(key), "OPENAI_BASE_URL": site.base_url}


class Workers:
    """A number of workers of one site; a context manager that leaves none behind."""

    def __init__(self, site: Site, number: int, *, forked: bool = False) -> None:
        self._site = site
        self._number = number
        self._forked = forked
        self._running: list[Any] = []
        self._log = site.home / "workers.log"

    def __enter__(self) -> Workers:
        self._site.home.mkdir(parents=True, exist_ok=True)
        self._running = [self._start() for _ in range(self._number)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._running:
            worker.kill()
            _wait(worker)

    def replace(self, index: int) -> None:
        """kill -9 one of them, and start another at once."""
        self._running[index].kill()
        _wait(self._running[index])
        self._running[index] = self._start()

    def freeze(self, index: int) -> None:
        """Stop one of them from running, without its knowing."""
        os.kill(self._running[index].pid, signal.SIGSTOP)

    def thaw(self, index: int) -> None:
        """Let it go on."""
        os.kill(self._running[index].pid, signal.SIGCONT)

    def logged(self) -> str:
        """What all of them have logged."""
        return self._log.read_text(errors="replace")

    def _start(self) -> Any:
        if not self._forked:
            with self._log.open("ab") as log:
                command = [sys.executable, "-m", "batchframe", "worker"]
                return subprocess.Popen(command, env={**os.environ, **environment(self._site)}, stdout=log, stderr=log)
        process = _CONTEXT.Process(target=_work, args=(environment(self._site), self._log), daemon=True)
        process.start()
        return process


def _wait(worker: Any) -> None:
    worker.wait() if isinstance(worker, subprocess.Popen) else worker.join()


def _work(variables: Mapping[str, str], log: Path) -> None:
    """The command line's worker in a forked process."""
    from batchframe.cli import main

    os.environ.update(variables)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    main(["worker"], standalone_mode=False)
