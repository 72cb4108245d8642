"""`batchframe jobs` and `batchframe job`: what a notebook shows, in a terminal."""

import json
from pathlib import Path

import pandas as pd
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.cli.conftest import Run
from tests.judging import paid_once


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"text": [f"t{n}" for n in range(10)]}, index=pd.Index(range(100, 110), name="ticket"))


@pytest.fixture
def left_open(session: bf.Session, simulator: Simulator, frame: pd.DataFrame) -> None:
    """A job that is at the provider and that nobody works on."""
    simulator.settings.duration = 3600
    job = frame.llm.batch("{text}", model="gpt-5-mini", name="left")
    steps = 0
    while job.progress().batches != {"submitted": 1}:
        steps = session.background.wait_for_change(steps, 10)
    simulator.wait_for(lambda seen: seen.batches[0].status == "in_progress")
    session.close()


def test_jobs_are_listed(run: Run, session: bf.Session, frame: pd.DataFrame) -> None:
    """Whoever comes to the machine by ssh sees what runs on it."""
    assert run("jobs").output == "There is no job yet.\n"
    frame.llm.batch("{text}", model="m", name="first").wait(30, progress=False)
    assert run("jobs").output == "1 closed; --all lists them too.\n"
    head, row = run("jobs", "--all").output.splitlines()
    assert row.index("done") == head.index("status")
    assert row.split()[:4] == ["1", "first", "done", "m"]
    (job,) = json.loads(run("jobs", "--all", "--json").output)
    assert job["ok"] == 10
    assert job["created"].endswith("+00:00")


def test_looking_at_a_job_starts_no_work(run: Run, left_open: None, simulator: Simulator) -> None:
    """A look must not take the work from the worker that does it, to drop it a second later."""
    calls = simulator.ledger.calls.total()
    simulator.settings.duration = 0
    told = json.loads(run("job", "show", "left", "--json").output)
    assert told["status"] == "running"
    assert told["batches"] == {"submitted": 1}
    assert "1 submitted" in run("job", "show", "1").output
    run("jobs")
    assert simulator.ledger.calls.total() == calls


def test_a_job_shows_why_it_failed_and_what_it_cost(
    run: Run, session: bf.Session, simulator: Simulator, frame: pd.DataFrame
) -> None:
    """The two questions one has in the morning."""
    simulator.faults.row("t3", status=400, message="Nobody answers t3.")
    frame.llm.batch("{text}", model="gpt-5-mini", name="mixed").wait(30, progress=False)
    shown = run("job", "show", "mixed").output
    assert "9 ok, 1 failed" in shown
    assert "Nobody answers t3." in shown
    assert "$0.000010 spent" in shown
    told = json.loads(run("job", "show", "mixed", "--json").output)
    assert told["errors"][0]["count"] == 1
    assert told["usage"]["cost_usd"] > 0


def test_a_job_that_is_not_there_is_said_to_be_not_there(run: Run) -> None:
    """By name and by number."""
    assert "There is no job 'nothing'" in run("job", "show", "nothing", status=1).output
    assert "There is no job 7" in run("job", "show", "7", status=1).output


def test_cancelling_only_writes_and_says_who_goes_on(run: Run, left_open: None, simulator: Simulator) -> None:
    """The command returns at once; a worker, or --wait, does the rest, and the rows have their end."""
    said = run("job", "cancel", "left").output
    assert said.startswith("cancelling: ")
    assert "batchframe worker" in said
    assert simulator.batches[0].status == "in_progress"
    said = run("job", "cancel", "left", "--wait").output
    assert "cancelled: 10 requests for 10 rows: 0 ok, 10 cancelled" in said
    assert simulator.batches[0].status == "cancelled"


def test_retrying_asks_failed_rows_again_and_no_others(
    run: Run, session: bf.Session, simulator: Simulator, frame: pd.DataFrame
) -> None:
    """What was answered has been paid for."""
    simulator.faults.row("t3", status=400, times=1)
    simulator.faults.row("t4", status=500, code="server_error", times=5)
    frame.llm.batch("{text}", model="m", name="mixed").wait(30, progress=False)
    session.close()
    assert "8 ok, 1 failed, 1 pending" in run("job", "retry", "mixed", "--retryable").output
    assert (
        "done: 10 requests for 10 rows: 9 ok, 1 failed" in run("job", "retry", "mixed", "--retryable", "--wait").output
    )
    assert "10 ok" in run("job", "retry", "mixed", "--wait").output
    assert paid_once(simulator, 10)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_job_is_exported_with_its_results(
    run: Run, session: bf.Session, frame: pd.DataFrame, tmp_path: Path, suffix: str
) -> None:
    """The way from a server without a notebook to a file; and no file is written over by accident."""
    frame.llm.batch("{text}", model="m", name="done").wait(30, progress=False)
    file = tmp_path / f"out.{suffix}"
    run("job", "export", "done", str(file))
    read = {"parquet": pd.read_parquet, "csv": pd.read_csv, "jsonl": lambda path: pd.read_json(path, lines=True)}[
        suffix
    ]
    table = read(file)
    assert table["response"].tolist() == frame["text"].tolist()
    assert table.reset_index()["ticket"].tolist() == frame.index.tolist()
    file.write_text("precious")
    assert "is there already" in run("job", "export", "done", str(file), status=1).output
    assert file.read_text() == "precious"
    run("job", "export", "done", str(file), "--force")
    assert len(read(file)) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", file.name]


def test_an_export_to_an_unknown_format_is_refused_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    """Not after minutes of reading a million rows."""
    assert ".parquet, .csv, .jsonl" in run("job", "export", "any", str(tmp_path / "a.xlsx"), status=1).output
    assert "no folder" in run("job", "export", "any", str(tmp_path / "none" / "a.csv"), status=1).output
