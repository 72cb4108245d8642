"""`batchframe serve`: the OpenAI-compatible proxy."""

from __future__ import annotations

import socket
from contextlib import suppress

import click

from batchframe.cli.worker import forbid_core_dumps
from batchframe.config import load_settings
from batchframe.frame.session import Session
from batchframe.operations import logs


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def serve(host: str, port: int, workers: int, log_format: logs.Format) -> None:
    """Answer OpenAI's API at the batch price until stopped (Ctrl-C or SIGTERM); others may serve beside it."""
    forbid_core_dumps()
    _allow_many_connections()
    logs.configure(log_format)
    settings = load_settings()
    session = Session(settings, works=False)  # says what is wrong with settings or database, before anything is served
    try:
        session.require_key()
        with session.database.transaction() as connection:
            from batchframe.store import keys

            if settings.api_key is None and not keys.every(connection):
                click.echo("There is no key yet: set BATCHFRAME_API_KEY, or run `batchframe keys create NAME`.")
    finally:
        session.close()
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None
    from batchframe.proxy.server import serve as serve_on

    with listener:
        serve_on(listener, workers=workers, say=click.echo)


def _allow_many_connections() -> None:
    """Each waiting call is an open file; most systems give a process 1,024 of them until it asks for more."""
    with suppress(ImportError, ValueError, OSError):  # there is no such module on Windows
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
