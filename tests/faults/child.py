"""What runs in a child process: one real engine on one site, with at most one fault, until no job is open.

Imported once by the fork server, so that a child costs milliseconds.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import importlib
import logging
import mimetypes
import os
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio._backends._asyncio  # noqa: F401 - these are loaded on first use: once in the fork server, not in every child
import genai_prices.data  # noqa: F401
import h11  # noqa: F401
import httpcore2  # noqa: F401
import openai.lib._files
import openai.pagination
import openai.resources.batches
import openai.resources.files  # noqa: F401

import batchframe.core.schema
import batchframe.providers.openai
from batchframe.config import Settings, load_settings
from batchframe.engine.engine import Engine
from tests.faults.failpoints import Armed, Failpoints, FaultyDatabase, FaultyProvider

mimetypes.init()
gc.freeze()  # what is shared with the fork server stays shared: a collection would touch, and so copy, all of it

STUCK_SECONDS = 40.0
"""When an engine writes down what its threads are at: long before anybody stops waiting for it."""

SETTINGS: dict[str, Any] = {
    "openai_api_key": "sk-test",
    "poll_seconds": 0.02,
    "poll_max_seconds": 0.1,
    "grace_seconds": 1.0,
    "lease_seconds": 2.0,
    "batch_max_requests": 5,
}


@dataclass(frozen=True)
class Site:
    """Where an engine works: one database, one provider, one home.

    Attributes:
        patches: what is different in its process, by import path, as in `{"batchframe.providers.openai._TIMEOUT": 1}`.
    """

    database_url: str
    base_url: str
    home: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    patches: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Settings:
        """The settings of an engine of this site."""
        return load_settings(**{**SETTINGS, "openai_base_url": self.base_url, "home": self.home, **self.settings})

    def stacks(self, pid: int) -> Path:
        """Where an engine that does not come to its end says what it is at."""
        return self.home / f"{pid}.stacks"


@dataclass(frozen=True)
class Report:
    """What an engine that came to its end says: failpoints passed, statements sent, and what it logged."""

    passed: Counter[str]
    sent: Counter[str]
    log: list[str]


HIT = "hit"
"""What a child sends when it reaches the armed failpoint; a `Report` follows if it lives on."""


def run(site: Site, armed: Armed | None, reports: Connection) -> None:
    """Work until no job is open, or until the armed fault ends it."""
    site.home.mkdir(parents=True, exist_ok=True)
    with site.stacks(os.getpid()).open("a") as stacks:
        faulthandler.dump_traceback_later(STUCK_SECONDS, file=stacks)
        try:
            _run(site, armed, reports)
        except Exception:
            traceback.print_exc(file=stacks)
            raise
        faulthandler.cancel_dump_traceback_later()


def _run(site: Site, armed: Armed | None, reports: Connection) -> None:
    for place, value in site.patches.items():
        module, _, name = place.rpartition(".")
        setattr(importlib.import_module(module), name, value)
    log = _Log()
    logging.basicConfig(handlers=[log], level=logging.WARNING)
    failpoints = Failpoints(armed, lambda: reports.send(HIT))
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(_work(site, failpoints))
    reports.send(Report(failpoints.passed, failpoints.sent, log.lines))


async def _work(site: Site, failpoints: Failpoints) -> None:
    settings = site.load()
    database = FaultyDatabase(site.database_url, failpoints)
    provider = FaultyProvider(batchframe.providers.openai.OpenAIProvider(settings), failpoints)
    engine = asyncio.create_task(Engine(database, {provider.id: provider}, settings).run(until_idle=True))
    failpoints.cancel = _canceller(engine, asyncio.get_running_loop())
    asyncio.get_running_loop().call_later(STUCK_SECONDS, _write_tasks, site.stacks(os.getpid()))
    try:
        await engine
    finally:
        await provider.close()
        database.close()


def _write_tasks(path: Path) -> None:
    with path.open("a") as stacks:
        for task in asyncio.all_tasks():
            task.print_stack(file=stacks)


def _canceller(engine: asyncio.Task[None], loop: asyncio.AbstractEventLoop) -> Any:
    """Cancels the engine from whichever thread; another thread goes on only when the cancellation is under way."""

    def cancel() -> None:
        if _running_loop() is loop:
            engine.cancel()
            return
        asyncio.run_coroutine_threadsafe(_cancelled(engine), loop).result()

    return cancel


async def _cancelled(engine: asyncio.Task[None]) -> None:
    engine.cancel()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{os.getpid()} {self.format(record)}")
