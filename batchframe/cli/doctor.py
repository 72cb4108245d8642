"""`batchframe doctor`: is everything in order, and what to do if not."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import click

from batchframe.cli.opening import opened
from batchframe.errors import DatabaseError
from batchframe.operations.finding import Finding, Level

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command()
@click.option("--probe", is_flag=True, help="Also make a batch that cannot run and costs nothing, to see its mark.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
def doctor(probe: bool, as_json: bool) -> None:
    """Check database, provider and work; the status is 1 when something has failed."""
    found = _examined(probe, shown=not as_json)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    if any(finding.level is Level.FAIL for finding in found):
        raise click.exceptions.Exit(1)


def _examined(probe: bool, *, shown: bool) -> list[Finding]:
    from batchframe.operations.doctor import examine, unreachable

    found: list[Finding] = []

    def note(finding: Finding) -> None:
        found.append(finding)
        if shown:
            _show(finding)

    try:
        with opened() as session:

            async def run() -> None:
                async for finding in examine(session, probe=probe):
                    note(finding)

            asyncio.run(run())
    except DatabaseError as error:
        note(unreachable(error))
    return found


def _show(finding: Finding) -> None:
    level = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
    click.echo(f"{level}  {finding.check:<16}  {finding.said}")
    for line in [*([f"→ {finding.todo}"] if finding.todo else []), *finding.details]:
        click.echo(f"{'':24}{line}")
