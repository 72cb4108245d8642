"""Notices: whoever makes something due for others says so through Postgres, and every engine looks at once.

A notice is sent with the transaction that makes the work, so nobody looks before the work is there. It carries no work
itself, only the job's number: one that is lost costs time, never a row, because engines poll as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

import psycopg
from sqlalchemy import Connection, text

from batchframe.store.database import Database

logger = logging.getLogger(__name__)

CHANNEL = "batchframe"
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0


def notify(connection: Connection, job_id: int) -> None:
    """Tell all engines about a job, when the transaction commits; Postgres sends equal notices of one as one."""
    connection.execute(text("SELECT pg_notify(:channel, :job)"), {"channel": CHANNEL, "job": str(job_id)})


async def listen(database: Database, on_notice: Callable[[int | None], None]) -> None:
    """Call `on_notice` with the job's number whenever a notice comes, until cancelled.

    Also with None whenever the connection is new, for what may have been missed before. While there is none, it is
    tried again with growing pauses.
    """
    if isinstance(asyncio.get_running_loop(), getattr(asyncio, "ProactorEventLoop", ())):
        logger.info("This event loop cannot listen to Postgres; new work is found by polling.")
        return
    failures = 0
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(**database.connect_arguments(), autocommit=True)
            try:
                await connection.execute(f"LISTEN {CHANNEL}")
                failures = 0
                on_notice(None)
                async with aclosing(connection.notifies()) as notices:
                    async for notice in notices:
                        on_notice(int(notice.payload) if notice.payload.isdecimal() else None)
            finally:
                await connection.close()
        except (psycopg.Error, OSError) as error:
            if failures == 0:  # once for each time it goes away
                logger.warning("%s Until it is back, new work is found by polling.", database.unreachable(error))
        failures += 1
        await asyncio.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 16)))
