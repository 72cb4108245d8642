"""Work on the database from a handler: in a thread, since statements block, and in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from batchframe.proxy.proxy import Proxy

T = TypeVar("T")


async def in_transaction(proxy: Proxy, work: Callable[[Connection], T]) -> T:
    """What `work` returns; what it raises takes back all it wrote."""

    def run() -> T:
        with proxy.database.transaction() as connection:
            return work(connection)

    return await run_in_threadpool(run)
