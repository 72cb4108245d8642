"""Runs a notebook from top to bottom, as a person would, also one whose kernel dies on purpose.

`python -m tests.notebooks.running` runs all of them and keeps their outputs in the files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

FOLDER = Path(__file__).parents[2] / "notebooks"
DIES = "kernel-dies"
"""The tag of a cell in which the kernel is killed; the next cell runs in a new one, as after a restart."""


def run(path: Path, timeout: float = 120.0) -> nbformat.NotebookNode:
    """Run every cell in order.

    Raises:
        CellExecutionError: a cell raised.
        AssertionError: a kernel outlived the cell it should have died in.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    waiting = list(enumerate(notebook.cells))
    while waiting:
        client = NotebookClient(notebook, timeout=timeout, kernel_name="python3")
        with client.setup_kernel(cwd=str(path.parent), stderr=subprocess.DEVNULL):
            while waiting:
                number, cell = waiting.pop(0)
                try:
                    client.execute_cell(cell, number)
                except DeadKernelError:
                    assert DIES in cell.metadata.get("tags", ()), "a kernel died that should not have"
                    cell.outputs = []
                    break
                assert DIES not in cell.metadata.get("tags", ()), "the kernel outlived a cell that kills it"
            _keep_widgets(client, notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which only this run knows
    return notebook


def _keep_widgets(client: NotebookClient, notebook: nbformat.NotebookNode) -> None:
    """Add what the bars of this kernel look like now, for whoever reads the notebook without running it."""
    before = notebook.metadata.get("widgets", {})
    client.set_widgets_metadata()
    for kind, kept in before.items():
        notebook.metadata.widgets[kind]["state"] |= kept["state"]


def main() -> None:
    """Run all, or those named, and write them."""
    for path in map(Path, sys.argv[1:] or sorted(FOLDER.glob("*.ipynb"))):
        nbformat.write(run(path), path)
        print(path.name)


if __name__ == "__main__":
    main()
