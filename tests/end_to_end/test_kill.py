"""The promise: a process killed at any moment loses nothing, and nothing is paid twice."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from batchframe.demo.labelling import answer_by_words, read_rows, sections
from batchframe.simulator import Request, Simulator
from tests.judging import paid_once

SCRIPT = Path(__file__).with_name("label_packages.py")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_script_killed_five_times_is_finished_by_the_next(database_url: str, tmp_path: Path, seed: int) -> None:
    """3,000 real rows with a schema, kill -9 at random moments, then `bf.job(name)`: all right, each billed once."""
    known = sections()
    moments = random.Random(seed)
    result = tmp_path / "labelled.parquet"

    def respond(request: Request) -> dict[str, object]:
        return answer_by_words(request.body, known)

    with Simulator(responder=respond, duration=1.5) as simulator:
        settings = {
            "BATCHFRAME_DATABASE_URL": database_url,
            "BATCHFRAME_HOME": str(tmp_path / "home"),
            "BATCHFRAME_POLL_SECONDS": "0.1",
            "BATCHFRAME_GRACE_SECONDS": "2",
            "BATCHFRAME_LEASE_SECONDS": "1",
            "BATCHFRAME_BATCH_MAX_REQUESTS": "400",
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": simulator.base_url,
        }
        command = [sys.executable, str(SCRIPT), "packages", str(result)]
        killed = 0
        while killed < 5:
            script = subprocess.Popen(command, env={**os.environ, **settings})
            try:
                script.wait(moments.uniform(1.5, 3.5))
            except subprocess.TimeoutExpired:
                script.kill()
                script.wait()
            killed += 1
        subprocess.run(command, env={**os.environ, **settings}, check=True, timeout=120)

        rows, labelled = read_rows(), pd.read_parquet(result)
        right = [
            answer_by_words({"messages": [{"content": f"Q\n\n{row.package}: {row.title}\n\n{row.description}"}]}, known)
            for row in rows.dropna(subset=["package", "title", "description"]).itertuples()
        ]
        asked = labelled[labelled["label__status"] != "skipped"]
        assert set(asked["label__status"]) == {"ok"}
        assert asked["label_section"].tolist() == [answer["section"] for answer in right]
        assert asked["label_sure"].tolist() == [answer["sure"] for answer in right]
        distinct = len(asked[["package", "title", "description"]].drop_duplicates())
        assert paid_once(simulator, distinct)
