"""The simulator as a whole: an account, its worker and an HTTP server, in threads of this process.

    with Simulator() as sim:
        client = OpenAI(base_url=sim.base_url, api_key="any")

The server never touches signals or logging; `simulate` adds what a program of its own needs.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from batchframe.simulator.account import Account
from batchframe.simulator.batches import Batch
from batchframe.simulator.faults import Faults
from batchframe.simulator.files import StoredFile
from batchframe.simulator.ledger import Ledger
from batchframe.simulator.life import Worker
from batchframe.simulator.responders import Responder, find_responder
from batchframe.simulator.server import Server, listen
from batchframe.simulator.settings import Settings

_SWITCH_SECONDS = 0.0005
"""How long the worker may keep the interpreter to itself. At Python's 5 ms, an upload of 200 MB beside running batches
takes 5 s instead of 0.7 s."""


class Simulator:
    """A local OpenAI-compatible provider that runs while the `with` block does.

    Args:
        port: 0 takes a free one.
        responder: who answers: `"echo"`, `"schema"`, a function, or `"module:function"`.
        duration: seconds a batch takes.
        window: seconds until a batch expires.
        enqueued_tokens: cap on queued prompt tokens, for every model or by model.
        keys: accepted API keys; None accepts any that is not empty.
        seed: decides the order of lines in output files.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        responder: str | Responder = "echo",
        duration: float = 0.0,
        window: float = 86_400.0,
        enqueued_tokens: int | dict[str, int] | None = None,
        keys: Collection[str] | None = None,
        seed: int = 0,
    ) -> None:
        self._host = host
        self._port = port
        settings = Settings(
            duration=duration,
            window=window,
            enqueued_tokens=enqueued_tokens,
            keys=None if keys is None else frozenset(keys),
        )
        self._account = Account(settings, find_responder(responder), seed)
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._worker: Worker | None = None
        self._server: Server | None = None

    @property
    def base_url(self) -> str:
        """Where clients find the API."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/v1"

    @property
    def settings(self) -> Settings:
        """The provider's settings; changes take effect at once."""
        return self._account.settings

    @property
    def faults(self) -> Faults:
        """What is to go wrong."""
        return self._account.faults

    @property
    def ledger(self) -> Ledger:
        """What was billed."""
        return self._account.ledger

    @property
    def batches(self) -> list[Batch]:
        """The batches that were created, oldest first."""
        return self._account.batches

    @property
    def files(self) -> list[StoredFile]:
        """The files that are there, oldest first."""
        with self._account.changed:
            return self._account.files.newest_first()[::-1]

    def wait_for(self, predicate: Callable[[Simulator], object], timeout: float = 10.0) -> None:
        """Wait until something is true of the simulator; looked at after every change.

        Raises:
            TimeoutError: it did not become true.
        """
        with self._account.changed:
            if not self._account.changed.wait_for(lambda: bool(predicate(self)), timeout):
                states = ", ".join(f"{batch.id}: {batch.status}" for batch in self.batches) or "none"
                raise TimeoutError(f"Not true within {timeout} s. Batches: {states}. Calls: {self.ledger.calls}.")

    def __enter__(self) -> Self:
        listener = listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._directory = tempfile.TemporaryDirectory(prefix="batchframe-simulator-")
        self._account.files.directory = Path(self._directory.name)
        self._worker = Worker(self._account)
        self._worker.start()
        self._server = Server(self._account, listener)
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._worker is not None
        assert self._directory is not None
        self._server.stop()
        self._worker.stop()
        self._directory.cleanup()


def simulate(
    host: str = "127.0.0.1",
    port: int = 8765,
    responder: str | Responder = "echo",
    duration: float = 0.0,
    window: float = 86_400.0,
    enqueued_tokens: int | dict[str, int] | None = None,
) -> None:
    """Run the simulator until SIGINT or SIGTERM: `batchframe simulate`."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does, so that a responder of the folder at hand is found
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Simulator(port, host, responder, duration, window, enqueued_tokens) as simulator:
            url = simulator.base_url
            print(f"batchframe simulator at {url}", flush=True)
            print(f"Use it:  export OPENAI_BASE_URL={url} OPENAI_API_KEY=any", flush=True)
            print(f"Bill:    curl {url.removesuffix('/v1')}/admin/ledger     Stop: Ctrl+C", flush=True)
            stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
