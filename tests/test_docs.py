"""The docs say what the code does."""

import re
from pathlib import Path

from batchframe.cli import main
from batchframe.config import Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_every_setting_is_in_the_readme_and_every_variable_there_is_a_setting() -> None:
    """A setting nobody can find does not exist; one that is only in the README does nothing."""
    known = {
        str(field.validation_alias.choices[0]) if field.validation_alias else f"BATCHFRAME_{name.upper()}"  # type: ignore[union-attr]
        for name, field in Settings.model_fields.items()
    }
    assert set(re.findall(r"\b(?:BATCHFRAME|OPENAI)_[A-Z_]+\b", README)) == known


def test_every_command_is_in_the_readme() -> None:
    """The command line is found by reading."""
    for name, command in main.commands.items():
        assert f"batchframe {name}" in README
        for verb in getattr(command, "commands", {}):
            assert re.search(rf"batchframe {name} [a-z |]*\b{verb}\b", README)


def test_every_public_name_is_exported_on_purpose() -> None:
    """What `import batchframe` offers is a promise; a name leaks in easily."""
    import batchframe

    public = {name for name in vars(batchframe) if not name.startswith("_")}
    rooms = {"cli", "config", "core", "demo", "engine", "errors", "frame", "model", "operations", "providers"}
    rooms |= {"simulator", "store"}
    assert public - rooms == set(batchframe.__all__)
