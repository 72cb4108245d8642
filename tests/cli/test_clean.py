"""`batchframe clean`: what nobody needs goes, what anybody may need stays."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.cli.conftest import Run
from tests.judging import paid_once

TABLES = ("job", "request", "job_frame", "loan", "batch", "attempt", "outcome")


def rows(database: Database, job_id: int) -> dict[str, int]:
    with database.transaction() as connection:
        return {
            table: connection.execute(
                text(f"SELECT count(*) FROM {table} WHERE {'id' if table == 'job' else 'job_id'} = :job"),
                {"job": job_id},
            ).scalar_one()
            for table in TABLES
        }


def age(database: Database, job_id: int, days: int) -> None:
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE job SET closed_at = closed_at - make_interval(days => :days) WHERE id = :job"),
            {"days": days, "job": job_id},
        )


@pytest.fixture
def done(session: bf.Session) -> bf.JobHandle:
    job = pd.DataFrame({"text": [f"t{n}" for n in range(10)]}).llm.batch("{text}", model="m", name="old")
    job.wait(30, progress=False)
    return job


def test_files_of_batches_that_are_done_are_deleted_at_the_provider(
    run: Run, session: bf.Session, done: bf.JobHandle, simulator: Simulator, database: Database
) -> None:
    """Providers count stored bytes; and a file that goes too early takes paid answers with it."""
    simulator.settings.duration = 3600
    pd.DataFrame({"text": ["open"]}).llm.batch("{text}", model="m", name="open")
    simulator.wait_for(lambda seen: len(seen.batches) == 2 and seen.batches[1].status == "in_progress")
    of_open = simulator.batches[1].input_file_id
    assert "2 files of 1 batches" in run("clean", "--files", "--dry-run").output
    assert len(simulator.files) == 3
    assert "2 files deleted" in run("clean", "--files", "--yes").output
    assert [file.id for file in simulator.files] == [of_open]
    assert "0 files of 0 batches" in run("clean", "--files", "--yes").output
    assert done.frame()["response__status"].tolist() == ["ok"] * 10
    simulator.settings.duration = 0
    assert bf.job("open").wait(30, progress=False)["response"].tolist() == ["open"]


def test_a_file_that_is_gone_already_is_no_error(
    run: Run, done: bf.JobHandle, simulator: Simulator, database: Database
) -> None:
    """Providers delete by themselves after a month; cleaning must come to its end all the same."""
    simulator.faults.on("files.delete", "status", status=404)
    assert "2 files deleted" in run("clean", "--files", "--yes").output
    with database.transaction() as connection:
        left = connection.execute(text("SELECT input_file_id, output_file_id, error_file_id FROM batch")).all()
    assert [tuple(row) for row in left] == [(None, None, None)]


def test_a_file_that_could_not_be_deleted_is_not_forgotten(run: Run, done: bf.JobHandle, simulator: Simulator) -> None:
    """Forgotten, it stays at the provider and nobody knows of it."""
    simulator.faults.on("files.delete", "status", status=500)
    assert "still there" in run("clean", "--files", "--yes", status=1).output
    assert "2 files deleted" in run("clean", "--files", "--yes").output
    assert simulator.files == []


def test_old_closed_jobs_go_with_everything_that_is_theirs(run: Run, done: bf.JobHandle, database: Database) -> None:
    """Rows left behind would fill the disk unseen; and a dry run must change nothing."""
    assert all(count for table, count in rows(database, done.id).items() if table != "loan")
    assert "0 closed jobs" in run("clean", "--older-than", "30d", "--yes").output
    age(database, done.id, 31)
    shown = run("clean", "--older-than", "30d", "--dry-run").output
    assert "1 closed jobs with 10 answers" in shown
    assert "old (10 requests, m)" in shown
    assert rows(database, done.id)["job"] == 1
    assert "1 jobs removed" in run("clean", "--older-than", "30d", "--yes").output
    assert set(rows(database, done.id).values()) == {0}
    with pytest.raises(bf.JobNotFoundError):
        bf.job("old")


def test_nothing_is_removed_without_a_yes(run: Run, done: bf.JobHandle, database: Database) -> None:
    """In a script, a question nobody answers must not pass for a yes."""
    age(database, done.id, 31)
    assert "pass --yes" in run("clean", "--older-than", "30d", status=2).output
    assert "pass --yes" in run("clean", "--files", status=2).output
    assert rows(database, done.id)["job"] == 1


def test_an_open_job_and_the_job_it_borrows_from_stay(
    run: Run, session: bf.Session, simulator: Simulator, database: Database
) -> None:
    """A borrower whose lender is gone would pay for what was paid for."""
    simulator.settings.duration = 3600
    frame = pd.DataFrame({"text": [f"t{n}" for n in range(10)]})
    lender = frame.llm.batch("{text}", model="m", name="lender")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    borrower = frame.head(5).llm.batch("{text}", model="m", name="borrower")
    session.background.stop()
    assert rows(database, borrower.id)["loan"] == 5
    with database.transaction() as connection:
        # As when the lender has just been closed and the borrower not yet looked.
        connection.execute(text("UPDATE batch SET state = 'done'"))
        connection.execute(
            text("UPDATE job SET closed_at = now() - interval '90 days' WHERE id = :job"), {"job": lender.id}
        )
    assert "0 closed jobs" in run("clean", "--older-than", "0d", "--yes").output
    assert rows(database, lender.id)["job"] == rows(database, borrower.id)["job"] == 1


def test_a_job_that_was_opened_again_meanwhile_stays(
    session: bf.Session, done: bf.JobHandle, database: Database
) -> None:
    """Between the list that is shown and the yes lie minutes, in which somebody may retry the job."""
    from batchframe.store import cleaning

    age(database, done.id, 31)
    with database.transaction() as connection:
        (listed,) = cleaning.removable_jobs(connection, 86_400)
    with database.transaction() as connection:
        connection.execute(text("UPDATE job SET closed_at = NULL WHERE id = :job"), {"job": done.id})
    with database.transaction() as connection:
        assert cleaning.remove_job(connection, listed, 86_400) is False
    assert rows(database, done.id)["outcome"] == 10


def test_answers_that_were_removed_are_paid_for_again(
    run: Run, done: bf.JobHandle, database: Database, simulator: Simulator
) -> None:
    """The command says so; this shows that what it says is true, and that the cell still works."""
    age(database, done.id, 31)
    assert "can no longer be reused" in run("clean", "--help").output.replace("\n ", "")
    run("clean", "--older-than", "4w", "--yes")
    assert paid_once(simulator, 10)
    frame = pd.DataFrame({"text": [f"t{n}" for n in range(10)]})
    assert frame.llm.batch("{text}", model="m", name="old").wait(30, progress=False)["response"].notna().all()
    assert set(simulator.ledger.billed().values()) == {2}


def test_what_to_clean_has_to_be_said(run: Run) -> None:
    """And an age that cannot be read is not taken for another one."""
    assert "Say what to clean" in run("clean", status=2).output
    assert "write 12h, 30d or 8w" in run("clean", "--older-than", "30", status=2).output


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_a_terminal_is_asked(
    done: bf.JobHandle, database: Database, environment: dict[str, str], answer: str, left: int
) -> None:
    """The one moment to see that it is the wrong database."""
    age(database, done.id, 31)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "batchframe", "clean", "--older-than", "30d"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, env={**os.environ, **environment}) as asking:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        output = asking.communicate(timeout=60)[0].decode()
    os.close(ours)
    assert "Their answers can no longer be reused. [y/N]" in output
    assert rows(database, done.id)["job"] == left


def test_the_jobs_of_an_evaluation_stay_until_it_is_forgotten(
    run: Run, session: bf.Session, simulator: Simulator, database: Database
) -> None:
    """Without its jobs an evaluation would ask, and pay for, everything again."""
    frame = pd.DataFrame({"text": ["a", "b"], "gold": ["a", "b"]})
    ev = frame.llm.compare({"plain": "{text}"}, models="m", gold="gold", price=(1, 1)).wait(30, progress=False)
    job = ev.job("plain", "m")
    age(database, job.id, 60)
    run("clean", "--older-than", "30d", "--yes")
    assert ev.table()["accuracy"].tolist() == [1.0]
    ev.forget()
    assert len(bf.evaluations()) == 0
    run("clean", "--older-than", "30d", "--yes")
    assert set(rows(database, job.id).values()) == {0}
