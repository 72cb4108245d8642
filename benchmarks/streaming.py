"""`make bench-streaming`: Parquet to Parquet, whether the client's memory grows with the rows, coming back, importing.

The client is a process of its own, with the engine in it; simulator and Postgres are others. Peak memory is the
client's largest resident set, Python and libraries included. The handle is that of the job of the largest file, asked
for by name in a new process that is connected already. Imports are medians of fresh processes.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchframe.store import embedded
from benchmarks.client import BODY, MODEL, POLL_SECONDS, make_rows
from benchmarks.versus_script import simulator

SLICE = 100_000


def write_rows(path: Path, n_rows: int) -> None:
    """A Parquet file of real rows, each with a text of its own."""
    with pq.ParquetWriter(
        path, pa.schema([("title", pa.string()), ("description", pa.string()), ("n", pa.string())])
    ) as writer:
        for start in range(0, n_rows, SLICE):
            rows = make_rows(min(SLICE, n_rows - start), str(start))
            writer.write_table(pa.Table.from_pandas(rows, preserve_index=False).cast(writer.schema))


def label(source: str, result: str) -> None:
    """The client: Parquet in, Parquet out."""
    import batchframe as bf

    started = time.perf_counter()
    bf.connect(poll_seconds=POLL_SECONDS, poll_max_seconds=POLL_SECONDS)
    job = bf.read_parquet(source).llm.batch(BODY, model=MODEL, temperature=0, name=Path(source).stem)
    stored = time.perf_counter()
    job.wait(progress=False)
    answered = time.perf_counter()
    job.to_parquet(result)
    print(
        json.dumps(
            {
                "store": stored - started,
                "answers": answered - stored,
                "write": time.perf_counter() - answered,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def come_back(name: str) -> None:
    """The client after a restart."""
    import batchframe as bf

    bf.connect()
    started = time.perf_counter()
    bf.job(name).progress()
    print(json.dumps({"seconds": time.perf_counter() - started}))


def client(environment: dict[str, str], *arguments: str) -> dict[str, float]:
    """Run one client; its figures."""
    command = [sys.executable, "-m", "benchmarks.streaming", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def check(source: Path, result: Path) -> None:
    """Every row has the answer to its own question."""
    asked, answered = pq.ParquetFile(source), pq.ParquetFile(result)
    pairs = zip(
        asked.iter_batches(batch_size=SLICE, columns=["n"]),
        answered.iter_batches(batch_size=SLICE, columns=["n", "response"]),
        strict=True,
    )
    for ours, theirs in pairs:
        assert theirs["n"].equals(ours["n"])
        assert theirs["response"].to_pylist() == [f"section of {n}" for n in ours["n"].to_pylist()]


def import_seconds(statement: str) -> float:
    """The median time of a statement in a fresh process."""
    timed = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", timed], stdout=subprocess.PIPE, check=True).stdout for _ in range(7)]
    return statistics.median(map(float, runs))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    print("| rows | store | answers | write | peak of the client |\n|---:|---:|---:|---:|---:|")
    sizes = parser.parse_args().rows
    for n_rows in sizes:
        with simulator() as environment, tempfile.TemporaryDirectory(prefix="bf-bench-") as folder:
            home = Path(folder)
            source, result = home / f"rows-{n_rows}.parquet", home / "labelled.parquet"
            write_rows(source, n_rows)
            embedded.start(home)
            environment = {**environment, "BATCHFRAME_HOME": folder}
            try:
                found = client(environment, "label", str(source), str(result))
                check(source, result)
                back = client(environment, "back", source.stem)["seconds"]
            finally:
                embedded.stop(home)
        cells = [f"{found[name]:.1f} s" for name in ("store", "answers", "write")]
        print(f"| {n_rows:,} | {' | '.join(cells)} | {found['peak_mib']:.0f} MiB |", flush=True)
    print(f"\nA handle to the job of {sizes[-1]:,} rows: {back:.2f} s")
    ours, pandas = import_seconds("import pandas, batchframe"), import_seconds("import pandas")
    print(f"import batchframe: {ours - pandas:.2f} s over import pandas ({pandas:.2f} s)")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ("label", "back"):
        {"label": label, "back": come_back}[sys.argv[1]](*sys.argv[2:])
    else:
        main()
