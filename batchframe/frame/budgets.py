"""Budgets of models: what all jobs on a database may spend on a model together."""

from __future__ import annotations

import pandas as pd

from batchframe.core.budget import dollars
from batchframe.frame.session import current
from batchframe.frame.terms import Money, check_budget
from batchframe.frame.usage import amounts
from batchframe.store import budgets as stored


def set_budget(model: str, budget_usd: Money | None) -> None:
    """Set what all jobs may spend on a model together, by this session's provider; None lifts it.

    It is kept in the database, counts from the moment it is first set, and holds for every notebook and worker there.
    A job whose next batch would go past it pauses; a higher budget lets it go on.

    Raises:
        InputError: not an amount above zero.
    """
    budget = None if budget_usd is None else check_budget(budget_usd)
    session = current()
    with session.database.transaction() as connection:
        stored.set_for_model(connection, session.provider_id, model, budget)


def budgets() -> pd.DataFrame:
    """The budgets of models.

    Returns:
        One row a model: provider, model, budget_usd, spent_usd, under_way_usd (expected), left (in words).
    """
    with current().database.transaction() as connection:
        found = stored.of_models(connection)
    return pd.DataFrame(
        {
            "provider": pd.array([one.provider for one in found], dtype="string"),
            "model": pd.array([one.model for one in found], dtype="string"),
            "budget_usd": amounts([one.budget for one in found]),
            "spent_usd": amounts([one.spent for one in found]),
            "under_way_usd": amounts([one.reserved for one in found]),
            "left": pd.array([dollars(one.budget - one.spent - one.reserved) for one in found], dtype="string"),
        }
    )
