"""`batchframe worker`: a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once

TEN = pd.DataFrame({"text": [f"t{n}" for n in range(10)]})


@contextmanager
def worker(environment: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "batchframe", "worker", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, **environment}, text=True, **pipes) as running:  # type: ignore[call-overload]
        try:
            yield running
        finally:
            running.kill()


def line_with(running: subprocess.Popen[str], text: str, *, of: str = "stdout") -> str:
    """The first line that holds the text; the worker must not end before."""
    stream = getattr(running, of)
    for line in stream:
        if text in line:
            return str(line)
    raise AssertionError(f"the worker ended without {text!r}")


def test_a_worker_finishes_what_a_notebook_began(
    connect: Callable[..., bf.Session], environment: dict[str, str], simulator: Simulator
) -> None:
    """Close the laptop, let a server go on."""
    simulator.settings.duration = 3600
    session = connect()
    TEN.llm.batch("{text}", model="m", name="left")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    session.close()
    simulator.settings.duration = 0
    with worker(environment, "--until-idle") as running:
        running.communicate(timeout=60)
    assert running.returncode == 0
    connect()
    assert bf.job("left").frame()["response"].tolist() == TEN["text"].tolist()
    assert paid_once(simulator, 10)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_stops_cleanly(environment: dict[str, str], stop: signal.Signals) -> None:
    """A deployment must not cost a lease's wait."""
    with worker(environment) as running:
        line_with(running, "jobs")
        running.send_signal(stop)
        output, _ = running.communicate(timeout=30)
    assert "Stopped" in output
    assert running.returncode == 0


def test_logs_are_json_that_names_job_and_batch(
    connect: Callable[..., bf.Session], environment: dict[str, str], simulator: Simulator
) -> None:
    """Whoever is called at night looks for the job by its number, in a store of logs and not in a terminal."""
    session = connect()
    session.background.stop()
    simulator.faults.on("batches.create", "reset_after")
    job = TEN.llm.batch("{text}", model="m", name="doubtful")
    session.close()
    with worker(environment, "--until-idle", "--log-format", "json") as running:
        output, logs = running.communicate(timeout=60)
    assert output == ""
    records = [json.loads(line) for line in logs.splitlines()]
    (doubt,) = [record for record in records if "looked for" in record["message"]]
    assert doubt["level"] == "warning"
    assert doubt["job"] == job.id
    assert doubt["batch"] >= 1
    assert all({"time", "level", "logger", "message"} <= record.keys() for record in records)


def test_metrics_are_served(
    connect: Callable[..., bf.Session], environment: dict[str, str], simulator: Simulator
) -> None:
    """A worker that has stopped working looks just like one that has nothing to do, but for its figures."""
    session = connect()
    TEN.llm.batch("{text}", model="gpt-5-mini", name="done").wait(30, progress=False)
    simulator.settings.duration = 3600
    job = TEN.llm.batch("more {text}", model="gpt-5-mini", name="open")
    session.close()
    with worker(environment, "--metrics-port", "0") as running:
        address = line_with(running, "Metrics at").split()[-1]
        simulator.wait_for(lambda seen: len(seen.batches) == 2 and seen.ledger.calls["batches.retrieve"] > 3, 30)
        figures = {}
        with urllib.request.urlopen(address) as response:
            for line in response.read().decode().splitlines():
                if not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    figures[name] = float(value)
    assert job.id == 2
    assert figures["batchframe_database_up"] == 1
    assert figures['batchframe_jobs{state="open"}'] == 1
    assert figures['batchframe_batches{state="submitted"}'] == 1
    assert figures['batchframe_batches{state="unsure"}'] == 0
    assert figures['batchframe_requests{outcome="ok"}'] == 10
    assert figures['batchframe_requests{outcome="pending"}'] == 10
    assert figures['batchframe_spend_usd{model="gpt-5-mini"}'] > 0
    assert figures['batchframe_provider_calls_total{result="ok",verb="poll"}'] >= 1
    assert figures["batchframe_orphan_batches"] == 0
    assert figures["batchframe_duplicates_total"] == figures["batchframe_leases_lost_total"] == 0


def test_a_port_that_is_taken_is_said(environment: dict[str, str], simulator: Simulator) -> None:
    """Not a traceback, and not a worker without metrics."""
    port = re.search(r":(\d+)/", simulator.base_url)
    assert port is not None
    with worker(environment, "--metrics-port", port[1]) as running:
        _, said = running.communicate(timeout=60)
    assert running.returncode == 1
    assert said.strip().splitlines()[-1].startswith(f"Error: --metrics-port {port[1]}: ")
