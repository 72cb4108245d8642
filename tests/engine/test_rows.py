"""Rows that fail, expire, get lost or come twice: every row its own fate, nothing paid twice."""

import pandas as pd
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once


def right(frame: pd.DataFrame) -> int:
    return int(((frame["response"] == frame["text"]) & (frame["response__status"] == "ok")).sum())


def test_one_bad_row_of_twenty_costs_only_itself(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """19 right, one with the provider's real reason."""
    simulator.faults.row("row number 7", status=400, code="context_length_exceeded", message="Far too long.")
    frame = twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    assert right(frame) == 19
    assert frame.loc[7, "response__status"] == "failed"
    assert frame.loc[7, "response__error"] == "context_length_exceeded: Far too long."
    assert paid_once(simulator, 19)


def test_rows_that_fail_for_a_passing_reason_are_asked_again(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Two 500s are no reason to lose a row; the 18 others are not asked again with it."""
    simulator.faults.row("row number 3", status=500, times=2)
    simulator.faults.row("row number 4", status=429, times=1)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20
    assert paid_once(simulator, 20)


def test_a_row_that_keeps_failing_becomes_final(connect: object, simulator: Simulator, twenty: pd.DataFrame) -> None:
    """A limit on tries, and the reason kept."""
    connect(row_attempts=3)  # type: ignore[operator]
    fault = simulator.faults.row("row number 3", status=503, message="Overloaded.")
    frame = twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    assert right(frame) == 19
    assert frame.loc[3, "response__error"] == "http_503: Overloaded. (tried 3 times)"
    assert sum(fault.hits.values()) == 3


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.95])
def test_an_expired_batch_keeps_what_it_answered(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame, fraction: float
) -> None:
    """Peers lose expired batches whole; here only the rest is sent again, 20 right."""
    simulator.faults.batch(expire_after=fraction)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20
    assert [batch.status for batch in simulator.batches] == ["expired", "completed"]
    assert simulator.batches[1].total == 20 - int(20 * fraction)
    assert paid_once(simulator, 20)


def test_every_row_failing_leaves_no_output_file_and_no_trouble(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """A completed batch without an output file is legal."""
    simulator.faults.row("", status=400, code="bad", message="All of you.")
    frame = twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    assert set(frame["response__error"]) == {"bad: All of you."}
    assert simulator.batches[0].output_file_id is None


def test_an_empty_error_file_id_is_no_file(session: bf.Session, simulator: Simulator, twenty: pd.DataFrame) -> None:
    """OpenAI was seen to say "" where there is none."""
    simulator.faults.batch(empty_error_file_id=True)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20


def test_duplicate_and_foreign_lines_change_nothing(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """None may shift or duplicate a row."""
    simulator.faults.batch(duplicate_lines=5, foreign_lines=5)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20
    assert paid_once(simulator, 20)


def test_a_row_missing_from_both_files_is_asked_again(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """The answer is lost at the provider; the row is not."""
    simulator.faults.batch(drop_lines=2)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20
    assert sorted(simulator.ledger.billed().values()) == [1] * 18 + [2] * 2


def test_a_result_file_that_is_gone_is_reported_not_paid_again(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """What it held was paid for; whether to pay again is the user's to say."""
    simulator.faults.batch(result_gone=True)
    job = twenty.llm.batch("{text}", model="m")
    frame = job.wait(30, progress=False)
    assert frame["response__error"].str.startswith("result_gone: ").all()
    assert paid_once(simulator, 20)
    assert right(job.retry().wait(30, progress=False)) == 20


@pytest.mark.parametrize("kind", ["truncate", "truncate_clean", "corrupt"])
def test_a_download_that_breaks_off_is_fetched_again(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame, kind: str
) -> None:
    """Half a file must not pass for the whole."""
    simulator.faults.on("files.content", kind, after_bytes=700, times=2)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20
    assert paid_once(simulator, 20)


def test_a_404_that_passes_costs_nothing(session: bf.Session, simulator: Simulator, twenty: pd.DataFrame) -> None:
    """A blip of the file store must not turn paid answers into failures."""
    simulator.faults.on("files.content", "status", status=404, times=4)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20
    assert paid_once(simulator, 20)


def test_a_batch_the_provider_no_longer_knows_ends_its_rows(
    session: bf.Session, simulator: Simulator, twenty: pd.DataFrame
) -> None:
    """Neither waited for without end nor paid again by itself."""
    simulator.settings.duration = 3600
    simulator.faults.on("batches.retrieve", "status", status=404, times=None)
    frame = twenty.llm.batch("{text}", model="m").wait(30, progress=False)
    assert frame["response__error"].str.startswith("result_gone: ").all()
    assert len(simulator.batches) == 1


def test_an_unknown_status_is_still_running(session: bf.Session, simulator: Simulator, twenty: pd.DataFrame) -> None:
    """Providers invent statuses."""
    simulator.faults.batch(status="warming_up", polls=2)
    assert right(twenty.llm.batch("{text}", model="m").wait(30, progress=False)) == 20
