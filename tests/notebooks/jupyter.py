"""A real JupyterLab, with nothing of the user's in it, and one notebook."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import nbformat

TOKEN = "batchframe-test"
_START_SECONDS = 120
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": '{"fetchNews": "false"}',
    "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": '{"autosave": false}',
}


@dataclass(frozen=True)
class Lab:
    """Where it is."""

    address: str
    notebook: Path

    @property
    def page(self) -> str:
        """The notebook, alone on the page."""
        return f"{self.address}/doc/tree/{self.notebook.name}?token={TOKEN}"


@contextmanager
def jupyterlab(folder: Path, cells: Sequence[str]) -> Iterator[Lab]:
    """JupyterLab over a notebook of these cells."""
    root, settings = folder / "root", folder / "settings"
    root.mkdir()
    for name, content in _SETTINGS.items():
        (settings / name).parent.mkdir(parents=True)
        (settings / name).write_text(content)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = root / "live.ipynb"
    nbformat.write(notebook, path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))},
        "HOME": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    with (folder / "jupyter.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={root}"),
                *(f"--port={port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"),
                f"--IdentityProvider.token={TOKEN}",
            ],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            lab = Lab(f"http://127.0.0.1:{port}", path)
            _await_start(lab, server, folder / "jupyter.log")
            yield lab
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _await_start(lab: Lab, server: subprocess.Popen[bytes], log: Path) -> None:
    pause = Event()
    for _ in range(_START_SECONDS * 5):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{lab.address}/api/status?token={TOKEN}", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            pause.wait(0.2)
    raise AssertionError(log.read_text())
