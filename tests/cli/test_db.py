"""The embedded server's commands."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from batchframe.cli import main
from tests.cli.conftest import Run


def test_the_database_is_started_shown_saved_and_stopped(tmp_path: Path) -> None:
    """The verbs on the embedded server."""
    environment = {"BATCHFRAME_HOME": str(tmp_path / "home")}
    file = tmp_path / "saved.dump"

    def run(*command: str, status: int = 0) -> str:
        shown = CliRunner().invoke(main, ["db", *command], env=environment)
        assert shown.exit_code == status, shown.output
        return shown.output

    try:
        assert "running (process" in run("start")
        assert "running (process" in run("status")
        assert run("url").startswith("postgresql://")
        assert CliRunner().invoke(main, ["jobs"], env=environment).exit_code == 0
        assert "MB in" in run("backup", str(file))
        assert "is there already" in run("backup", str(file), status=1)
        assert "Restored" in run("restore", str(file))
    finally:
        assert run("stop") == "Stopped.\n"
    assert "not running" in run("status")
    assert run("stop") == "It was not running.\n"


@pytest.mark.parametrize("verb", ["start", "status", "backup", "restore"])
def test_a_server_of_ones_own_is_left_alone(run: Run, tmp_path: Path, verb: str) -> None:
    """Else a backup is made of the wrong database, and found out about when it is needed."""
    file = tmp_path / "a.dump"
    file.touch()
    arguments = {"backup": [str(file), "--force"], "restore": [str(file)]}.get(verb, [])
    assert "BATCHFRAME_DATABASE_URL is set" in run("db", verb, *arguments, status=1).output
