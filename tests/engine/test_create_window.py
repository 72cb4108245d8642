"""The create call, the one that spends money: whatever becomes of its answer, one batch and one payment."""

import asyncio
from collections.abc import Callable

import pandas as pd
import pytest
from sqlalchemy import text

import batchframe as bf
from batchframe.providers.base import RemoteBatch
from batchframe.providers.openai import OpenAIProvider
from batchframe.simulator import Simulator
from tests.judging import paid_once


def all_right(frame: pd.DataFrame) -> bool:
    return frame["response"].tolist() == frame["text"].tolist() and set(frame["response__status"]) == {"ok"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("reset_after", 0),
        ("status_after", 500),
        ("status_after", 502),
        ("status_after", 408),
        ("status_after", 409),
    ],
)
def test_a_create_call_whose_answer_is_lost_is_adopted(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame, kind: str, status: int
) -> None:
    """The SDK alone would buy three batches here; a blind retry two."""
    simulator.faults.on("batches.create", kind, status=status)
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    assert simulator.ledger.calls["batches.create"] == 1
    assert len(simulator.batches) == 1
    assert paid_once(simulator, 20)


def test_a_create_call_answered_late_is_adopted(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeout says nothing about whether the batch was made."""
    monkeypatch.setattr("batchframe.providers.openai._TIMEOUT", 0.5)
    simulator.faults.on("batches.create", "late", seconds=1.5)
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    assert simulator.ledger.calls["batches.create"] == 1
    assert paid_once(simulator, 20)


def test_a_batch_that_shows_up_in_the_list_only_later_is_waited_for(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Without the grace period the first clean list would buy a second batch."""
    simulator.settings.list_lag = 0.5
    simulator.faults.on("batches.create", "reset_after")
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    assert len(simulator.batches) == 1
    assert paid_once(simulator, 20)


def test_a_batch_without_its_metadata_is_known_by_its_file(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Some servers do not echo metadata."""
    simulator.settings.strip_metadata = True
    simulator.settings.foreign_batches = 250
    simulator.faults.on("batches.create", "reset_after")
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    assert len(simulator.batches) == 1
    assert paid_once(simulator, 20)


def test_a_create_call_that_had_no_effect_is_made_anew_after_the_grace(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Nothing is lost when the call really got lost, and the new one has a file of its own."""
    simulator.faults.on("batches.create", "reset")
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    assert simulator.ledger.calls["batches.create"] == 2
    assert simulator.ledger.calls["files.create"] == 2
    assert simulator.ledger.calls["batches.list"] > 2
    assert paid_once(simulator, 20)


@pytest.mark.parametrize("status", [429, 401, 403])
def test_a_refusal_is_tried_again_without_a_search(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame, status: int
) -> None:
    """A definite no had no effect; rate limits pass and keys get mended."""
    simulator.faults.on("batches.create", "status", status=status, times=2)
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    assert simulator.ledger.calls["batches.create"] == 3
    assert paid_once(simulator, 20)


def test_a_refusal_for_good_ends_the_rows_with_its_reason(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Repeating what cannot succeed would leave the job open for ever."""
    body = {"error": {"message": "Batches are not for you.", "code": "unsupported"}}
    simulator.faults.on("batches.create", "status", status=400, body=body, times=None)
    frame = twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    assert set(frame["response__status"]) == {"failed"}
    assert frame["response__error"].str.contains("Batches are not for you").all()
    assert simulator.ledger.requests == 0


@pytest.mark.parametrize("operation", ["files.create", "batches.retrieve", "files.content"])
@pytest.mark.parametrize("kind", ["reset", "reset_after", "status"])
def test_calls_that_cost_nothing_are_simply_repeated(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame, operation: str, kind: str
) -> None:
    """Uploading, looking and fetching may fail as they like."""
    simulator.faults.on(operation, kind, status=503, times=2)
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    assert paid_once(simulator, 20)


def test_a_call_that_was_refused_and_then_lost_is_not_taken_for_the_refused_one(
    connect: Callable[..., bf.Session], simulator: Simulator
) -> None:
    """On a server without metadata only the file tells batches apart, so a new call has a new file."""
    connect(batch_max_requests=10)
    simulator.settings.strip_metadata = True
    simulator.settings.enqueued_tokens = 500
    simulator.settings.duration = 0.3
    simulator.settings.list_lag = 0.3
    simulator.faults.on("batches.create", "reset_after", skip=2, times=3)
    frame = pd.DataFrame({"text": [f"{n} " + "word " * 25 for n in range(40)]})
    assert frame.llm.batch("{text}", model="m").wait(60, progress=False)["response"].tolist() == frame["text"].tolist()
    assert paid_once(simulator, 40)


def test_a_call_sent_by_an_engine_that_was_thought_dead_is_cancelled(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one window no client can close: what lands from it is at least found and stopped."""
    original = OpenAIProvider.create
    handed_over = asyncio.Event()

    async def frozen(self: OpenAIProvider, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        if not handed_over.is_set():
            handed_over.set()
            with session.database.transaction() as connection:
                # What another engine does in the meantime: takes over, finds nothing, gives the call up.
                connection.execute(
                    text("UPDATE batch SET token = token + 1, uid = gen_random_uuid(), state = 'planned'")
                )
                connection.execute(text("UPDATE batch SET owner = NULL, lease_until = NULL, input_file_id = NULL"))
            simulator.settings.duration = 3600
            try:
                return await original(self, input_file_id, endpoint, mark)
            finally:
                simulator.settings.duration = 0
        return await original(self, input_file_id, endpoint, mark)

    monkeypatch.setattr(OpenAIProvider, "create", frozen)
    assert all_right(twenty.llm.batch("{text}", model="m").wait(30, progress=False))
    simulator.wait_for(lambda seen: seen.ledger.calls["batches.cancel"] == 1)


def test_another_process_adopts_what_a_dead_one_was_creating(
    connect: Callable[..., bf.Session], simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Stopped in the middle of the call, an engine leaves `creating`; nobody may call again from there."""
    first = connect()
    simulator.faults.on("batches.create", "late", seconds=60)
    job = twenty.llm.batch("{text}", model="m", name="handed over")
    simulator.wait_for(lambda seen: len(seen.batches) == 1)
    first.close()
    connect()
    assert all_right(twenty.llm.batch("{text}", model="m", name="handed over").wait(30, progress=False))
    assert bf.job("handed over").id == job.id
    assert simulator.ledger.calls["batches.create"] == 1
    assert paid_once(simulator, 20)
