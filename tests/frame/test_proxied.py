"""Requests that came over HTTP, seen from a notebook."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import batchframe as bf
from tests.proxy.conftest import Running, serve, served  # noqa: F401 - fixtures

BODY = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}


def test_proxied_requests_are_a_frame(
    served: Running,  # noqa: F811
    connect: Callable[..., bf.Session],
    tmp_path: Path,
) -> None:
    """What a back end asked can be read, judged and compared like any labelled frame."""
    said = served.post("/v1/chat/completions", BODY)
    connect()
    (number,) = bf.jobs(kind="proxy").index
    job = bf.job(number)
    frame = job.frame()
    assert list(frame.columns) == ["id", "prompt", "request", "answer", "answer__status", "answer__error"]
    row = frame.iloc[0]
    assert (row["id"], row["prompt"], row["answer"]) == (said.headers["x-request-id"], "Hello", "Hello")
    assert job.usage().cost_usd is not None
    assert job.to_parquet(tmp_path / "out.parquet") == 1
    assert pd.read_parquet(tmp_path / "out.parquet")["answer"].tolist() == ["Hello"]


def test_kinds_are_kept_apart(connect: Callable[..., bf.Session], twenty_rows: pd.DataFrame) -> None:
    """A list of a thousand windows would bury the jobs of the notebook."""
    connect()
    twenty_rows.llm.batch("{text}", model="gpt-5-mini").wait(progress=False)
    assert list(bf.jobs()["kind"]) == ["frame"]
    assert bf.jobs(kind="proxy").empty
    with pytest.raises(bf.errors.InputError, match="choose from"):
        bf.jobs(kind="http")


@pytest.fixture
def twenty_rows() -> pd.DataFrame:
    """Rows to ask about."""
    return pd.DataFrame({"text": ["a", "b"]})
