"""`batchframe demo`: from nothing to a labelled table, on a database of its own and the simulator, for free.

Half way through, the process that does the work is killed with -9. Another one comes back to the job by its name,
and the simulator's ledger says what was paid for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pandas as pd

import batchframe as bf
from batchframe.demo.labelling import NAME, TEMPLATE, read_rows, respond
from batchframe.simulator import Simulator
from batchframe.store import embedded

_BATCH_ROWS = 500


def run() -> None:
    """Run the demo; everything it makes is in a temporary folder that goes away with it."""
    with tempfile.TemporaryDirectory(prefix="batchframe-demo-") as folder:
        home = Path(folder)
        with Simulator(responder=respond, duration=1.0) as simulator:
            try:
                _show(simulator, home)
            finally:
                embedded.stop(home)


def _show(simulator: Simulator, home: Path) -> None:
    rows = read_rows()
    _say(f"{len(rows):,} packages of Debian 12, and a question about each:")
    click.echo("\n".join(f"    {line}" for line in TEMPLATE.splitlines()))

    _say("A notebook starts the job on an embedded Postgres and a simulated provider …")
    settings = {
        "BATCHFRAME_HOME": str(home),
        "OPENAI_API_KEY": "sk-simulated",
        "OPENAI_BASE_URL": simulator.base_url,
        "BATCHFRAME_POLL_SECONDS": "0.2",
        "BATCHFRAME_GRACE_SECONDS": "2",
        "BATCHFRAME_LEASE_SECONDS": "2",
        "BATCHFRAME_BATCH_MAX_REQUESTS": str(_BATCH_ROWS),
    }
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHFRAME_", "OPENAI_"))}
    notebook = subprocess.Popen([sys.executable, "-m", "batchframe.demo.notebook"], env={**outside, **settings})
    _wait_until_under_way(simulator, notebook, answers=len(rows) // 3)
    notebook.send_signal(signal.SIGKILL)
    notebook.wait()
    _say(
        f"… and is killed with -9 when {len(simulator.batches)} batches are at the provider "
        f"and {simulator.ledger.requests:,} answers made."
    )

    _say(f"Another process comes back to it: bf.job({NAME!r}).wait()")
    bf.connect(
        home=home,
        openai_api_key="sk-simulated",
        openai_base_url=simulator.base_url,
        poll_seconds=0.2,
        grace_seconds=2,
        lease_seconds=2,
        batch_max_requests=_BATCH_ROWS,
    )
    job = bf.job(NAME)
    labelled = rows.join(job.wait().drop(columns=["package", "title", "description"]))
    _report(labelled, job, simulator)
    bf.connect(home=home, openai_api_key="sk-simulated").close()


def _wait_until_under_way(simulator: Simulator, notebook: subprocess.Popen[bytes], answers: int) -> None:
    while notebook.poll() is None:
        with contextlib.suppress(TimeoutError):
            simulator.wait_for(lambda seen: seen.ledger.requests >= answers, timeout=1)
            return
    raise click.ClickException("The notebook ended before it had begun; its message is above.")


def _report(labelled: pd.DataFrame, job: bf.JobHandle, simulator: Simulator) -> None:
    shown = labelled[["package", "section", "label_section", "label_sure", "label__status"]]
    click.echo(shown.head(8).to_string(index=False))
    click.echo(f"\n{job.progress()}")
    used, ledger = job.usage(), simulator.ledger
    twice = sum(times > 1 for times in ledger.billed().values())
    _say("What was paid for, by the provider's ledger:")
    click.echo(
        f"    {ledger.requests:,} requests billed, {len(ledger.billed()):,} distinct, {twice} billed twice\n"
        f"    {used.input_tokens:,} input and {used.output_tokens:,} output tokens: "
        f"${used.cost_usd:.2f} at the batch rate, had it been the real model"
    )


def _say(text: str) -> None:
    click.echo(click.style(f"\n{text}", bold=True))
