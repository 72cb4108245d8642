"""Jobs written straight into the store, as `df.llm.batch` writes them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

from sqlalchemy import text

from batchframe.core.identity import request_hasher
from batchframe.core.spec import JobSpec
from batchframe.model import CHAT, Request, Route
from batchframe.providers.openai import provider_id
from batchframe.store import jobs
from batchframe.store.database import Database
from tests.faults.child import Site
from tests.storing import write_job


def submit(database: Database, site: Site, prompts: Sequence[str], *, reuse: bool = True) -> int:
    """Store a job that asks these prompts; its id."""
    route = Route(provider_id(site.load()), CHAT, "m")
    spec = JobSpec(prompt="{text}", into="response", reuse=reuse)
    hasher = request_hasher(route, 0)
    bodies = [
        json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
        for prompt in dict.fromkeys(prompts)
    ]
    requests = (Request(row_no, hasher(body), body, len(body) // 4) for row_no, body in enumerate(bodies))
    with database.transaction() as connection:
        job_id = write_job(
            connection,
            name=None,
            route=route,
            spec=spec.to_json().decode(),
            digest=uuid.uuid4(),
            n_rows=len(prompts),
            n_skipped=0,
            requests=requests,
            frame=[],
            reuse=reuse,
        )
    assert job_id is not None
    return job_id


def cancel(database: Database, job_id: int) -> None:
    """Cancel a job."""
    with database.transaction() as connection:
        jobs.cancel(connection, job_id)


def let_run_late(database: Database, job_id: int) -> None:
    """Give a job a deadline that is over; what it has not answered is asked in real time."""
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE job SET deadline_at = now(), at_deadline = 'realtime' WHERE id = :job"), {"job": job_id}
        )
