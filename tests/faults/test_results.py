"""Result files that are cut, corrupt, short, doubled, foreign or gone: each row keeps its own answer or reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from batchframe.simulator import Simulator
from batchframe.store import jobs as stored
from tests.faults import jobs
from tests.faults.cases import under_way
from tests.faults.conftest import World, Worlds
from tests.faults.engines import finish
from tests.judging import judge

ROWS = 15


@dataclass(frozen=True)
class Files:
    """What happens to the results of a job of 15 rows in three batches.

    Attributes:
        spoil: orders it.
        twice, lost: answers the provider itself has lost: billed, not to be had, and so billed again.
        failed: rows that end without an answer, until `retry` asks them again.
    """

    name: str
    spoil: Callable[[Simulator], object]
    twice: int = 0
    lost: int = 0
    failed: int = 0


def _download(kind: str, after_bytes: int, times: int = 2) -> Callable[[Simulator], object]:
    return lambda seen: seen.faults.on("files.content", kind, after_bytes=after_bytes, times=times)  # type: ignore[arg-type]


CASES = [
    *(Files(f"{kind} at {at}", _download(kind, at))
      for kind in ("truncate", "truncate_clean", "corrupt") for at in (0, 1, 700)),
    Files("refused", lambda seen: seen.faults.on("files.content", "status", status=403, times=3)),
    Files("not there for a moment", lambda seen: seen.faults.on("files.content", "status", status=404, times=4)),
    Files("doubled lines", lambda seen: seen.faults.batch(times=None, duplicate_lines=3)),
    Files("foreign lines", lambda seen: seen.faults.batch(times=None, foreign_lines=3)),
    Files("doubled and foreign", lambda seen: seen.faults.batch(duplicate_lines=5, foreign_lines=5)),
    Files("lines that are missing", lambda seen: seen.faults.batch(drop_lines=2), twice=2, lost=2),
    Files("a file that is gone", lambda seen: seen.faults.batch(result_gone=True), lost=5, failed=5, twice=5),
    Files("an empty name", lambda seen: seen.faults.batch(times=None, empty_error_file_id=True)),
    Files("no output file", lambda seen: seen.faults.row("row number", status=500, times=1)),
    Files("expired at once", lambda seen: seen.faults.batch(expire_after=0.0)),
    Files("expired halfway", lambda seen: seen.faults.batch(times=2, expire_after=0.5)),
]  # fmt: skip


def _play(world: World, case: Files) -> None:
    case.spoil(world.simulator)
    job_id = jobs.submit(world.database, world.site, [f"row number {n}" for n in range(ROWS)])
    finish(world.site)
    with world.database.transaction() as connection:
        job = stored.find(connection, job_id)
    assert job is not None
    assert (job.n_ok, job.n_failed) == (ROWS - case.failed, case.failed)
    if case.failed:
        # What was paid for and cannot be had is not paid again before the user says so.
        judge(world.database, world.simulator, lost=case.lost)
        with world.database.transaction() as connection:
            stored.retry(connection, job, reuse=True)
        finish(world.site)
    judge(world.database, world.simulator, twice=case.twice, lost=case.lost)


@pytest.fixture(scope="module")
def played(worlds: Worlds, request: pytest.FixtureRequest) -> Iterator[dict[Files, Future[None]]]:
    """The selected cases, under way."""

    def play(case: Files) -> None:
        with worlds() as world:
            _play(world, case)

    with under_way(request, Files, play) as cases:
        yield cases


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_spoiled_result_file_costs_no_other_row(case: Files, played: dict[Files, Future[None]]) -> None:
    """Half a file must not pass for the whole, nor a line for another row's, nor a lost one for an unpaid one."""
    played[case].result()
