"""A served proxy for each test, and the places where its clients are installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchframe.simulator import Simulator
from tests.clients.provider import MODELS, respond
from tests.serving import Served

HERE = Path(__file__).parent
CACHE = "CLIENTS_CACHE"
"""The variable that names a folder in which installed clients outlive the run; without it they go with it."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A provider for the suites: an echo with a few manners, and a short list of models."""
    with Simulator(responder=respond) as running:
        running.settings.models = MODELS
        yield running


@pytest.fixture
def served(environment: dict[str, str]) -> Iterator[Served]:
    """The proxy as a process of its own, with this test's database and simulator behind it."""
    with Served(environment) as running:
        yield running


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Gives the folder of something that is installed once: a name, and a function that installs it."""
    kept = os.environ.get(CACHE)
    root = Path(kept).absolute() if kept else tmp_path_factory.mktemp("clients")

    def find(name: str, install: Callable[[Path], None]) -> Path:
        folder = root / name
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(folder)
            (folder / "installed").touch()
        return folder

    return find


@pytest.fixture(scope="session")
def node_suite(installed: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The suite in JavaScript, beside the SDK it needs."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"the Node SDK needs {program}, which is not on this machine")
    lock = (HERE / "package-lock.json").read_bytes()

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        _run(["npm", "ci", "--no-audit", "--no-fund"], folder)

    folder = installed(f"node-{hashlib.sha256(lock).hexdigest()[:12]}", install)
    return Path(shutil.copy(HERE / "suite.mjs", folder))


@pytest.fixture(scope="session")
def python_with(installed: Callable[[str, Callable[[Path], None]], Path]) -> Callable[[str], Path]:
    """Gives the interpreter of an environment that holds a package and nothing of ours."""

    def find(package: str) -> Path:
        def install(folder: Path) -> None:
            _run([sys.executable, "-m", "venv", "environment"], folder)
            _run(["environment/bin/python", "-m", "pip", "install", "--quiet", package], folder)

        return installed(package, install) / "environment" / "bin" / "python"

    return find


def _run(command: list[str], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, f"{' '.join(command)}:\n{ended.stdout}{ended.stderr}"
