"""The provider's limits on a batch and on its queue."""

from collections.abc import Callable

import pandas as pd

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once


def test_120_000_rows_become_three_batches(session: bf.Session, simulator: Simulator) -> None:
    """50,000 requests a batch, filled to the limit."""
    frame = pd.DataFrame({"n": range(120_000)})
    filled = frame.llm.batch("{n}", model="m").wait(120, progress=False)
    assert filled["response"].astype("int64").tolist() == list(range(120_000))
    assert sorted(batch.total for batch in simulator.batches) == [20_000, 50_000, 50_000]
    assert paid_once(simulator, 120_000)


def test_large_rows_are_split_by_encoded_bytes(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """The limit is on the file as it is sent, where one character may be many bytes."""
    connect(batch_max_bytes=1_000_000)
    simulator.settings.max_file_bytes = 1_000_000
    frame = pd.DataFrame({"n": range(30), "text": ["é" * 50_000] * 30})
    filled = frame.llm.batch("{n} {text}", model="m").wait(60, progress=False)
    assert set(filled["response__status"]) == {"ok"}
    assert sorted(batch.total for batch in simulator.batches) == [3, 9, 9, 9]
    assert all(batch.input_bytes <= 1_000_000 for batch in simulator.batches)


def test_a_full_queue_is_waited_for(connect: Callable[..., bf.Session], simulator: Simulator) -> None:
    """`token_limit_exceeded` is a queue, not a failure: all rows come home, none twice."""
    connect(batch_max_requests=10)
    simulator.settings.enqueued_tokens = 500
    simulator.settings.duration = 0.3
    frame = pd.DataFrame({"text": [f"{n} " + "word " * 25 for n in range(60)]})
    filled = frame.llm.batch("{text}", model="m").wait(60, progress=False)
    assert filled["response"].tolist() == frame["text"].tolist()
    assert any(batch.status == "failed" for batch in simulator.batches), "the limit was never met"
    assert paid_once(simulator, 60)


def test_a_batch_larger_than_the_queue_is_split(session: bf.Session, simulator: Simulator) -> None:
    """Waiting alone would wait for ever."""
    simulator.settings.enqueued_tokens = 500
    frame = pd.DataFrame({"text": [f"{n} " + "word " * 25 for n in range(60)]})
    filled = frame.llm.batch("{text}", model="m").wait(60, progress=False)
    assert filled["response"].tolist() == frame["text"].tolist()
    assert paid_once(simulator, 60)


def test_a_request_larger_than_the_queue_fails_with_the_reason(session: bf.Session, simulator: Simulator) -> None:
    """It can neither wait nor be split."""
    simulator.settings.enqueued_tokens = 500
    frame = pd.DataFrame({"text": ["small", "word " * 5000]})
    filled = frame.llm.batch("{text}", model="m").wait(60, progress=False)
    assert filled["response__status"].tolist() == ["ok", "failed"]
    assert filled["response__error"][1].startswith("token_limit_exceeded: ")


def test_a_queue_refused_at_the_create_call_is_waited_for(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """Other servers say it at once."""
    connect(batch_max_requests=10)
    simulator.settings.enqueued_tokens = 500
    simulator.settings.quota_refusal = 400
    simulator.settings.duration = 0.3
    frame = pd.DataFrame({"text": [f"{n} " + "word " * 25 for n in range(60)]})
    filled = frame.llm.batch("{text}", model="m").wait(60, progress=False)
    assert filled["response"].tolist() == frame["text"].tolist()
    assert paid_once(simulator, 60)
