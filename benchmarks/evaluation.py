"""A large evaluation whose process is killed half way: `python -m benchmarks.evaluation [--rows N]`.

4 prompts and 3 models over 3,000 real rows, with a judge that grades and one that compares. It is planned, started in a
process of its own, killed with SIGKILL when half of the answers have been billed, and gone on with by another one. What
counts is that the provider's ledger holds every distinct request once, and how long each step took.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import batchframe as bf
from batchframe.demo.labelling import label_schema, read_rows, respond
from batchframe.simulator import Simulator

MODELS = ["gpt-5", "gpt-5-mini", "gpt-5-nano"]
HINTS = "- mail: mail, smtp, imap, spam\n- database: database, sql, mysql\n- editors: editor, emacs, vim"
TEXT = "\n\n{package}: {title}\n\n{description}"
PROMPTS = {
    "short": f"Which section of the archive does this package belong to?{TEXT}",
    "hints": f"Which section of the archive does this package belong to?\n{HINTS}{TEXT}",
    "more hints": f"Which section does this package belong to?\n{HINTS}\n- video: video, dvd, mpeg, movie{TEXT}",
    "title": "Which section does this package belong to?\n\n{package}: {title}",
}
NAME = "large"


def comparison() -> dict[str, Any]:
    """The arguments of the evaluation."""
    return {
        "models": MODELS,
        "gold": "section",
        "schema": label_schema(),
        "name": NAME,
        "metrics": [
            *("accuracy", "macro_f1", "kappa"),
            bf.graded("5: the section a maintainer would choose. 1: plainly wrong.", model="gpt-5"),
            bf.pairwise("Which answer would a maintainer choose?", model="gpt-5"),
        ],
    }


def settings(base_url: str, home: str) -> dict[str, Any]:
    """Of every process alike."""
    return {"openai_api_key": "sk-simulated", "openai_base_url": base_url, "home": Path(home), "poll_seconds": 0.2}


def ask(base_url: str, home: str, n_rows: int) -> None:
    """What the process does that is killed."""
    bf.connect(**settings(base_url, home))
    rows(n_rows).llm.compare(PROMPTS, **comparison()).wait(progress=False)


def rows(n: int) -> Any:
    """The first rows."""
    return read_rows().iloc[:n]


def main() -> None:
    """Run it and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000)
    n_rows = parser.parse_args().rows
    with Simulator(responder=respond, duration=5.0) as simulator, tempfile.TemporaryDirectory() as home:
        session = bf.connect(**settings(simulator.base_url, home))
        took = _Clock()
        plan = rows(n_rows).llm.plan_compare(PROMPTS, **comparison())
        took("plan")
        print(plan)
        session.close()
        spawned = multiprocessing.get_context("spawn").Process(target=ask, args=(simulator.base_url, home, n_rows))
        spawned.start()
        half = sum(part.to_send for part in plan.parts if not part.judge) // 2
        while simulator.ledger.requests < half:
            time.sleep(0.05)
        spawned.kill()
        spawned.join()
        killed_at = simulator.ledger.requests
        took("until it is killed")
        session = bf.connect(**settings(simulator.base_url, home))
        evaluation = bf.evaluation(NAME).wait(progress=False)
        took("until it is done")
        table = evaluation.table()
        took("figures of the cells")
        versus = evaluation.versus()
        took("comparisons")
        page = evaluation.to_html()
        took("report")
        print(table[["accuracy", "macro_f1", "kappa", "grade", "preferred", "failed", "usd_per_1000"]].to_string())
        print(versus["in_words"].to_string())
        billed = simulator.ledger.billed()
        progress = evaluation.progress()
        more = sum(count > 1 for count in billed.values())
        print(f"billed {simulator.ledger.requests:,}, distinct {len(billed):,}, more than once {more:,}")
        print(f"killed at {killed_at:,}; planned at most {plan.to_send:,}; {len(PROMPTS) * len(MODELS)} cells")
        print(f"{progress.requests:,} requests of all jobs, {progress.reused:,} of them reused")
        print(f"a report of {len(page):,} characters")
        session.close()


class _Clock:
    """Says how long each step took."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, step: str) -> None:
        now = time.monotonic()
        print(f"{step}: {now - self._last:.1f} s")
        self._last = now


if __name__ == "__main__":
    main()
