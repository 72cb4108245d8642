"""The notebooks' provider: the simulator in a process of its own, so that it lives on when a kernel does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import platformdirs

from batchframe import ProviderError

PORT = 8765
_PATIENCE = 30.0
_started: list[subprocess.Popen[bytes]] = []
"""Kept so that nobody warns of a process that is still running: it is meant to."""


def demo_settings(*, batch_rows: int = 500) -> dict[str, Any]:
    """Settings for `bf.connect`: a simulated OpenAI that answers by counting words, free, and a database of its own.

    The simulator is started when there is none. With `OPENAI_BASE_URL` set, the provider it names is used instead.

    Args:
        batch_rows: the most rows of a batch; few, so that there is something to watch.

    Raises:
        ProviderError: the simulator does not start.
    """
    settings: dict[str, Any] = {"batch_max_requests": batch_rows, "poll_seconds": 0.3, "poll_max_seconds": 1.0}
    settings |= {"grace_seconds": 5.0, "lease_seconds": 3.0}
    if os.environ.get("OPENAI_BASE_URL"):
        return settings
    _ensure()
    home = Path(platformdirs.user_cache_dir("batchframe-demo"))
    return {**settings, "openai_base_url": f"{_root()}/v1", "openai_api_key": "sk-simulated", "home": home}


def ledger() -> dict[str, Any]:
    """What the simulated provider has billed so far: `requests`, `distinct`, and `billed_more_than_once`."""
    seen = _get("/admin/ledger")
    return {name: seen[name] for name in ("requests", "distinct", "billed_more_than_once")}


def order_fault(**fault: Any) -> None:
    """Let the simulated provider misbehave: `row={…}`, `batch={…}` or `on={…}`, as `Simulator.faults` has them."""
    request = urllib.request.Request(f"{_root()}/admin/faults", json.dumps(fault).encode(), method="POST")  # noqa: S310 - our own address
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - our own address


def no_more_faults() -> None:
    """Let it behave again."""
    request = urllib.request.Request(f"{_root()}/admin/faults", method="DELETE")  # noqa: S310 - our own address
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - our own address


def _root() -> str:
    return (os.environ.get("OPENAI_BASE_URL") or f"http://127.0.0.1:{PORT}/v1").removesuffix("/v1")


def _get(path: str) -> Any:
    with urllib.request.urlopen(f"{_root()}{path}", timeout=5) as response:  # noqa: S310 - our own address
        return json.load(response)


def _ensure() -> None:
    if _runs():
        return
    command = [sys.executable, "-m", "batchframe", "simulate", "--port", str(PORT), "--duration", "3"]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--responder", "batchframe.demo.labelling:respond"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _started.append(process)
    until = time.monotonic() + _PATIENCE
    while not _runs():
        if process.poll() is not None or time.monotonic() > until:
            raise ProviderError(f"The simulator does not start. Is port {PORT} taken? Try: batchframe simulate")
        time.sleep(0.1)


def _runs() -> bool:
    try:
        _get("/admin/settings")
    except (OSError, ValueError):
        return False
    return True
