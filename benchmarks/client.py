"""What both clients share: the rows, the prompt, the pace, and how they are measured."""

import json
import resource
import time
from collections.abc import Callable

import pandas as pd

from batchframe.demo.labelling import read_rows

MODEL = "gpt-5-mini"
BODY = "{n}. Which section does this package belong to?\n\n{title}\n\n{description}"
POLL_SECONDS = 0.5
"""Both look at the same pace; with a real provider, whose batches take hours, nobody looks so often."""


def make_rows(n_rows: int, salt: str) -> pd.DataFrame:
    """Real rows, repeated with a running number so that each asks something of its own."""
    rows = read_rows()[["title", "description"]].fillna("")
    frame = pd.concat([rows] * (n_rows // len(rows) + 1), ignore_index=True).head(n_rows)
    return frame.assign(n=[f"{salt}-{number}" for number in range(n_rows)])


def report(label: Callable[[pd.DataFrame], pd.DataFrame], frame: pd.DataFrame) -> None:
    """Run it, check the answers, and print seconds and peak memory (MiB) as JSON."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    labelled = label(frame)
    seconds = time.perf_counter() - started
    assert labelled["response"].tolist() == [f"section of {n}" for n in frame["n"]], "wrong answers"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024, "added_mib": (peak - before) / 1024}))
