"""`batchframe worker`: an engine as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from batchframe.cli.opening import opened
from batchframe.engine.engine import Engine
from batchframe.errors import BatchframeError
from batchframe.frame.session import Session
from batchframe.operations import logs
from batchframe.store import batches
from batchframe.store.alone import Alone

if TYPE_CHECKING:
    from batchframe.monitoring.metrics import Metrics
    from batchframe.providers.base import Provider

logger = logging.getLogger(__name__)

_SWEEP_SECONDS = 3_600.0


@click.command()
@click.option("--until-idle", is_flag=True, help="Stop when no job is open, instead of waiting for new ones.")
@click.option("--alone", is_flag=True, help="Stop at once if another worker that was started so is at work already.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Batches worked on at once; those that rest at the provider are not counted.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--metrics-port", type=int, help="Serve Prometheus metrics at /metrics on this port; 0 takes a free one.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="The address the metrics are served on.")
def worker(
    until_idle: bool,
    alone: bool,
    concurrency: int,
    log_format: logs.Format,
    metrics_port: int | None,
    metrics_host: str,
) -> None:
    """Work on the jobs in the database until stopped (Ctrl-C or SIGTERM); others may work beside it."""
    forbid_core_dumps()
    say: Callable[[str], None] = logger.info if log_format == "json" else click.echo
    with opened(works=True) as session:
        session.require_key()
        logs.configure(log_format)
        metrics = None
        if metrics_port is not None:
            from batchframe.monitoring.metrics import Metrics  # 0.1 s, for those who scrape

            metrics = Metrics(session.database)
            try:
                port, server = metrics.serve(metrics_port, metrics_host)
            except OSError as error:
                raise click.ClickException(f"--metrics-port {metrics_port}: {error.strerror}.") from None
            say(f"Metrics at http://{metrics_host}:{port}/metrics")
        try:
            for _ in _turns(session) if alone else (None,):
                asyncio.run(_work(session, until_idle, concurrency, metrics, say))
        finally:
            if metrics is not None:
                server.shutdown()
                server.server_close()


def _turns(session: Session) -> Iterator[None]:
    """Once, if no other is at work, and again for a job that came after this one had looked for the last time.

    Whoever makes a job and finds the lock taken starts no worker; so it is looked for jobs once more without it.
    """
    lock = Alone(session.database)
    while lock.take():
        try:
            yield
        finally:
            lock.give_back()
        with session.database.transaction() as connection:
            if batches.next_due(connection, [session.provider_id]) is None:
                return


async def _work(
    session: Session, until_idle: bool, concurrency: int, metrics: Metrics | None, say: Callable[[str], None]
) -> None:
    providers = session.providers()
    if metrics is not None:
        from batchframe.monitoring.metered import MeteredProvider

        providers = [MeteredProvider(provider, metrics.calls) for provider in providers]
    by_id = {provider.id: provider for provider in providers}
    engine = Engine(session.database, by_id, session.settings, concurrency=concurrency)
    running = asyncio.create_task(engine.run(until_idle=until_idle))
    for stop in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop, running.cancel)
    say(repr(session))
    sweeping = asyncio.create_task(_sweep(session, providers, metrics)) if metrics is not None else None
    try:
        await running
    except asyncio.CancelledError:
        say("Stopped. Open jobs go on with the next worker or notebook.")
    finally:
        if sweeping is not None:
            sweeping.cancel()
        for provider in providers:
            await provider.close()


async def _sweep(session: Session, providers: list[Provider], metrics: Metrics) -> None:
    """Look for orphans every hour, for the metric; `batchframe doctor` names them."""
    from batchframe.operations import orphans

    while True:
        try:
            found = [await orphans.sweep(provider, session.database) for provider in providers]
            metrics.orphans.set(sum(map(len, found)))
        except BatchframeError as error:
            logger.warning("orphans could not be looked for: %s", error)
        await asyncio.sleep(_SWEEP_SECONDS)


def forbid_core_dumps() -> None:
    """A core dump is the memory as a file: the provider's key, prompts and answers, for whoever reads the folder."""
    with suppress(ImportError, ValueError):  # there is no such module on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
