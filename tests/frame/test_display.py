"""What is shown of a job: the figures, their words, and the thread that keeps them moving."""

import dataclasses
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import batchframe as bf
from batchframe.frame import views
from batchframe.frame.progress import Progress
from batchframe.frame.refreshing import Refresher
from batchframe.frame.summary import ErrorKind, Pace, Reader, Summary
from batchframe.frame.usage import JobUsage
from batchframe.simulator import Simulator

USAGE = JobUsage(300, 0, 10, 0, 10, Decimal("1.5"), Decimal("2.25"), None, Decimal(5))
PROGRESS = Progress("running", 1010, 10, 1000, 300, 4, 0, 696, 0, 400, 100, {"submitted": 2}, None, USAGE)
SUMMARY = Summary(
    id=1,
    name="mine",
    model="gpt-5-mini",
    endpoint="/v1/chat/completions",
    provider="openai:https://api.openai.com/v1",
    progress=PROGRESS,
    errors=(ErrorKind("bad", 4, "No."),),
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    elapsed=200.0,
    pace=4.0,
)


def words(html: str) -> str:
    """What a reader sees of it."""
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_data = seen.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(" ".join(seen).split())


def test_the_parts_of_the_bar_are_all_requests() -> None:
    """A bar whose parts are not the whole would show progress that is not there."""
    assert SUMMARY.parts == {
        "answered": 300,
        "failed": 4,
        "cancelled": 0,
        "answered, not fetched yet": 100,
        "at the provider": 300,
        "waiting": 296,
    }
    assert sum(SUMMARY.parts.values()) == 1000


def test_text_and_html_say_the_same_figures() -> None:
    """One who has no browser is told no less."""
    text, html = views.as_text(SUMMARY), words(views.as_html(SUMMARY))
    for figure in ("300", "1,000 requests for 1,010 rows", "$1.50", "about $2.25 to come", "budget $5.00", "No."):
        assert figure in text
        assert figure in html
    for said in ("3 min 20 s", "about 3 min to 5 min more at this pace"):
        assert said in text
        assert said in html
    assert "40%" in html
    assert "As of 2026-01-02 03:04:05 UTC" in html


def test_what_a_provider_or_a_user_says_cannot_become_markup() -> None:
    """A notebook that is opened runs what its HTML holds."""
    evil = "<script>alert(1)</script>\"'&"
    summary = dataclasses.replace(
        SUMMARY,
        name=evil,
        model=evil,
        provider=evil,
        progress=dataclasses.replace(PROGRESS, trouble=evil),
        errors=(ErrorKind(evil, 4, evil),),
    )
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: tags.append(tag)  # type: ignore[method-assign]
    html = views.as_html(summary, mark=evil) + views.as_trouble(evil)
    parser.feed(html)
    assert set(tags) == {"div", "span", "b"}
    assert words(html).count("<script>") == 7


def test_text_has_the_colour_of_the_page() -> None:
    """A colour that is written down is unreadable in one of the two themes."""
    html = views.as_html(SUMMARY)
    assert re.findall(r"[;\"]color:([^;\"]+)", html) == ["var(--jp-ui-font-color1,inherit)", views._STATUS["running"]]
    assert all(colour.startswith(("var(--jp-", "currentColor")) for colour in views._STATUS.values())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (1_260, "21 min"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, said: str) -> None:
    """Nobody reads 7260 s."""
    assert views.duration(seconds) == said


def test_a_job_is_not_said_to_be_done_before_it_is() -> None:
    """Of a million requests the last ones take the longest."""
    nearly = dataclasses.replace(PROGRESS, requests=1000, ok=999, failed=0, pending=1, at_provider=0)
    nearly = dataclasses.replace(nearly, answered_at_provider=0)
    assert "progress 99%" in words(views.as_html(dataclasses.replace(SUMMARY, progress=nearly)))
    cancelled = dataclasses.replace(nearly, status="cancelled", ok=250, cancelled=750, pending=0)
    assert "answered 25%" in words(views.as_html(dataclasses.replace(SUMMARY, progress=cancelled)))


def test_no_estimate_is_made_from_nothing() -> None:
    """A job that stands, or that was just begun, has no end in sight."""
    assert dataclasses.replace(SUMMARY, pace=None).to_come is None
    assert dataclasses.replace(SUMMARY, pace=0.0).to_come is None
    paused = dataclasses.replace(PROGRESS, status="paused")
    assert dataclasses.replace(SUMMARY, progress=paused).to_come is None


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000))))
def test_a_pace_is_that_of_the_last_minute_and_never_below_zero(steps: list[tuple[float, int]]) -> None:
    """Whatever the provider's counts do."""
    pace, moment = Pace(), 0.0
    seen: list[tuple[float, int]] = []
    for passed, count in steps:
        moment += passed
        if seen and count < seen[-1][1]:
            seen.clear()
        seen.append((moment, count))
        found = pace.add(moment, count)
        since = [one for one in seen if one[0] <= moment - 60][-1:] or seen[:1]
        if found is None:
            assert moment - since[0][0] < 3
        else:
            assert found == (count - since[0][1]) / (moment - since[0][0]) >= 0


def test_a_summary_is_what_the_database_has(session: bf.Session, simulator: Simulator) -> None:
    """What waits, what is at the provider, what failed and why."""
    simulator.faults.row("t3", status=400, code="bad", message="No.")
    frame = pd.DataFrame({"text": [f"t{n}" for n in range(10)]})
    job = frame.llm.batch("{text}", model="gpt-5-mini", name="mine")
    job.wait(30, progress=False)
    closed = job._reader.read()
    assert closed.errors == (ErrorKind("bad", 1, "No."),)
    assert closed.parts["answered"] == 9
    assert closed.share == 1
    assert job._reader.read().elapsed == closed.elapsed > 0
    assert "1 bad: No." in repr(job)
    assert words(job._repr_html_()) == words(job._repr_mimebundle_()["text/html"])
    simulator.settings.duration = 3600
    running = frame.llm.batch("{text}!", model="gpt-5-mini")
    simulator.wait_for(lambda seen: len(seen.batches) > 1 and seen.batches[1].status == "in_progress")
    session.background.wait_for_change(-1, 0)
    assert running.progress().at_provider == 10
    assert running._reader.read().parts["at the provider"] == 10


def test_a_cancelled_request_is_no_error(session: bf.Session, simulator: Simulator) -> None:
    """The user knows why it has no answer."""
    simulator.settings.duration = 3600
    job = pd.DataFrame({"text": ["a", "b"]}).llm.batch("{text}", model="m").cancel()
    job.wait(30, progress=False)
    assert Reader(session.database, job._job).read().errors == ()


def test_watch_in_a_terminal_shows_a_bar_and_an_interrupt_ends_it(
    session: bf.Session, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C is how one stops looking; it must neither cancel the job nor end a script with a traceback."""
    simulator.settings.duration = 3600
    job = pd.DataFrame({"text": ["a", "b"]}).llm.batch("{text}", model="m")

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session.background, "wait_for_change", interrupted)
        job.watch()
    shown = capsys.readouterr()
    assert "goes on in the background" in shown.out
    assert "job 1" in shown.err
    assert job.status == "running"
    simulator.settings.duration = 0
    job.watch()
    assert job.status == "done"
    assert "2/2" in capsys.readouterr().err


class Card:
    """A view that counts."""

    def __init__(self, refreshes: int, does: Callable[[], None] = lambda: None) -> None:
        self.left, self.does = refreshes, does
        self.refreshed, self.rested = threading.Event(), threading.Event()

    def refresh(self) -> bool:
        self.does()
        self.left -= 1
        self.refreshed.set()
        return self.left > 0

    def rest(self) -> None:
        self.rested.set()


def threads() -> list[threading.Thread]:
    """Those of views."""
    return [thread for thread in threading.enumerate() if thread.name == "batchframe-views"]


def test_the_thread_ends_with_the_last_view_and_comes_back_with_the_next() -> None:
    """A kernel that has been up for a week has no threads of jobs that have ended."""
    changes = iter(range(1000))
    refresher = Refresher(lambda seen, timeout: next(changes))
    for _ in range(2):
        views_of_it = [Card(1), Card(2)]
        for view in views_of_it:
            refresher.add(view)
        (thread,) = threads()
        thread.join(20)
        assert [view.left for view in views_of_it] == [0, 0]
        assert not threads()


def test_a_view_that_fails_does_not_take_the_others_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """One broken card in a notebook of five."""
    changes = iter(range(1000))
    refresher = Refresher(lambda seen, timeout: next(changes))

    def fail() -> None:
        raise RuntimeError("broken")

    good = Card(2)
    refresher.add(Card(2, fail))
    refresher.add(good)
    for thread in threads():
        thread.join(20)
    assert good.left == 0
    assert "broken" in caplog.text


def test_a_session_that_is_closed_puts_its_views_to_rest(session: bf.Session) -> None:
    """They would otherwise look live for ever."""
    view = Card(1000)
    session.views.add(view)
    assert view.refreshed.wait(20)
    session.close()
    assert view.rested.is_set()
    assert not threads()


def test_a_closed_job_is_shown_without_a_thread_or_a_widget(
    session: bf.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of old jobs in a notebook costs nothing."""
    job = pd.DataFrame({"text": ["a"]}).llm.batch("{text}", model="m")
    job.wait(30, progress=False)
    monkeypatch.setattr("batchframe.frame.live.kernel_shell", object)
    with pytest.raises(NotImplementedError):
        job._ipython_display_()
    assert not threads()


def test_a_process_ends_in_good_order_while_a_view_is_live() -> None:
    """A kernel is shut down with its views still on the page."""
    program = """
import threading
from batchframe.frame.refreshing import Refresher
refresher, seen = Refresher(lambda seen, timeout: seen + 1), threading.Event()
class View:
    def refresh(self):
        seen.set()
        return True
    def rest(self):
        names = [thread.name for thread in threading.enumerate()]
        print("at rest", "batchframe-views" in names)
refresher.add(View())
seen.wait(20)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert (ended.stdout, ended.stderr) == ("at rest False\n", "")


def test_nothing_of_jupyter_is_imported_before_a_notebook_asks() -> None:
    """Importing batchframe takes half a second, and a worker needs no widgets."""
    program = "import sys, batchframe; print({'IPython', 'ipywidgets', 'ipykernel'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "set()\n"
