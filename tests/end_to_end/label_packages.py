"""A user's script, run as a process of its own: labels the rows, or goes on with the job when it is there already."""

import sys

import batchframe as bf
from batchframe.demo.labelling import MODEL, TEMPLATE, label_schema, read_rows


def main(name: str, result: str) -> None:
    """Label, and write the frame when done."""
    bf.connect()
    try:
        job = bf.job(name)
    except bf.JobNotFoundError:
        job = read_rows().llm.batch(TEMPLATE, model=MODEL, into="label", schema=label_schema(), name=name)
    job.wait(progress=False).to_parquet(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
