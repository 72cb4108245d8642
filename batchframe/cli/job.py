"""`batchframe job`: one job: shown, cancelled, retried, resumed, exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from batchframe.cli.group import Group
from batchframe.cli.jobs import summary
from batchframe.cli.opening import opened
from batchframe.frame.job import JobHandle
from batchframe.frame.registry import find
from batchframe.frame.session import Session
from batchframe.frame.table import columns
from batchframe.model import Job

_GOES_ON = "A running `batchframe worker` or notebook goes on with it; --wait does it here."


@click.group(cls=Group)
def job() -> None:
    """One job, by its name or number."""


_key = click.argument("key", metavar="NAME|ID")
_wait = click.option("--wait", is_flag=True, help="Work on it here, until it is done.")


@job.command()
@_key
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(key: str, as_json: bool) -> None:
    """Where it stands, why requests failed, and what it has cost."""
    with opened() as session:
        found = _find(session, key)
        told = _told(found, JobHandle(session, found))
    click.echo(json.dumps(told, indent=2) if as_json else _as_text(told))


@job.command()
@_key
@_wait
def cancel(key: str, wait: bool) -> None:
    """Stop it, at the provider too; answers made until then are kept, and paid for."""
    _change(key, JobHandle.cancel, wait)


@job.command()
@_key
@click.option("--retryable", is_flag=True, help="Leave out those that would fail in the same way.")
@_wait
def retry(key: str, retryable: bool, wait: bool) -> None:
    """Ask its failed and cancelled requests again; what was answered stays."""
    _change(key, lambda handle: handle.retry("retryable" if retryable else None), wait)


@job.command()
@_key
@click.option("--budget-usd", type=float, help="The new budget, what is spent already included; left out: as it is.")
@click.option("--no-budget", is_flag=True, help="Lift its budget.")
@_wait
def resume(key: str, budget_usd: float | None, no_budget: bool, wait: bool) -> None:
    """Go on with one whose budget is used up."""
    _change(key, lambda handle: handle.resume("none" if no_budget else budget_usd), wait)


@job.command()
@_key
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def export(key: str, file: Path, force: bool) -> None:
    """Write its frame with the result columns to a .parquet, .csv or .jsonl file."""
    from batchframe.operations.exporting import check, write

    check(file, force=force)
    with opened() as session:
        handle = JobHandle(session, _find(session, key))
        frame, now = handle.frame(), handle.progress()
    write(frame, file)
    click.echo(f"{len(frame):,} rows in {file} ({now})")


def _change(key: str, change: Callable[[JobHandle], object], wait: bool) -> None:
    with opened(works=wait) as session:
        if wait:
            session.require_key()
        found = _find(session, key)
        handle = JobHandle(session, found)
        change(handle)
        if wait:
            handle.wait()
        now = handle.progress()
    click.echo(str(now))
    if now.pending:
        click.echo(_GOES_ON)


def _find(session: Session, key: str) -> Job:
    """A number is an id: no job can be called one."""
    return find(session, int(key) if key.isdecimal() else key)


def _told(found: Job, handle: JobHandle) -> dict[str, Any]:
    state, usage = handle.progress(), handle.usage()
    return {
        **summary(found, state),
        "batches": dict(state.batches),
        "answered_at_provider": state.answered_at_provider,
        "errors": handle.errors().drop(columns="request").to_dict("records"),
        "usage": {
            "requests": usage.requests,
            "input_tokens": usage.input_tokens,
            "cached_tokens": usage.cached_tokens,
            "output_tokens": usage.output_tokens,
            **{
                name: None if (amount := getattr(usage, name)) is None else float(amount)
                for name in ("cost_usd", "to_come_usd", "saved_usd", "budget_usd")
            },
            "in_words": str(usage),
        },
    }


def _as_text(told: dict[str, Any]) -> str:
    words = ("ok", "failed", "cancelled", "pending", "reused", "skipped")
    counts = ", ".join(f"{told[word]:,} {word}" for word in words if told[word])
    batches = ", ".join(f"{n:,} {state}" for state, n in told["batches"].items())
    usage = told["usage"]
    tokens = f"{usage['input_tokens']:,} tokens in ({usage['cached_tokens']:,} cached), {usage['output_tokens']:,} out"
    lines = [
        ("job", " ".join([str(told["id"]), *([repr(told["name"])] if told["name"] else [])])),
        ("status", told["status"]),
        ("route", f"{told['model']}, {told['endpoint']} at {told['provider']}"),
        ("created", told["created"]),
        ("requests", f"{told['requests']:,} for {told['rows']:,} rows: {counts}"),
        ("batches", batches or "none"),
        ("usage", f"{usage['requests']:,} answers paid for: {tokens}"),
        ("cost", usage["in_words"]),
        *([("trouble", told["trouble"])] if told["trouble"] else []),
        *(("error", _as_line(group)) for group in told["errors"]),
    ]
    return columns(lines)


def _as_line(group: dict[str, Any]) -> str:
    again = ", may pass when retried" if group["retryable"] else ""
    return f"{group['count']:,} times {group['code']}{again}: {group['example']}"
