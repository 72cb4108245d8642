"""`make bench`: batchframe against two hand-written scripts, on the same simulator, in one run.

Each client is a process of its own, in turn with the others; the simulator is another process, Postgres a third. Time
runs from the frame in hand to the filled column in hand. The embedded Postgres is started before, the database is new.
The simulator answers as fast as it can, so that the clients' own work is what shows.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchframe.store import embedded

CLIENTS = ("plain script", "tuned script", "batchframe")


def measure(client: str, n_rows: int, salt: str, environment: dict[str, str]) -> dict[str, float]:
    """Run one client; its figures."""
    arguments = {
        "plain script": ["benchmarks.plain_script", str(n_rows), salt, "plain"],
        "tuned script": ["benchmarks.plain_script", str(n_rows), salt, "tuned"],
        "batchframe": ["benchmarks.with_batchframe", str(n_rows), salt],
    }[client]
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


@contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """A simulator; the environment of its clients."""
    command = ["simulate", "--port", "0", "--responder", "benchmarks.responder:label", "--duration", "0"]
    process = subprocess.Popen([sys.executable, "-m", "batchframe", *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        yield {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": url[0]}
    finally:
        process.terminate()
        process.wait()


def compare(n_rows: int, runs: int) -> None:
    """Print a row of the table."""
    figures: dict[str, list[dict[str, float]]] = {client: [] for client in CLIENTS}
    for run in range(runs):
        for client in CLIENTS:
            with simulator() as environment, tempfile.TemporaryDirectory(prefix="bf-bench-") as home:
                if client == "batchframe":
                    embedded.start(Path(home))
                try:
                    figures[client].append(measure(client, n_rows, f"{run}", {**environment, "BATCHFRAME_HOME": home}))
                finally:
                    embedded.stop(Path(home))

    def middle(client: str, figure: str) -> float:
        return statistics.median(one[figure] for one in figures[client])

    def ratio(client: str) -> float:
        pairs = zip(figures["batchframe"], figures[client], strict=True)
        return statistics.median(ours["seconds"] / theirs["seconds"] for ours, theirs in pairs)

    cells = [f"{n_rows:,}"]
    cells += [f"{middle(client, 'seconds'):.1f} s" for client in CLIENTS]
    cells += [f"{ratio(client):.2f}" for client in CLIENTS[:2]]
    cells += [f"{middle(client, 'peak_mib'):.0f} MiB" for client in CLIENTS]
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print("| rows | plain | tuned | batchframe | ÷ plain | ÷ tuned | plain, peak | tuned, peak | batchframe, peak |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for n_rows in arguments.rows:
        compare(n_rows, arguments.runs)


if __name__ == "__main__":
    main()
