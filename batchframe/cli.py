"""The command line: the database, a worker, the simulator, the demo; each a few lines over the rooms below."""

from __future__ import annotations

import asyncio
import logging
import signal

import click

from batchframe import __version__
from batchframe.config import Settings, load_settings
from batchframe.engine.engine import Engine
from batchframe.errors import BatchframeError
from batchframe.frame.session import Session
from batchframe.store import embedded


class _Group(click.Group):
    """Shows our own errors as a sentence, not as a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BatchframeError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="batchframe")
def main() -> None:
    """Label DataFrames through half-price Batch APIs. Settings come from the environment (BATCHFRAME_…, OPENAI_…)."""


@main.command()
@click.option("--until-idle", is_flag=True, help="Stop when no job is open, instead of waiting for new ones.")
def worker(until_idle: bool) -> None:
    """Work on the jobs in the database until stopped (Ctrl-C or SIGTERM); others may work beside it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    session = Session(load_settings())
    session.require_key()
    try:
        asyncio.run(_work(session, until_idle))
    finally:
        session.close()


async def _work(session: Session, until_idle: bool) -> None:
    providers = session.providers()
    engine = Engine(session.database, {provider.id: provider for provider in providers}, session.settings)
    running = asyncio.create_task(engine.run(until_idle=until_idle))
    for stop in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop, running.cancel)
    click.echo(repr(session))
    try:
        await running
    except asyncio.CancelledError:
        click.echo("Stopped. Open jobs go on with the next worker or notebook.")
    finally:
        for provider in providers:
            await provider.close()


@main.command()
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


@main.command()
def demo() -> None:
    """From nothing to a labelled table, on a throw-away database and the simulator, with a crash in the middle."""
    from batchframe.demo import run

    run()


@main.group()
def db() -> None:
    """The embedded Postgres, which is used when BATCHFRAME_DATABASE_URL is not set."""


def _embedded_settings() -> Settings:
    settings = load_settings()
    if settings.database_url is not None:
        raise click.ClickException("BATCHFRAME_DATABASE_URL is set, so the embedded server is not in use. Unset it.")
    return settings


@db.command()
def start() -> None:
    """Start it, making it on first use."""
    settings = _embedded_settings()
    embedded.start(settings.home)
    _show_status(settings)


@db.command()
def stop() -> None:
    """Stop it; its data stays."""
    click.echo("Stopped." if embedded.stop(_embedded_settings().home) else "It was not running.")


@db.command()
def status() -> None:
    """Say whether it runs, where its data is and how much there is."""
    _show_status(_embedded_settings())


@db.command()
def url() -> None:
    """Print the URL to connect to it with psql and other tools. It holds the password of this server."""
    click.echo(embedded.url(_embedded_settings().home))


def _show_status(settings: Settings) -> None:
    now = embedded.status(settings.home)
    state = f"running (process {now.pid})" if now.running else "not running"
    click.echo(f"PostgreSQL {now.version}, {state}")
    click.echo(f"data  {now.data_directory} ({now.size_bytes / 1e6:,.1f} MB)")
    click.echo(f"log   {now.log_file}")
