"""The create call, the one that spends money: whatever becomes of its answer, and however late it shows up in a listing
of thousands, without its mark, it is one batch and one payment."""

import itertools
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from batchframe.simulator import Simulator
from tests.faults import jobs
from tests.faults.cases import under_way
from tests.faults.conftest import Worlds
from tests.faults.engines import EngineProcess, finish
from tests.faults.failpoints import Armed
from tests.judging import judge

GRACE_SECONDS = 3.0
TIMEOUT_SECONDS = 0.5
"""The SDK's patience with a call, instead of a minute."""

FATES = {
    "reset": lambda faults: faults.on("batches.create", "reset_after"),
    "late": lambda faults: faults.on("batches.create", "late", seconds=2 * TIMEOUT_SECONDS),
    "landing late": lambda faults: faults.on("batches.create", "late_effect", seconds=0.5),
    "500": lambda faults: faults.on("batches.create", "status_after", status=500),
    "502": lambda faults: faults.on("batches.create", "status_after", status=502),
    "408": lambda faults: faults.on("batches.create", "status_after", status=408),
    "409": lambda faults: faults.on("batches.create", "status_after", status=409),
    "killed": lambda faults: None,
}
"""What becomes of a call that took effect."""


@dataclass(frozen=True)
class Window:
    """One create call and the listing it has to be found in."""

    fate: str
    list_lag: float
    stripped: bool
    others: int

    def __str__(self) -> str:
        listing = f"lag{self.list_lag}-{'stripped' if self.stripped else 'marked'}-{self.others}"
        return f"{self.fate.replace(' ', '_')}-{listing}"

    def spoil(self, simulator: Simulator) -> None:
        """Order all of it."""
        FATES[self.fate](simulator.faults)
        simulator.settings.list_lag = self.list_lag
        simulator.settings.strip_metadata = self.stripped
        simulator.settings.foreign_batches = self.others


WINDOWS = [
    *(Window(*each, 0) for each in itertools.product(FATES, (0.0, 0.7), (False, True))),
    *(Window(fate, 0.7, True, 3000) for fate in FATES),
]


@pytest.fixture(scope="module")
def played(worlds: Worlds, request: pytest.FixtureRequest) -> Iterator[dict[Window, Future[None]]]:
    """The selected cases, under way."""
    timeouts = {"batchframe.providers.openai._TIMEOUT": TIMEOUT_SECONDS}

    def play(case: Window) -> None:
        with worlds(patches=timeouts if case.fate == "late" else {}, grace_seconds=GRACE_SECONDS) as world:
            case.spoil(world.simulator)
            jobs.submit(world.database, world.site, [f"row number {n}" for n in range(4)])
            killed = Armed("create: after", "exit") if case.fate == "killed" else None
            with EngineProcess(world.site, killed) as engine:
                engine.wait()
            finish(world.site)
            assert world.simulator.ledger.calls["batches.create"] == 1
            judge(world.database, world.simulator)

    with under_way(request, Window, play) as cases:
        yield cases


@pytest.mark.parametrize("case", WINDOWS, ids=str)
def test_a_call_that_took_effect_is_found_and_never_repeated(case: Window, played: dict[Window, Future[None]]) -> None:
    """The SDK alone would buy three batches here; a blind retry two; a look without grace two when the list lags."""
    played[case].result()
