"""The handle: waiting, filling, coming back, cancelling, asking again."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import batchframe as bf
from batchframe.simulator import Simulator
from tests.judging import paid_once


@pytest.fixture
def frame() -> pd.DataFrame:
    """Ten rows."""
    return pd.DataFrame({"text": [f"t{n}" for n in range(10)], "other": range(10)})


def test_wait_returns_a_filled_copy_and_leaves_the_frame_alone(session: bf.Session, frame: pd.DataFrame) -> None:
    """Nothing mutates the user's frame."""
    before = frame.copy()
    filled = frame.llm.batch("{text}", model="m").wait(30, progress=False)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(filled[["text", "other"]], before)
    assert [str(filled[column].dtype) for column in filled.columns[2:]] == ["string"] * 3


def test_wait_fills_the_frame_as_it_was_when_asked(session: bf.Session, frame: pd.DataFrame) -> None:
    """Changing the frame while the job runs does not shift answers."""
    job = frame.llm.batch("{text}", model="m")
    frame.loc[:, "text"] = "changed"
    filled = job.wait(30, progress=False)
    assert filled["response"].tolist() == [f"t{n}" for n in range(10)]
    assert filled["text"].tolist() == [f"t{n}" for n in range(10)]


def test_a_job_is_awaited_without_blocking_the_loop(
    session: bf.Session, simulator: Simulator, frame: pd.DataFrame
) -> None:
    """`await job` in a notebook, whose loop goes on meanwhile."""
    simulator.settings.duration = 0.5
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.02)

    async def main() -> pd.DataFrame:
        ticking = asyncio.create_task(tick())
        filled: pd.DataFrame = await frame.llm.batch("{text}", model="m")
        ticking.cancel()
        return filled

    assert asyncio.run(main())["response"].tolist() == frame["text"].tolist()
    assert ticks > 10


def test_waiting_may_time_out_and_the_job_goes_on(
    session: bf.Session, simulator: Simulator, frame: pd.DataFrame
) -> None:
    """A timeout is about the waiting."""
    simulator.settings.duration = 3600
    job = frame.llm.batch("{text}", model="m")
    with pytest.raises(TimeoutError, match="running"):
        job.wait(0.3, progress=False)
    assert job.status == "running"
    simulator.settings.duration = 0
    assert job.wait(30, progress=False)["response__status"].eq("ok").all()


def test_an_interrupt_detaches_and_never_cancels(
    session: bf.Session,
    simulator: Simulator,
    frame: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The stop button ends the waiting; the money already spent keeps working."""
    simulator.settings.duration = 3600
    job = frame.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session.background, "wait_for_change", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.wait(progress=False)
    assert "goes on in the background" in capsys.readouterr().out
    assert job.status == "running"
    assert "batches.cancel" not in simulator.ledger.calls
    simulator.settings.duration = 0
    job.wait(30, progress=False)
    assert paid_once(simulator, 10)


def test_fill_is_partial_at_any_time(session: bf.Session, simulator: Simulator, frame: pd.DataFrame) -> None:
    """What is not there yet is NA and says pending."""
    simulator.settings.duration = 3600
    job = frame.llm.batch("{text}", model="m")
    partial = job.fill(frame)
    assert set(partial["response__status"]) == {"pending"}
    assert partial["response"].isna().all()
    simulator.settings.duration = 0
    job.wait(30, progress=False)
    assert job.fill(partial)["response"].tolist() == frame["text"].tolist()


def test_fill_joins_by_what_is_asked_not_by_position(session: bf.Session, frame: pd.DataFrame) -> None:
    """Sorted, filtered, extended and re-indexed frames are right."""
    job = frame.llm.batch("{text}", model="m")
    job.wait(30, progress=False)
    shuffled = frame.sample(frac=1, random_state=1)
    assert job.fill(shuffled)["response"].tolist() == shuffled["text"].tolist()
    some = frame[frame["other"] % 3 == 0].set_index("other")
    assert job.fill(some)["response"].tolist() == some["text"].tolist()
    longer = pd.concat([frame, pd.DataFrame({"text": ["new"], "other": [99]})])
    with pytest.warns(UserWarning, match="1 of 11 rows"):
        filled = job.fill(longer)
    assert filled["response"].tolist()[:10] == frame["text"].tolist()
    assert filled.iloc[10][["response", "response__status"]].isna().all()


def test_fill_does_not_overwrite_a_column_of_the_user(session: bf.Session, frame: pd.DataFrame) -> None:
    """Only a column of an earlier fill is written over without asking."""
    job = frame.llm.batch("{text}", model="m")
    job.wait(30, progress=False)
    theirs = frame.assign(response="mine")
    with pytest.raises(bf.ColumnExistsError, match="overwrite=True"):
        job.fill(theirs)
    assert job.fill(theirs, overwrite=True)["response"].tolist() == frame["text"].tolist()


def test_a_job_comes_back_by_name_and_by_id_in_another_process(
    connect: Callable[..., bf.Session], simulator: Simulator, frame: pd.DataFrame
) -> None:
    """After a restart the frame need not be there: the job keeps the columns it used."""
    connect()
    started = frame.set_index("other").llm.batch("{text}", model="m", name="mine", into="x")
    connect()
    job = bf.job("mine")
    filled = job.wait(30, progress=False)
    assert job.id == started.id == bf.job(started.id).id
    assert filled.index.name == "other"
    assert filled["x"].tolist() == filled["text"].tolist() == frame["text"].tolist()
    pd.testing.assert_frame_equal(job.frame(), filled)
    assert job.fill(frame)["x"].tolist() == frame["text"].tolist()
    assert paid_once(simulator, 10)


def test_a_job_that_is_not_there_is_said_with_names_that_are(session: bf.Session, frame: pd.DataFrame) -> None:
    """A typo in a name should not look like lost data."""
    frame.llm.batch("{text}", model="m", name="tickets")
    with pytest.raises(bf.JobNotFoundError, match="'tickets'"):
        bf.job("ticket")
    with pytest.raises(bf.JobNotFoundError):
        bf.job(999)


def test_a_job_of_another_provider_says_so_and_is_never_sent_here(
    connect: Callable[..., bf.Session], simulator: Simulator, frame: pd.DataFrame
) -> None:
    """Requests written for the simulator must not reach, and be billed by, a real provider."""
    simulator.settings.duration = 3600
    first = connect()
    frame.llm.batch("{text}", model="m", name="theirs")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    first.close()
    with Simulator() as other:
        connect(openai_base_url=other.base_url)
        with pytest.warns(UserWarning, match="OPENAI_BASE_URL"), pytest.raises(TimeoutError):
            bf.job("theirs").wait(0.5, progress=False)
        frame.llm.batch("{text}", model="m", name="mine").wait(30, progress=False)
        assert paid_once(other, 10)
        assert len(other.batches) == 1


def test_jobs_lists_open_ones_first(session: bf.Session, simulator: Simulator, frame: pd.DataFrame) -> None:
    """What still runs is what one looks for."""
    frame.llm.batch("{text}", model="m", name="done").wait(30, progress=False)
    simulator.settings.duration = 3600
    frame.llm.batch("{text}!", model="m", name="open")
    frame.iloc[:0].llm.batch("{text}", model="m", name="empty")
    table = bf.jobs()
    assert table["name"].tolist() == ["open", "empty", "done"]
    assert table["status"].tolist() == ["running", "done", "done"]
    assert table["ok"].tolist() == [0, 0, 10]


def test_cancel_keeps_what_was_answered(
    connect: Callable[..., bf.Session], simulator: Simulator, frame: pd.DataFrame
) -> None:
    """Cancelled at the provider, nothing asked again, answers kept."""
    connect(batch_max_requests=5)
    simulator.settings.enqueued_tokens = 30
    job = frame.llm.batch("{text}" + " word" * 10, model="m")
    simulator.wait_for(lambda seen: seen.ledger.requests >= 1)
    simulator.settings.duration = 3600
    job.cancel()
    filled = job.wait(30, progress=False)
    assert job.status == "cancelled"
    assert set(filled["response__status"]) <= {"ok", "cancelled"}
    assert filled["response__status"].eq("ok").sum() == simulator.ledger.requests
    assert filled.loc[filled["response__status"] == "cancelled", "response"].isna().all()


def test_cancelling_a_running_batch_reaches_the_provider(
    session: bf.Session, simulator: Simulator, frame: pd.DataFrame
) -> None:
    """Otherwise it would go on costing."""
    simulator.settings.duration = 3600
    job = frame.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    filled = job.cancel().wait(30, progress=False)
    assert set(filled["response__status"]) == {"cancelled"}
    assert simulator.batches[0].status == "cancelled"
    assert simulator.ledger.requests == 0


def test_a_cancelled_job_can_be_asked_again(session: bf.Session, simulator: Simulator, frame: pd.DataFrame) -> None:
    """Changing one's mind costs nothing but the rows that were not answered."""
    simulator.settings.duration = 3600
    job = frame.llm.batch("{text}", model="m")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    job.cancel().wait(30, progress=False)
    simulator.settings.duration = 0
    filled = job.retry().wait(30, progress=False)
    assert filled["response"].tolist() == frame["text"].tolist()
    assert paid_once(simulator, 10)


def test_retry_asks_failed_rows_again_and_only_them(
    session: bf.Session, simulator: Simulator, frame: pd.DataFrame
) -> None:
    """After the cause is mended, one call finishes the job."""
    simulator.faults.row("t3", status=400, code="bad", message="No.")
    simulator.faults.row("t4", status=404, code="worse", message="No!")
    job = frame.llm.batch("{text}", model="m")
    job.wait(30, progress=False)
    errors = job.errors()
    assert errors["code"].tolist() == ["bad", "worse"]
    assert errors["count"].tolist() == [1, 1]
    assert errors["retryable"].tolist() == [False, False]
    assert '"t3"' in errors["request"][0]
    assert job.retry(only="retryable").status == "done"
    simulator.faults.reset()
    assert job.retry().wait(30, progress=False)["response"].tolist() == frame["text"].tolist()
    assert paid_once(simulator, 10)


def test_retry_looks_at_other_jobs_first(session: bf.Session, simulator: Simulator, frame: pd.DataFrame) -> None:
    """What another job has answered, or is asking, since is not paid for again."""
    simulator.settings.duration = 3600
    first = frame.llm.batch("{text}", model="m", into="a")
    simulator.wait_for(lambda seen: seen.batches and seen.batches[0].status == "in_progress")
    second = frame.llm.batch("{text}", model="m", into="b")
    second.cancel().wait(30, progress=False)
    second.retry()
    simulator.settings.duration = 0
    assert second.wait(30, progress=False)["b"].tolist() == frame["text"].tolist()
    first.wait(30, progress=False)
    assert paid_once(simulator, 10)
    assert (first.usage().requests, second.usage().requests) == (10, 0)
    assert second.progress().reused == 10


def test_a_ctrl_c_while_answers_are_read_leaves_the_connection_usable(
    session: bf.Session, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open COPY would block even the rollback, and with it the kernel."""
    job = frame.llm.batch("{text}", model="m")
    job.wait(30, progress=False)

    def interrupted(settled: Any, *_: object) -> None:
        next(settled)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("batchframe.frame.results.read_answers", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.frame()
    assert job.frame()["response"].tolist() == frame["text"].tolist()


def test_usage_is_the_providers_own_count(session: bf.Session, simulator: Simulator, frame: pd.DataFrame) -> None:
    """What it says was used is what the ledger says was billed."""
    job = frame.llm.batch("{text}", model="gpt-5-mini")
    job.wait(30, progress=False)
    usage = job.usage()
    assert usage.requests == simulator.ledger.requests == 10
    assert usage.input_tokens + usage.output_tokens == simulator.ledger.tokens
    assert usage.cost_usd is not None
    assert usage.cost_usd > 0
    unknown = frame.llm.batch("{text}", model="no-such-model")
    unknown.wait(30, progress=False)
    assert unknown.usage().cost_usd is None


def test_two_handles_in_two_threads_wait_for_one_job(
    session: bf.Session, simulator: Simulator, frame: pd.DataFrame
) -> None:
    """Two kernels on one handle are one payment."""
    results: list[Any] = []

    def work() -> None:
        results.append(frame.llm.batch("{text}", model="m").wait(30, progress=False))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result["response"].tolist() == frame["text"].tolist() for result in results)
    assert paid_once(simulator, 10)
    assert len(bf.jobs()) == 1


def test_the_bar_shows_and_ends_with_everything_done(
    session: bf.Session, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Long work shows progress."""
    frame.llm.batch("{text}", model="m", name="bar").wait(30)
    shown = capsys.readouterr().err
    assert "job 1 'bar'" in shown
    assert "10/10" in shown


def test_a_repr_says_what_one_needs_to_know(session: bf.Session, simulator: Simulator, frame: pd.DataFrame) -> None:
    """At a glance: which job, where it stands, where state lives; never a key."""
    simulator.faults.row("t3", status=400, code="bad", message="No.")
    job = frame.llm.batch("{text}", model="m", name="mine")
    job.wait(30, progress=False)
    assert "done: 10 requests for 10 rows: 9 ok, 1 failed" in repr(job)
    assert ">done</span>" in job._repr_html_()
    assert "1, of which 0 open" in repr(session)
    assert "sk-test" not in repr(session) + repr(session.settings) + session._repr_html_()
