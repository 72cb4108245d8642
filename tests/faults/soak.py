"""`make soak`: chaos for as long as you like. Every run is made from its own seed, so one that failed can be run again:

python -m tests.faults.soak --runs 1 --seed 4711
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from batchframe.simulator import Simulator
from batchframe.store import embedded
from batchframe.store.database import Database
from tests.conftest import _execute, _with_database
from tests.faults import chaos
from tests.faults.child import Site


@click.command()
@click.option("--runs", default=200, show_default=True)
@click.option("--workers", default=3, show_default=True)
@click.option("--rows", default=10_000, show_default=True)
@click.option("--kills", default=6, show_default=True, help="kill -9s a run, if it lasts that long.")
@click.option("--seed", default=1, show_default=True, help="Of the first run; the next has the next.")
@click.option("--exec", "executed", is_flag=True, help="Start workers as programs of their own, not by forking.")
def soak(runs: int, workers: int, rows: int, kills: int, seed: int, executed: bool) -> None:
    """Kill workers at random, on a provider that misbehaves, and judge every run."""
    results: list[chaos.Result] = []
    broken: list[int] = []
    with tempfile.TemporaryDirectory(prefix="bf-soak-") as folder:
        url = embedded.start(Path(folder))
        try:
            _execute(url, "CREATE DATABASE template_bf")
            Database(_with_database(url, "template_bf")).close()
            for number in range(seed, seed + runs):
                try:
                    result = _run(url, Path(folder) / f"run{number}", number, workers, rows, kills, executed)
                except TimeoutError as error:
                    broken.append(number)
                    click.echo(f"seed {number}  {error}")
                    continue
                results.append(result)
                _say(number, result)
                if result.verdict.faults:
                    broken.append(number)
                sys.stdout.flush()
        finally:
            embedded.stop(Path(folder))
    click.echo(
        f"{len(results)} runs, {sum(r.kills for r in results)} kills, {sum(r.freezes for r in results)} freezes, "
        f"{sum(r.verdict.requests for r in results):,} rows, lost {sum(r.verdict.lost for r in results)}, "
        f"billed twice {sum(r.verdict.twice for r in results)}, reported {sum(r.reported for r in results)}"
    )
    if broken:
        click.echo(f"broken seeds: {' '.join(map(str, broken))}")
        sys.exit(1)


def _run(url: str, home: Path, seed: int, workers: int, rows: int, kills: int, executed: bool) -> chaos.Result:
    name = f"soak_{seed}"
    _execute(url, f"CREATE DATABASE {name} TEMPLATE template_bf STRATEGY file_copy")
    database = Database(_with_database(url, name))
    try:
        with Simulator(seed=seed) as simulator:
            size = max(1, min(1000, rows // 15))
            site = Site(
                _with_database(url, name), simulator.base_url, home, {**chaos.SETTINGS, "batch_max_requests": size}
            )
            return chaos.run(
                database, simulator, site, seed=seed, workers=workers, rows=rows, kills=kills, forked=not executed
            )
    finally:
        database.close()
        _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


def _say(seed: int, result: chaos.Result) -> None:
    verdict = result.verdict
    click.echo(
        f"seed {seed}  {result.seconds:5.1f} s  {result.kills} kills  {result.freezes} freezes  "
        f"{result.batches} batches  {verdict.requests:,} rows  lost {verdict.lost}  billed twice {verdict.twice}  "
        f"reported {result.reported}"
    )
    for fault in verdict.faults:
        click.echo(fault)


if __name__ == "__main__":
    soak()
