"""The command line as a whole."""

import click
from click.testing import CliRunner

from batchframe.cli import main


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in group.commands.items():
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


def test_every_command_explains_itself() -> None:
    """`--help` is where people look first."""
    assert ("job", "show") in commands(main)
    for command in commands(main):
        shown = CliRunner().invoke(main, [*command, "--help"])
        assert shown.exit_code == 0
        assert len(shown.output.splitlines()) > 3, command


def test_our_errors_are_sentences_not_tracebacks() -> None:
    """A missing key is the user's to mend; a traceback would hide how."""
    shown = CliRunner().invoke(main, ["worker"], env={"BATCHFRAME_LEASE_SECONDS": "soon"})
    assert shown.exit_code == 1
    assert shown.output.startswith("Error: BATCHFRAME_LEASE_SECONDS")
