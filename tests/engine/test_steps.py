"""What steps leave on disk."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

import batchframe as bf


def test_nothing_of_a_job_stays_in_the_spool(
    connect: Callable[..., bf.Session], tmp_path: Path, twenty: pd.DataFrame
) -> None:
    """Input and result files hold the user's data; what a killed process left goes with the next start."""
    spool = tmp_path / "home" / "spool"
    spool.mkdir(parents=True)
    old, young = spool / "old.in.jsonl", spool / "young.in.jsonl"
    for path in (old, young):
        path.write_text("{}")
    os.utime(old, times=(time.time() - 100_000,) * 2)
    connect()
    twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    assert list(spool.iterdir()) == [young]
