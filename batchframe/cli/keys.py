"""`batchframe keys`: who may use the proxy."""

from __future__ import annotations

import click

from batchframe.cli.opening import opened
from batchframe.core.budget import dollars
from batchframe.frame.table import columns
from batchframe.frame.terms import check_budget
from batchframe.proxy import keymaking
from batchframe.store import keys as stored
from batchframe.store.keys import Key, Spent


@click.group()
def keys() -> None:
    """Keys of the proxy: make, list, revoke."""


@keys.command()
@click.argument("name")
@click.option("--budget", type=float, help="US dollars its requests may cost together.")
@click.option("--rate", type=click.IntRange(min=1), help="Requests a minute, at each instance.")
@click.option("--queue", type=click.IntRange(min=1), help="Unanswered requests at once.")
def create(name: str, budget: float | None, rate: int | None, queue: int | None) -> None:
    """Make a key. It is shown this once; only its hash is kept."""
    if not name.isprintable() or not name.strip():
        raise click.UsageError("NAME is printable text.")
    amount = None if budget is None else check_budget(budget)
    key = keymaking.make()
    with opened() as session, session.database.transaction() as connection:
        stored.create(
            connection,
            name,
            keymaking.digest(key),
            keymaking.shown(key),
            budget_usd=amount,
            rate_limit=rate,
            queue_limit=queue,
        )
    click.echo(key)


@keys.command("list")
def list_() -> None:
    """List the keys, with what they have come to."""
    with opened() as session, session.database.transaction() as connection:
        shown = [(key, stored.spent(connection, key.id)) for key in stored.every(connection)]
    if not shown:
        click.echo("There is no key yet: batchframe keys create NAME.")
        return
    head = ("name", "key", "requests", "unanswered", "spent", "budget", "a minute", "queue", "state")
    click.echo(columns([head, *(_row(key, spent) for key, spent in shown)], right=frozenset({2, 3, 6, 7})))


@keys.command()
@click.argument("name")
@click.argument("usd", type=float, required=False)
@click.option("--lift", is_flag=True, help="Take the budget of the key away.")
def budget(name: str, usd: float | None, lift: bool) -> None:
    """Set what the requests of the key NAME may cost together, what they have cost already included."""
    if (usd is None) != lift:
        raise click.UsageError("Say how much: batchframe keys budget NAME USD, or --lift.")
    amount = None if usd is None else check_budget(usd)
    with opened() as session, session.database.transaction() as connection:
        if not stored.set_budget(connection, name, amount):
            raise click.ClickException(f"There is no key {name!r}.")
    click.echo(f"{name}: {'no budget' if amount is None else dollars(amount)}")


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Let a key open nothing any more; proxies that run heed it within seconds. What it asked for is still answered."""
    with opened() as session, session.database.transaction() as connection:
        if not stored.revoke(connection, name):
            raise click.ClickException(f"There is no key {name!r} that could be revoked.")
    click.echo(f"{name} is revoked.")


def _row(key: Key, spent: Spent) -> tuple[object, ...]:
    return (
        key.name,
        key.shown,
        f"{spent.requests:,}",
        f"{spent.unanswered:,}",
        dollars(spent.cost_usd),
        None if key.budget_usd is None else dollars(key.budget_usd),
        key.rate_limit,
        key.queue_limit,
        "revoked" if key.revoked_at else "",
    )
