"""An embedded Postgres that is restarted under a working engine: stopped, killed, or crashed by one of its own.

The engine is held at a moment of its choosing while the server goes, finds it gone, and must go on by itself when it
is back. That the data survives is `store/test_embedded.py`'s.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import psycopg
import pytest

from batchframe.simulator import Simulator
from batchframe.store import embedded
from batchframe.store.database import Database
from tests.faults import jobs
from tests.faults.child import SETTINGS, Site
from tests.faults.conftest import World, _empty
from tests.faults.engines import EngineProcess
from tests.faults.failpoints import Armed
from tests.faults.scenarios import SCENARIOS
from tests.judging import judge


def stop(home: Path) -> None:
    """As `batchframe db stop` does: "fast"."""
    assert embedded.stop(home)


def quit_at_once(home: Path) -> None:
    """What Postgres calls immediate: no goodbye, no checkpoint."""
    _signal(home, signal.SIGQUIT)


def kill(home: Path) -> None:
    """As the kernel does when memory runs out; its backends see it and go by themselves."""
    _signal(home, signal.SIGKILL)


def crash(home: Path) -> None:
    """One backend is killed: the postmaster ends all the others and begins anew by itself."""
    with psycopg.connect(embedded.url(home)) as victim, psycopg.connect(embedded.url(home)) as witness:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            witness.execute("SELECT pg_sleep(60)")


def _signal(home: Path, number: int) -> None:
    pid = embedded.status(home).pid
    assert pid is not None
    os.kill(pid, number)
    assert embedded._until(lambda: not embedded.status(home).running, 30)


Moment = tuple[str, Armed]

MOMENTS: list[Moment] = [
    ("rows that fail", Armed("engine._claim_due: before commit", "freeze")),
    ("rows that fail", Armed("engine._plan_step: before commit", "freeze")),
    ("rows that fail", Armed("steps._write_input (planned): before commit", "freeze", nth=2)),
    ("rows that fail", Armed("create: before", "freeze")),
    ("rows that fail", Armed("create: after", "freeze", nth=3)),
    ("rows that fail", Armed("steps._advance (accepted): before commit", "freeze")),
    ("rows that fail", Armed("poll: before", "freeze", nth=2)),
    ("rows that fail", Armed("settling.results (ended): before commit", "freeze")),
    ("late", Armed("ask: after", "freeze")),
    ("rows that fail", Armed("leases.give_back: before commit", "freeze")),
]
ENDS = [(stop, kill), (quit_at_once, crash)]
CASES = [(*moment, end) for moment, ends in zip(MOMENTS, cycle(ENDS), strict=False) for end in ends]
"""Each moment with every other way to go: all with all takes twice as long."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a server of these tests' own."""
    home = tmp_path_factory.mktemp("restarted")
    embedded.start(home)
    yield home
    embedded.stop(home)


@pytest.fixture
def restarted(home: Path) -> Iterator[World]:
    """A world whose database may go away."""
    database = Database(embedded.start(home))
    with Simulator() as simulator:
        yield World(database, simulator, Site(embedded.url(home), simulator.base_url, home / "engines"))
    _empty(database)
    database.close()


@pytest.mark.parametrize(
    ("scenario", "armed", "end"), CASES, ids=[f"{armed.name}-{end.__name__}" for _, armed, end in CASES]
)
def test_an_engine_outlives_its_server(
    restarted: World, home: Path, scenario: str, armed: Armed, end: Callable[[Path], None]
) -> None:
    """A server that is restarted, or dies for want of memory, must not end a notebook's engine or cost a row."""
    SCENARIOS[scenario].submit(restarted.database, restarted.site, restarted.simulator)
    with EngineProcess(restarted.site, armed) as engine:
        engine.wait_until_hit()
        end(home)
        engine.thaw()
        embedded.start(home)
        ended = engine.wait()
    assert ended.status == 0
    assert ended.report is not None
    log = "\n".join(ended.report.log)
    assert "unexpected;" not in log, log
    assert "Traceback" not in log, log
    judge(restarted.database, restarted.simulator, lost=SCENARIOS[scenario].lost)


@pytest.mark.parametrize("end", [stop, kill], ids=lambda end: end.__name__)
def test_an_engine_waits_for_a_server_that_stays_away(
    restarted: World, home: Path, end: Callable[[Path], None]
) -> None:
    """Away for longer than a lease, with results waiting at the provider: nothing is given up."""
    restarted.simulator.settings.duration = 3600
    jobs.submit(restarted.database, restarted.site, [f"row number {n}" for n in range(12)])
    with EngineProcess(restarted.site) as engine:
        restarted.wait_for(lambda: restarted.states() == ["submitted"] * 3)
        end(home)
        restarted.simulator.settings.duration = 0
        time.sleep(2 * SETTINGS["lease_seconds"])  # what matters is the time
        embedded.start(home)
        engine.wait_well()
    judge(restarted.database, restarted.simulator)
