"""Old databases: of every earlier migration, with jobs at every stage, brought up to date without losing a thing.

A new migration is covered without a change here: the data of 0001 is taken through the migrations before it, then left
to `Database`, as a user's upgrade does.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, text

import batchframe as bf
import batchframe.store.migrations
from batchframe.simulator import Simulator
from tests.judging import paid_once
from tests.store.old import data_0001

TABLES = ("job", "request", "job_frame", "loan", "batch", "attempt", "outcome", "quota")


def scripts() -> list[str]:
    folder = Path(batchframe.store.migrations.__file__).parent
    return [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()][::-1]


def migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "batchframe.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.commit()


def content(connection: Connection, columns: dict[str, list[str]]) -> dict[str, list[tuple[str, ...]]]:
    """All rows of the tables, by these columns, as text."""
    found = {}
    for table, names in columns.items():
        shown = ", ".join(f"CAST({name} AS text)" for name in names)
        found[table] = sorted(map(tuple, connection.execute(text(f"SELECT {shown} FROM {table}"))), key=repr)
    connection.rollback()
    return found


@pytest.fixture
def old(database_url: str) -> Iterator[Connection]:
    """A connection to a database without tables."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, connect_args={"options": "-c search_path=batchframe"})
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA batchframe CASCADE"))
        connection.execute(text("CREATE SCHEMA batchframe"))
        connection.commit()
        yield connection
    engine.dispose()


@pytest.mark.parametrize("revision", scripts())
def test_an_old_database_is_brought_up_to_date_and_its_jobs_are_finished(
    old: Connection, connect: Callable[..., bf.Session], simulator: Simulator, tmp_path: Path, revision: str
) -> None:
    """An upgrade in the middle of a job worth hundreds of dollars must not cost one answer, nor pay for one twice."""
    migrate(old, scripts()[0])
    data_0001.Writer(old, simulator, tmp_path).write()
    old.commit()
    columns = {table: list(old.execute(text(f"SELECT * FROM {table} LIMIT 0")).keys()) for table in TABLES}
    before = content(old, columns)
    migrate(old, revision)
    session = connect()
    # Nobody works yet: the engine starts with the first handle.
    assert content(old, columns) == before

    closed = bf.job("closed")
    assert closed.frame()["response__status"].tolist() == ["ok", "ok", "failed", "cancelled"]
    assert closed.frame()["response"].tolist()[:2] == data_0001.prompts("closed")[:2]
    usage = closed.usage()
    assert (usage.requests, usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (2, 14, 2, 6)
    for name in data_0001.OPEN:
        frame = bf.job(name).wait(60, progress=False)
        assert frame["response__status"].tolist() == ["ok"] * data_0001.ROWS, name
        assert frame["response"].tolist() == data_0001.prompts(name), name
        assert frame["text"].tolist() == [f"row {row}" for row in range(data_0001.ROWS)]
    assert bf.job("borrowing").progress().reused == data_0001.ROWS
    session.close()
    # Paid for here: every row of the open jobs but the two answered before and those borrowed.
    assert paid_once(simulator, (len(data_0001.OPEN) - 1) * data_0001.ROWS - 2)


def test_the_migrations_are_one_line() -> None:
    """Two heads, or a branch, and nobody knows which database is the newer."""
    folder = Path(batchframe.store.migrations.__file__).parent
    directory = ScriptDirectory(str(folder))
    assert len(directory.get_bases()) == len(directory.get_heads()) == 1
    assert scripts() == sorted(scripts())
