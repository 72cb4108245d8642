"""Commands run in this process, on this test's database and simulator."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from batchframe.cli import main

Run = Callable[..., Result]


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Run a command; its result."""

    def run(*command: str, status: int = 0, **variables: str) -> Result:
        result = CliRunner().invoke(main, list(command), env={**environment, **variables})
        assert result.exit_code == status, result.output
        return result

    return run
