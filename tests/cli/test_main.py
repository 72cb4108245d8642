"""The command line."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from click.testing import CliRunner

import batchframe as bf
from batchframe.cli import main
from batchframe.simulator import Simulator
from tests.judging import paid_once


def test_every_command_explains_itself() -> None:
    """`--help` is where people look first."""
    commands = [[name] for name in main.commands] + [["db", name] for name in main.commands["db"].commands]  # type: ignore[attr-defined]
    for command in [[], *commands]:
        shown = CliRunner().invoke(main, [*command, "--help"])
        assert shown.exit_code == 0
        assert len(shown.output.splitlines()) > 3, command


def test_our_errors_are_sentences_not_tracebacks() -> None:
    """A missing key is the user's to mend; a traceback would hide how."""
    shown = CliRunner().invoke(main, ["worker"], env={"BATCHFRAME_LEASE_SECONDS": "soon"})
    assert shown.exit_code == 1
    assert shown.output.startswith("Error: BATCHFRAME_LEASE_SECONDS")


def test_the_database_is_started_shown_and_stopped(tmp_path: Path) -> None:
    """The four verbs on the embedded server."""
    environment = {"BATCHFRAME_HOME": str(tmp_path)}

    def run(*command: str) -> str:
        shown = CliRunner().invoke(main, ["db", *command], env=environment)
        assert shown.exit_code == 0, shown.output
        return shown.output

    try:
        assert "running (process" in run("start")
        assert "running (process" in run("status")
        assert run("url").startswith("postgresql://")
    finally:
        assert run("stop") == "Stopped.\n"
    assert "not running" in run("status")
    assert run("stop") == "It was not running.\n"


def worker(database_url: str, simulator: Simulator, home: Path, *options: str) -> subprocess.Popen[str]:
    settings = {
        "BATCHFRAME_DATABASE_URL": database_url,
        "BATCHFRAME_HOME": str(home),
        "BATCHFRAME_POLL_SECONDS": "0.1",
        "BATCHFRAME_LEASE_SECONDS": "2",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.base_url,
    }
    command = [sys.executable, "-m", "batchframe", "worker", *options]
    return subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True)


def test_a_worker_finishes_what_a_notebook_began(
    connect: Callable[..., bf.Session], database_url: str, simulator: Simulator, tmp_path: Path
) -> None:
    """Close the laptop, let a server go on."""
    simulator.settings.duration = 3600
    frame = pd.DataFrame({"text": [f"t{n}" for n in range(10)]})
    session = connect()
    frame.llm.batch("{text}", model="m", name="left")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    session.close()
    simulator.settings.duration = 0
    running = worker(database_url, simulator, tmp_path, "--until-idle")
    assert running.communicate(timeout=60)
    assert running.returncode == 0
    connect()
    assert bf.job("left").frame()["response"].tolist() == frame["text"].tolist()
    assert paid_once(simulator, 10)


def test_a_worker_stops_cleanly_on_sigterm(database_url: str, simulator: Simulator, tmp_path: Path) -> None:
    """A deployment must not cost a lease's wait."""
    running = worker(database_url, simulator, tmp_path)
    assert running.stdout is not None
    while "jobs" not in running.stdout.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=30)
    assert "Stopped" in output
    assert running.returncode == 0
