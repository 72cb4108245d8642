"""`batchframe serve` as a process of its own: started, waited for, killed, started again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping

KEY = "bf-test-key"
"""The key the proxy is started with (`BATCHFRAME_API_KEY`), which its clients send."""

_READY = re.compile(r"Serving at (http://\S+:(\d+))")
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


class Served:
    """A running proxy; a context manager that leaves no process behind.

    Args:
        environment: the variables it is configured by; its key and a short window are added.
        options: more options of the command.
        port: 0 takes a free one, which a restart keeps.
    """

    def __init__(self, environment: Mapping[str, str], *options: str, port: int = 0) -> None:
        defaults = {"BATCHFRAME_API_KEY": KEY, "BATCHFRAME_WINDOW_SECONDS": "0.3"}
        self._environment = {**os.environ, **defaults, **environment}
        self._options = options
        self.port = port
        self.url = ""
        self.output: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"{self.url}/v1"

    @property
    def pid(self) -> int:
        """The process that was started; with several workers, their parent."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, without waiting."""
        command = [sys.executable, "-m", "batchframe", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        self.url, self._ready = "", threading.Event()
        self._process = subprocess.Popen(
            [*command, *self._options],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._listen, args=(self._process, self._ready), daemon=True).start()

    def wait_until_ready(self) -> None:
        """Wait for its line.

        Raises:
            AssertionError: it ended before, or took too long; with all it has said.
        """
        self._ready.wait(_START_SECONDS)
        assert self.url, "the server did not start:\n" + "".join(self.output)

    def kill(self) -> None:
        """As a machine does that loses its power."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(_STOP_SECONDS)

    def __enter__(self) -> Served:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _listen(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        """Read what it says to the end, for a full pipe would stop it."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.output.append(line)
                if found := _READY.search(line):
                    self.url, self.port = found[1], int(found[2])
                    ready.set()
        ready.set()  # ended: nobody need wait any longer
