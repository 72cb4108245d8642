"""The demo's "notebook": a process that starts the job, waits for it, and will be killed before it is through."""

import batchframe as bf
from batchframe.demo.labelling import MODEL, NAME, TEMPLATE, label_schema, read_rows


def main() -> None:
    """Label the rows."""
    bf.connect()
    job = read_rows().llm.batch(TEMPLATE, model=MODEL, into="label", schema=label_schema(), name=NAME)
    job.wait(progress=False)


if __name__ == "__main__":
    main()
