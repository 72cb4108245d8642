"""The docs say what the code does."""

import re
from pathlib import Path

from batchframe.cli import main
from batchframe.config import Settings
from batchframe.monitoring.metrics import Metrics
from batchframe.proxy.description import description
from batchframe.store import backup
from batchframe.store.database import Database

README = (Path(__file__).parents[1] / "README.md").read_text()
DOCS = Path(__file__).parents[1] / "docs"


def test_every_setting_is_in_the_readme_and_every_variable_there_is_a_setting() -> None:
    """A setting nobody can find does not exist; one that is only in the README does nothing."""
    known = {
        str(field.validation_alias.choices[0]) if field.validation_alias else f"BATCHFRAME_{name.upper()}"  # type: ignore[union-attr]
        for name, field in Settings.model_fields.items()
    }
    assert set(re.findall(r"\b(?:BATCHFRAME|OPENAI)_[A-Z_]+\b", README)) == known


def test_the_proxys_docs_tell_its_settings_and_calls() -> None:
    """A back end's author reads one page."""
    told = (DOCS / "proxy.md").read_text()
    table = dict(re.findall(r"^\| `BATCHFRAME_([A-Z_]+)` \| ?([0-9,]*) \|", told, re.MULTILINE))
    assert table.keys() > {"API_KEY", "WINDOW_SECONDS", "HOLD_SECONDS"}
    for name, default in table.items():
        field = Settings.model_fields[name.lower()]
        assert default == ("" if field.default is None else f"{field.default:,.0f}")
    for path in description()["paths"]:
        assert f"{path}`" in told, path


def test_every_command_is_in_the_readme() -> None:
    """The command line is found by reading."""
    for name, command in main.commands.items():
        assert f"batchframe {name}" in README
        for verb in getattr(command, "commands", {}):
            assert re.search(rf"batchframe {name} [a-z |]*\b{verb}\b", README)


def test_the_statement_after_a_plain_restore_is_the_one_of_db_restore() -> None:
    """A copy that was left behind would pay for batches twice."""
    statement = " ".join(backup._IN_DOUBT.split())
    assert statement in " ".join((DOCS / "operations.md").read_text().split())


def test_every_metric_is_in_the_docs(database: Database) -> None:
    """One cannot ask for an alert on what one does not know of."""
    told = (DOCS / "operations.md").read_text()
    names = {family.name for family in Metrics(database).registry.collect()}
    assert len(names) > 10
    for name in names:
        assert name in told or not name.startswith("batchframe_")


def test_every_public_name_is_exported_on_purpose() -> None:
    """What `import batchframe` offers is a promise; a name leaks in easily."""
    import batchframe

    public = {name for name in vars(batchframe) if not name.startswith("_")}
    rooms = {"cli", "config", "core", "demo", "engine", "errors", "frame", "model", "operations", "providers"}
    rooms |= {"monitoring", "proxy", "simulator", "store", "wire"}
    assert public - rooms == set(batchframe.__all__)


def test_every_test_named_in_the_guarantees_exists() -> None:
    """A promise whose test was renamed away is held by nothing."""
    root = Path(__file__).parents[1]
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(\w+))?`", (root / "docs" / "guarantees.md").read_text())
    assert len(named) > 40
    for path, test in named:
        assert f"def {test}(" in (root / path).read_text() if test else (root / path).exists(), f"{path}::{test}"
