"""`batchframe jobs`: the list of jobs."""

from __future__ import annotations

import json
from datetime import UTC

import click

from batchframe.cli.opening import opened
from batchframe.frame.progress import Progress, read
from batchframe.frame.table import columns
from batchframe.model import Job
from batchframe.store import jobs as stored

_RIGHT = frozenset({0, 4, 5, 6, 7})


@click.command()
@click.option("--all", "every", is_flag=True, help="Closed ones too.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def jobs(every: bool, as_json: bool) -> None:
    """List the open jobs, the newest first."""
    with opened() as session, session.database.transaction() as connection:
        found = stored.newest_first(connection)
        shown = [(job, read(connection, job)) for job in found if every or not job.closed]
    if as_json:
        click.echo(json.dumps([summary(job, state) for job, state in shown], indent=2))
        return
    if shown:
        head = ("id", "name", "status", "model", "requests", "ok", "failed", "pending", "created (UTC)")
        click.echo(columns([head, *(_row(job, state) for job, state in shown)], right=_RIGHT))
    if not every and len(shown) < len(found):
        click.echo(f"{len(found) - len(shown)} closed; --all lists them too.")
    elif not found:
        click.echo("There is no job yet.")


def summary(job: Job, state: Progress) -> dict[str, object]:
    """A job in a few plain fields."""
    return {
        "id": job.id,
        "name": job.name,
        "status": state.status,
        "provider": job.route.provider,
        "endpoint": job.route.endpoint,
        "model": job.route.model,
        **{
            field: getattr(state, field)
            for field in ("rows", "skipped", "requests", "ok", "failed", "cancelled", "pending", "reused")
        },
        "created": job.created_at.isoformat(),
        "trouble": state.trouble,
    }


def _row(job: Job, state: Progress) -> tuple[object, ...]:
    numbers = (f"{n:,}" for n in (state.requests, state.ok, state.failed, state.pending))
    return (
        job.id,
        job.name,
        state.status,
        job.route.model,
        *numbers,
        f"{job.created_at.astimezone(UTC):%Y-%m-%d %H:%M}",
    )
