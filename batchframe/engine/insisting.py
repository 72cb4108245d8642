"""Insisting: transactions that must not be given up when the database is away for a moment."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from batchframe.config import Settings
from batchframe.errors import DatabaseError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_PAUSE = 1.0


async def insist(transact: Callable[[bool], T], settings: Settings, about: str) -> T:
    """Run a transaction in a thread, again and again for as long as a lease lasts while the database is away.

    Args:
        transact: told whether it has been tried before: what it wrote then may be there, its confirmation lost.
        about: what the log is to name.

    Raises:
        DatabaseError: the database was away for longer.
    """
    patient_until = time.monotonic() + settings.lease_seconds
    again = False
    while True:
        try:
            return await asyncio.to_thread(transact, again)
        except DatabaseError as error:
            again = True
            if time.monotonic() > patient_until:
                raise
            logger.warning("%s: %s Trying again.", about, error)
            await asyncio.sleep(min(_LONGEST_PAUSE, settings.poll_seconds))
