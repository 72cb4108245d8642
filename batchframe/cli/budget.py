"""`batchframe budget`: what all jobs may spend on a model together."""

from __future__ import annotations

import click

from batchframe.cli.opening import opened
from batchframe.core.budget import dollars
from batchframe.frame.table import columns
from batchframe.frame.terms import check_budget
from batchframe.store import budgets


@click.command()
@click.argument("model", required=False)
@click.argument("usd", type=float, required=False)
@click.option("--lift", is_flag=True, help="Take the budget of the model away.")
def budget(model: str | None, usd: float | None, lift: bool) -> None:
    """Show the budgets of models, or set that of MODEL to USD, counted from now."""
    if model is not None and (usd is None) != lift:
        raise click.UsageError("Say how much: batchframe budget MODEL USD, or --lift.")
    with opened() as session, session.database.transaction() as connection:
        if model is not None:
            amount = None if usd is None else check_budget(usd)
            budgets.set_for_model(connection, session.provider_id, model, amount)
        found = budgets.of_models(connection)
    click.echo(
        columns(
            (one.model, f"{dollars(one.spent)} spent, {dollars(one.reserved)} under way, of {dollars(one.budget)}")
            for one in found
        )
        if found
        else "No model has a budget."
    )
