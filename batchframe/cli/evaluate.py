"""`batchframe eval`: evaluations from files, for CI, and those that are there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from batchframe.cli.group import Group
from batchframe.cli.opening import opened
from batchframe.evaluation import file as files
from batchframe.evaluation import results
from batchframe.evaluation.evaluation import Evaluation
from batchframe.evaluation.plan import draw_up_evaluation
from batchframe.evaluation.registry import find, listed
from batchframe.evaluation.submitting import store
from batchframe.frame.table import columns

_out = click.Path(dir_okay=False, path_type=Path)


@click.group("eval", cls=Group)
def evaluate() -> None:
    """Compare prompts and models: from a file, as CI does it; and look at evaluations that are there."""


@evaluate.command()
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--plan", "only_plan", is_flag=True, help="Say what it would send and cost, and send nothing.")
@click.option("--json", "json_file", type=_out, help="Write the results as JSON.")
@click.option("--junit", type=_out, help="Write the checks as JUnit XML.")
@click.option("--html", type=_out, help="Write the report.")
@click.option("--timeout", type=float, help="Seconds to wait at most; the jobs go on.")
@click.pass_context
def run(
    context: click.Context,
    spec: Path,
    only_plan: bool,
    json_file: Path | None,
    junit: Path | None,
    html: Path | None,
    timeout: float | None,
) -> None:
    """Run the evaluation of a .toml or .yaml file and check it.

    The status is 0 when all checks pass, 1 when one fails, 124 when it is not done in time.

    Run again it goes on, and pays for nothing twice.
    """
    said = files.read(spec)
    with opened(works=True) as session:
        comparison = said.comparison(session.provider_id)
        click.echo(repr(draw_up_evaluation(session, said.frame, comparison)))
        if only_plan:
            return
        stored = store(session, said.frame, comparison)
        evaluation = Evaluation(session, stored, metrics=comparison.measures, calls=comparison.calls)
        try:
            evaluation.wait(timeout, progress=sys.stderr.isatty())
        except (KeyboardInterrupt, TimeoutError) as ended:
            click.echo(f"Not done yet: {evaluation.progress()}")
            click.echo(f"`batchframe eval run {spec}` goes on with it.")
            context.exit(124 if isinstance(ended, TimeoutError) else 130)
        click.echo(repr(evaluation))
        checks = said.check(evaluation)
        for check in checks:
            click.echo(f"{'pass' if check.passed else 'FAIL'}  {check.words}")
        if json_file:
            json_file.write_text(json.dumps(results.as_json(evaluation, checks), indent=2) + "\n", encoding="utf-8")
        if junit:
            junit.write_bytes(results.as_junit(evaluation, checks))
        if html:
            evaluation.to_html(html)
        failed = evaluation.status != "done" or not all(check.passed for check in checks)
    context.exit(int(failed))


@evaluate.command("list")
def list_() -> None:
    """All evaluations, the newest first."""
    with opened() as session:
        every = listed(session)
    head = ("id", "name", "rows", "prompts", "models", "metrics", "created")
    rows = [(at, *row) for at, row in zip(every.index.tolist(), every.itertuples(index=False), strict=True)]
    shown = [[f"{field:%Y-%m-%d %H:%M}" if hasattr(field, "tzinfo") else field for field in row] for row in rows]
    click.echo(columns([head, *shown], right=frozenset({2, 3, 4, 5})))


@evaluate.command()
@click.argument("key", metavar="NAME|ID")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(key: str, as_json: bool) -> None:
    """How its cells compare, as far as it is done."""
    with opened() as session:
        evaluation = find(session, int(key) if key.isdecimal() else key)
        click.echo(json.dumps(results.as_json(evaluation, []), indent=2) if as_json else repr(evaluation))
