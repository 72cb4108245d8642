"""`batchframe simulate`: the simulator as a program of its own."""

from __future__ import annotations

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8765, show_default=True, help="0 takes a free one.")
@click.option("--responder", default="schema", show_default=True, help="echo, schema, or a function as module:name.")
@click.option("--duration", default=5.0, show_default=True, help="Seconds a batch takes.")
@click.option("--window", default=86_400.0, show_default=True, help="Seconds until a batch expires.")
@click.option("--enqueued-tokens", type=int, help="Enqueued-token limit of every model; without it, none.")
def simulate(host: str, port: int, responder: str, duration: float, window: float, enqueued_tokens: int | None) -> None:
    """Run a local server that speaks OpenAI's Batch API, to try prompts and pipelines for free."""
    from batchframe.simulator import simulate

    simulate(host, port, responder, duration, window, enqueued_tokens)
