"""`make bench`: batchframe against a plain script, on the same simulator, in one run.

Each client is a process of its own, in turn with the other; the simulator is a third process, Postgres a fourth. Time
runs from the frame in hand to the filled column in hand. The embedded Postgres is started before, the database is new.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from batchframe.store import embedded


def measure(module: str, n_rows: int, salt: str, environment: dict[str, str]) -> dict[str, float]:
    """Run one client; its figures."""
    done = subprocess.run(
        [sys.executable, "-m", module, str(n_rows), salt],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(n_rows: int, runs: int) -> None:
    """Print a row of the table."""
    simulator = subprocess.Popen(
        [sys.executable, "-m", "batchframe", "simulate", "--port", "0", "--responder", "benchmarks.responder:label", "--duration", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert simulator.stdout is not None
        url = re.search(r"http://\S+", simulator.stdout.readline())
        assert url is not None
        client = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": url[0]}
        script, ours = [], []
        for run in range(runs):
            with tempfile.TemporaryDirectory(prefix="bf-bench-") as folder:
                script.append(measure("benchmarks.plain_script", n_rows, f"{run}a", client))
                embedded.start(Path(folder))
                try:
                    ours.append(
                        measure("benchmarks.with_batchframe", n_rows, f"{run}b", {**client, "BATCHFRAME_HOME": folder})
                    )
                finally:
                    embedded.stop(Path(folder))
    finally:
        simulator.terminate()
        simulator.wait()
    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(ours, script, strict=True))
    cells = [
        f"{n_rows:,}",
        *(f"{statistics.median(one['seconds'] for one in runs_):.2f}" for runs_ in (script, ours)),
        f"{ratio:.2f}",
        *(f"{statistics.median(one['peak_mib'] for one in runs_):.0f}" for runs_ in (script, ours)),
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print("| rows | script, s | batchframe, s | ratio | script, peak MiB | batchframe, peak MiB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for n_rows in arguments.rows:
        compare(n_rows, arguments.runs)


if __name__ == "__main__":
    main()
