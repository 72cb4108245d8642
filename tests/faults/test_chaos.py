"""kill -9 and SIGSTOP of real workers at random moments; `make soak` does the same for as long as one likes."""

import pytest

from tests.faults import chaos
from tests.faults.conftest import Worlds


@pytest.mark.parametrize(("seed", "forked"), [(1, False), (2, True)], ids=["executed", "forked"])
def test_workers_killed_at_random_lose_nothing(worlds: Worlds, seed: int, forked: bool) -> None:
    """A job survives its workers, however often they die, on a provider that does all it can to confuse them."""
    with worlds(**chaos.SETTINGS, batch_max_requests=150) as world:
        result = chaos.run(
            world.database, world.simulator, world.site, seed=seed, workers=3, rows=2000, kills=5, forked=forked
        )
    assert not result.verdict.faults, "\n".join(result.verdict.faults)
    assert result.kills > 0
