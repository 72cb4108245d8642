"""The promise under anything in any order, over the engine's own steps and Postgres."""

import asyncio
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import text

from batchframe.store.database import Database
from tests.faults.books import World
from tests.faults.in_postgres import Postgres
from tests.faults.promise import Promise

PROFILE = settings(
    derandomize=True, database=None, deadline=None, stateful_step_count=40, suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)  # fmt: skip


def test_over_postgres_every_row_is_paid_once_and_every_job_ends(database: Database, tmp_path: Path) -> None:
    """Some order of faults nobody thought of would lose a row, pay for it twice, or leave its job open for ever."""

    class OverPostgres(Promise):
        def make(self) -> World:
            return Postgres(database, tmp_path, runner)

    with database.transaction() as connection:  # durability is not what is asked here, and costs most of the time
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    database.close()  # its next connections have the setting
    with asyncio.Runner() as runner:
        run_state_machine_as_test(OverPostgres, settings=settings(PROFILE, max_examples=15))
