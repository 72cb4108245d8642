"""Backup and restore: what was saved goes on elsewhere, and what was sent since is not sent again."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psycopg
import pytest

import batchframe as bf
from batchframe.errors import DatabaseError
from batchframe.simulator import Simulator
from batchframe.store import backup, embedded
from tests.judging import paid_once

FRAME = pd.DataFrame({"text": [f"row {n}" for n in range(30)]})


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """A home of an embedded server; it is stopped at the end."""
    yield from _home(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Path]:
    """Another one."""
    yield from _home(tmp_path / "new")


def _home(home: Path) -> Iterator[Path]:
    yield home
    embedded.stop(home)


def settle_into(session: bf.Session, job: bf.JobHandle, batches: dict[str, int]) -> None:
    """Wait until the job's batches are in these states."""
    steps = 0
    while job.progress().batches != batches:
        steps = session.background.wait_for_change(steps, 10)


def finished(name: str) -> bool:
    frame = bf.job(name).wait(60, progress=False)
    return frame["response"].tolist() == FRAME["text"].tolist()


def test_an_open_job_goes_on_from_a_backup(
    connect: Callable[..., bf.Session], simulator: Simulator, old: Path, new: Path, tmp_path: Path
) -> None:
    """The machine is lost while batches are at the provider: their answers are had all the same, and paid for once."""
    file = tmp_path / "saved.dump"
    simulator.settings.duration = 3600
    session = connect(database_url=None, home=old, batch_max_requests=10)
    settle_into(session, FRAME.llm.batch("{text}", model="m", name="saved"), {"submitted": 3})
    assert backup.back_up(old, file) == file.stat().st_size > 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "it holds prompts"
    session.close()
    backup.restore(new, file, force=False)
    simulator.settings.duration = 0
    connect(database_url=None, home=new)
    assert finished("saved")
    assert len(simulator.batches) == 3
    assert paid_once(simulator, 30)


@pytest.mark.parametrize("blocked", ["files.create", "batches.create"])
def test_what_was_sent_since_the_backup_is_found_and_not_sent_again(
    connect: Callable[..., bf.Session], simulator: Simulator, old: Path, new: Path, tmp_path: Path, blocked: str
) -> None:
    """A backup of last night says "not yet sent" of what was sent this morning; believed, it would pay for it twice."""
    file = tmp_path / "saved.dump"
    session = connect(database_url=None, home=old)
    simulator.faults.on(blocked, "status", status=429, times=None)  # type: ignore[arg-type]
    job = FRAME.llm.batch("{text}", model="m", name="saved")
    steps = 0
    while not job.progress().trouble:
        steps = session.background.wait_for_change(steps, 10)
    session.background.stop()
    backup.back_up(old, file)
    simulator.faults.reset()
    assert finished("saved")
    session.close()

    backup.restore(new, file, force=False)
    connect(database_url=None, home=new)
    assert bf.job("saved").progress().pending == 30
    assert finished("saved")
    assert len(simulator.batches) == 1
    assert paid_once(simulator, 30)


def test_a_batch_nobody_sent_is_sent_after_a_restore(
    connect: Callable[..., bf.Session], simulator: Simulator, old: Path, new: Path, tmp_path: Path
) -> None:
    """Doubt must end: a clean list, and the rows are asked."""
    file = tmp_path / "saved.dump"
    session = connect(database_url=None, home=old)
    simulator.faults.on("files.create", "status", status=429, times=None)
    job = FRAME.llm.batch("{text}", model="m", name="saved")
    settle_into(session, job, {"planned": 1})
    session.close()
    simulator.faults.reset()
    backup.back_up(old, file)
    backup.restore(new, file, force=False)
    connect(database_url=None, home=new)
    assert finished("saved")
    assert paid_once(simulator, 30)


def test_a_database_with_jobs_is_replaced_only_by_force(
    connect: Callable[..., bf.Session], simulator: Simulator, old: Path, tmp_path: Path
) -> None:
    """A restore by mistake, into the home at hand, would wipe out what runs there."""
    file = tmp_path / "saved.dump"
    session = connect(database_url=None, home=old)
    FRAME.llm.batch("{text}", model="m", name="first").wait(30, progress=False)
    session.close()
    backup.back_up(old, file)
    session = connect(database_url=None, home=old)
    FRAME.llm.batch("more {text}", model="m", name="second").wait(30, progress=False)
    session.close()
    with pytest.raises(DatabaseError, match=r"holds 2 jobs.*--force"):
        backup.restore(old, file, force=False)
    backup.restore(old, file, force=True)
    connect(database_url=None, home=old)
    assert bf.jobs()["name"].tolist() == ["first"]
    assert bf.job("first").frame()["response"].tolist() == FRAME["text"].tolist()


def test_a_database_in_use_is_not_restored_over(
    connect: Callable[..., bf.Session], old: Path, new: Path, tmp_path: Path
) -> None:
    """A notebook that is connected would go on writing into tables that are another job's by now."""
    file = tmp_path / "saved.dump"
    connect(database_url=None, home=old).close()
    backup.back_up(old, file)
    with psycopg.connect(embedded.start(new)), pytest.raises(DatabaseError, match="1 connections"):
        backup.restore(new, file, force=False)


def test_a_file_that_is_no_backup_leaves_the_database_as_it_was(
    connect: Callable[..., bf.Session], old: Path, tmp_path: Path
) -> None:
    """A restore that fails half-way would lose both: what was there, and the trust in backups."""
    session = connect(database_url=None, home=old)
    FRAME.llm.batch("{text}", model="m", name="kept").wait(30, progress=False)
    session.close()
    whole, cut = tmp_path / "whole.dump", tmp_path / "cut.dump"
    backup.back_up(old, whole)
    cut.write_bytes(whole.read_bytes()[:-200])
    nonsense = tmp_path / "nonsense.dump"
    nonsense.write_text("nonsense")
    for file in (cut, nonsense):
        with pytest.raises(DatabaseError, match="cannot be restored"):
            backup.restore(old, file, force=True)
    with pytest.raises(DatabaseError, match="no file"):
        backup.restore(old, tmp_path / "none.dump", force=True)
    connect(database_url=None, home=old)
    assert bf.job("kept").frame()["response"].tolist() == FRAME["text"].tolist()


def test_a_backup_that_fails_leaves_the_earlier_one(
    connect: Callable[..., bf.Session], old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last good backup is the one thing that must not be lost by making a new one."""
    file = tmp_path / "saved.dump"
    file.write_text("the last good one")
    connect(database_url=None, home=old).close()
    monkeypatch.setattr(backup, "_SCHEMA", "no_such_schema")
    with pytest.raises(DatabaseError, match="was not written"):
        backup.back_up(old, file)
    assert file.read_text() == "the last good one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "saved.dump"]


def test_the_programs_are_not_misled_by_variables_of_the_user(
    connect: Callable[..., bf.Session], old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PGHOST and the like are for another server."""
    connect(database_url=None, home=old).close()
    for name in ("PGHOST", "PGUSER", "PGDATABASE", "PGOPTIONS", "PGSERVICE"):
        monkeypatch.setenv(name, "nowhere.invalid")
    assert backup.back_up(old, tmp_path / "saved.dump") > 0
