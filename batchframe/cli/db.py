"""`batchframe db`: the embedded server."""

from __future__ import annotations

from pathlib import Path

import click

from batchframe.cli.group import Group
from batchframe.config import Settings, load_settings
from batchframe.store import backup as backup_file
from batchframe.store import embedded


@click.group(cls=Group)
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
    """Print the URL to connect to it with psql and other tools. It holds no secret: the server knows its user."""
    click.echo(embedded.url(_embedded_settings().home))


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def backup(file: Path, force: bool) -> None:
    """Write everything to FILE, in pg_dump's custom format, while work goes on."""
    if file.exists() and not force:
        raise click.ClickException(f"{file} is there already. Choose another name, or pass --force.")
    size = backup_file.back_up(_embedded_settings().home, file)
    click.echo(f"{size / 1e6:,.2f} MB in {file}")


@db.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a database that holds jobs or is in use.")
def restore(file: Path, force: bool) -> None:
    """Make the database what FILE holds. Stop workers and notebooks first.

    Batches that had not been sent when the backup was made are looked for at the provider before they are sent.
    """
    settings = _embedded_settings()
    backup_file.restore(settings.home, file, force=force)
    click.echo(f"Restored into {settings.home}. `batchframe doctor` shows what is at the provider beside it.")


def _show_status(settings: Settings) -> None:
    now = embedded.status(settings.home)
    state = f"running (process {now.pid})" if now.running else "not running"
    click.echo(f"PostgreSQL {now.version}, {state}")
    click.echo(f"data  {now.data_directory} ({now.size_bytes / 1e6:,.1f} MB)")
    click.echo(f"log   {now.log_file}")
