"""A job as tests of the store write it: in one go, from lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from batchframe.model import Request
from batchframe.store import jobs


def write_job(
    connection: Connection, *, requests: Iterable[Request], frame: Iterable[bytes], **what: Any
) -> int | None:
    """Write a job with its requests and its frame; its id, or None when it is there. `what`: as `jobs.begin`."""
    draft = jobs.begin(connection, **what)
    if draft is None:
        return None
    draft.add_requests(requests)
    for part in frame:
        draft.add_part(part)
    draft.finish()
    return draft.job_id
