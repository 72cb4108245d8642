"""`batchframe clean`: provider files and old jobs that are no longer needed."""

from __future__ import annotations

import asyncio
import re
import sys

import click

from batchframe.cli.opening import opened
from batchframe.frame.session import Session
from batchframe.store import cleaning

_SECONDS = {"h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SHOWN = 20


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """An age such as 12h, 30d or 8w."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)([hdw])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no age: write 12h, 30d or 8w.")
    return int(match[1]) * _SECONDS[match[2]]


@click.command()
@click.option("--older-than", callback=_seconds, metavar="AGE", help="Remove jobs closed longer ago: 12h, 30d, 8w.")
@click.option("--files", is_flag=True, help="Delete the provider's files of batches that are done.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(older_than: float | None, files: bool, dry_run: bool, yes: bool) -> None:
    """Remove what is no longer needed: old closed jobs, the provider's files of batches that are done.

    An open job is never touched, nor one it waits for. Answers that are removed can no longer be reused: the same rows
    asked again are paid for again.
    """
    if older_than is None and not files:
        raise click.UsageError("Say what to clean: --files, --older-than 30d, or both.")
    with opened() as session:
        if files:
            _clean_files(session, dry_run, yes)
        if older_than is not None:
            _clean_jobs(session, older_than, dry_run, yes)


def _clean_files(session: Session, dry_run: bool, yes: bool) -> None:
    from batchframe.operations.cleaning import Deleted, delete_files

    with session.database.transaction() as connection:
        spent = cleaning.spent_files(connection, session.provider_id)
    n_files = sum(len(batch.file_ids) for batch in spent)
    click.echo(f"{n_files:,} files of {len(spent):,} batches that are done, at {session.provider_id}")
    if not spent or not _agreed(dry_run, yes, f"Delete these {n_files:,} files at the provider?"):
        return
    session.require_key()
    provider = session.providers()[0]

    async def delete() -> Deleted:
        try:
            return await delete_files(provider, session.database, spent)
        finally:
            await provider.close()

    deleted = asyncio.run(delete())
    click.echo(f"{deleted.files:,} files deleted.")
    if deleted.failures:
        raise click.ClickException(
            f"The files of {len(deleted.failures):,} batches are still there; the first: {deleted.failures[0]}"
        )


def _clean_jobs(session: Session, age: float, dry_run: bool, yes: bool) -> None:
    with session.database.transaction() as connection:
        old = cleaning.removable_jobs(connection, age)
        n_bytes = sum(cleaning.size(connection, job.id) for job in old)
    answers, with_files = sum(job.answers for job in old), sum(job.n_files for job in old)
    click.echo(f"{len(old):,} closed jobs with {answers:,} answers, {n_bytes / 1e6:,.1f} MB")
    for job in old[:_SHOWN]:
        click.echo(f"  {job.id} {job.name or ''} ({job.n_requests:,} requests, {job.route.model})")
    if len(old) > _SHOWN:
        click.echo(f"  … and {len(old) - _SHOWN:,} more")
    if with_files:
        click.echo(
            f"{with_files:,} of their batches have files at the provider, which stay: --files deletes them first."
        )
    if not old or not _agreed(dry_run, yes, "Remove these jobs? Their answers can no longer be reused."):
        return
    removed = 0
    for job in old:
        with session.database.transaction() as connection:
            removed += cleaning.remove_job(connection, job, age)
    click.echo(f"{removed:,} jobs removed. Postgres uses their space again for what comes.")


def _agreed(dry_run: bool, yes: bool, question: str) -> bool:
    if dry_run:
        click.echo("Nothing was removed (--dry-run).")
        return False
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("This is no terminal to ask on: pass --yes, or --dry-run to only look.")
    return click.confirm(question)
