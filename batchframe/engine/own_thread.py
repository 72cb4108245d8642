"""A thread of its own for work that takes much memory.

In the pool for blocking calls such work comes to another thread each time, and each thread keeps for itself the memory
it has once had: glibc gives it an arena of its own. Here it is one thread, which uses the same memory again, and one
piece of work at a time.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class OwnThread:
    """Does one thing after the other, beside the event loop."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, name)

    async def run(self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        """As `asyncio.to_thread`."""
        call = functools.partial(contextvars.copy_context().run, function, *arguments, **keywords)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """End the thread, once it has done what it is at."""
        self._executor.shutdown(wait=False)
