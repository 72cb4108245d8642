"""The same labelling with batchframe, everything kept in Postgres."""

import sys

import pandas as pd

import batchframe as bf
from benchmarks.client import BODY, MODEL, POLL_SECONDS, make_rows, report


def label(frame: pd.DataFrame) -> pd.DataFrame:
    """Ask about every row and add the column."""
    bf.connect(poll_seconds=POLL_SECONDS, poll_max_seconds=POLL_SECONDS)
    return frame.llm.batch(BODY, model=MODEL, temperature=0).wait(progress=False)


if __name__ == "__main__":
    import openai  # noqa: F401 - as in the other script, imports are not part of the time

    report(label, make_rows(int(sys.argv[1]), sys.argv[2]))
