"""A disk that is full where files are in transit: said to the user, waited for, nothing lost."""

import resource

import pytest
from sqlalchemy import text

from batchframe.store import outcomes
from tests.faults import jobs
from tests.faults.conftest import World
from tests.faults.engines import EngineProcess
from tests.faults.failpoints import Armed
from tests.judging import judge

LARGEST_FILE = 900
"""Bytes a file may have: an input file of long rows has more; one of short rows has not, but its results have."""

FOUR_ROWS = 4


def limit_files(pid: int, n_bytes: int) -> None:
    """Let a process write files of so many bytes at most, as a disk does that is nearly full."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    ("words", "state"), [(200, "planned"), (1, "ended")], ids=["writing the input file", "downloading"]
)
def test_a_full_disk_is_said_and_waited_for(world: World, words: int, state: str) -> None:
    """A traceback in a log, and a batch that waits for its lease, would leave the user guessing."""
    job_id = jobs.submit(world.database, world.site, [f"row {n} " + "word " * words for n in range(FOUR_ROWS)])
    with EngineProcess(world.site, Armed("engine._due_jobs: before commit", "freeze")) as engine:
        engine.wait_until_hit()
        limit_files(engine.pid, LARGEST_FILE)
        engine.thaw()
        trouble = world.wait_for(lambda: _trouble(world, job_id))
        with world.database.transaction() as connection:
            found = connection.execute(text("SELECT state, owner FROM batch")).one()
        limit_files(engine.pid, resource.RLIM_INFINITY)
        ended = engine.wait()
    assert trouble == (
        f"BATCHFRAME_HOME={world.site.home} cannot be written to: File too large. "
        "Free some space; it goes on by itself."
    )
    assert (found.state, ended.status) == (state, 0)
    assert ended.report is not None
    assert "unexpected" not in "\n".join(ended.report.log)
    judge(world.database, world.simulator)


def _trouble(world: World, job_id: int) -> str | None:
    with world.database.transaction() as connection:
        return outcomes.work(connection, job_id).trouble
