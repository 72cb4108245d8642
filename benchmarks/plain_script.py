"""What one writes by hand against the Batch API: JSONL, upload, create, poll, download, map back; nothing kept.

Two of them: "plain" goes over the rows by `iterrows`, as OpenAI's own cookbook and most notebooks do; "tuned" by
`itertuples`, as somebody does who knows that the first takes 30 µs a row.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pandas as pd

from benchmarks.client import BODY, MODEL, POLL_SECONDS, make_rows, report

ROWS_PER_FILE = 50_000


def plain(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows, as most would go over them."""
    return (row for _, row in frame.iterrows())


def tuned(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows, the fast way."""
    return frame.itertuples()


def label(frame: pd.DataFrame, rows: Callable[[pd.DataFrame], Iterator[Any]]) -> pd.DataFrame:
    """Ask about every row and add the column."""
    client = openai.OpenAI()
    batches = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(frame), ROWS_PER_FILE):
            path = Path(folder) / f"{start}.jsonl"
            with path.open("w") as file:
                for number, row in enumerate(rows(frame.iloc[start : start + ROWS_PER_FILE]), start):
                    prompt = BODY.format(n=row.n, title=row.title, description=row.description)
                    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
                    line = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body}
                    file.write(json.dumps(line) + "\n")
            with path.open("rb") as file:
                sent = client.files.create(file=file, purpose="batch")
            batches.append(
                client.batches.create(
                    input_file_id=sent.id, endpoint="/v1/chat/completions", completion_window="24h"
                ).id
            )
    answers: dict[int, str] = {}
    while batches:
        for batch_id in list(batches):
            batch = client.batches.retrieve(batch_id)
            if batch.status == "completed":
                batches.remove(batch_id)
                for line in client.files.content(batch.output_file_id).text.splitlines():
                    result = json.loads(line)
                    content = result["response"]["body"]["choices"][0]["message"]["content"]
                    answers[int(result["custom_id"])] = content
        if batches:
            time.sleep(POLL_SECONDS)
    return frame.assign(response=[answers.get(number) for number in range(len(frame))])


if __name__ == "__main__":
    style = {"plain": plain, "tuned": tuned}[sys.argv[3]]
    report(lambda frame: label(frame, style), make_rows(int(sys.argv[1]), sys.argv[2]))
