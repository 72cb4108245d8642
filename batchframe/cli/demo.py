"""`batchframe demo`."""

from __future__ import annotations

import click


@click.command()
def demo() -> None:
    """From nothing to a labelled table, on a throw-away database and the simulator, with a crash in the middle."""
    from batchframe.demo import run

    run()
