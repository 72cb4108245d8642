"""Commands run in this process, on this test's database and simulator."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from batchframe.cli import main
from batchframe.simulator import Simulator

Run = Callable[..., Result]


@pytest.fixture
def environment(database_url: str, simulator: Simulator, tmp_path: Path) -> dict[str, str]:
    """The variables a command is configured by; fast."""
    return {
        "BATCHFRAME_DATABASE_URL": database_url,
        "BATCHFRAME_HOME": str(tmp_path / "home"),
        "BATCHFRAME_POLL_SECONDS": "0.05",
        "BATCHFRAME_POLL_MAX_SECONDS": "0.2",
        "BATCHFRAME_GRACE_SECONDS": "1",
        "BATCHFRAME_LEASE_SECONDS": "3",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.base_url,
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Run a command; its result."""

    def run(*command: str, status: int = 0, **variables: str) -> Result:
        result = CliRunner().invoke(main, list(command), env={**environment, **variables})
        assert result.exit_code == status, result.output
        return result

    return run
