"""Coming back to evaluations: by id, by name, or all of them."""

from __future__ import annotations

import operator

import pandas as pd

from batchframe.errors import EvaluationNotFoundError
from batchframe.evaluation import measures
from batchframe.evaluation.evaluation import Evaluation
from batchframe.evaluation.extras import check_installed
from batchframe.evaluation.measures import Measures
from batchframe.evaluation.spec import EvaluationSpec
from batchframe.frame.session import Session, current
from batchframe.store import evaluations as stored


def evaluation(key: int | str, *, metrics: Measures = ()) -> Evaluation:
    """An evaluation, also after a restart or in another process.

    Work on its open jobs goes on; `wait` submits those that are to follow.

    Args:
        key: its id or its name.
        metrics: those of its metrics that are functions, which only you have.

    Raises:
        EvaluationNotFoundError: there is none.
        ConfigurationError: the extra `eval` is not installed.
    """
    session = current()
    found = find(session, key if isinstance(key, str) else operator.index(key), metrics=metrics)
    if found.progress().pending and session.settings.openai_api_key and found.provider == session.provider_id:
        session.background.start()
    return found


def find(session: Session, key: int | str, *, metrics: Measures = ()) -> Evaluation:
    """As `evaluation`, in a session.

    Raises:
        EvaluationNotFoundError, ConfigurationError: as `evaluation`.
    """
    check_installed()
    with session.database.transaction() as connection:
        found = stored.find(connection, key)
        names = [repr(other.name) for other in stored.newest_first(connection) if other.name] if found is None else []
    if found is None:
        known = f" The newest names are {', '.join(names[:5])}." if names else ""
        raise EvaluationNotFoundError(
            f"There is no evaluation {key!r} in this database.{known} bf.evaluations() lists all."
        )
    at_hand = measures.resolve(metrics) if metrics else []
    return Evaluation(session, found, metrics=at_hand)


def evaluations() -> pd.DataFrame:
    """All evaluations, the newest first.

    Returns:
        One row each, indexed by `id`: name, rows, prompts, models, metrics, created.
    """
    return listed(current())


def listed(session: Session) -> pd.DataFrame:
    """As `evaluations`, in a session."""
    with session.database.transaction() as connection:
        every = stored.newest_first(connection)
    specs = [EvaluationSpec.from_json(one.spec) for one in every]
    return pd.DataFrame(
        {
            "name": pd.array([one.name for one in every], dtype="string"),
            "rows": pd.array([one.n_rows for one in every], dtype="Int64"),
            "prompts": pd.array([len({cell.prompt for cell in spec.cells}) for spec in specs], dtype="Int64"),
            "models": pd.array([len({cell.model for cell in spec.cells}) for spec in specs], dtype="Int64"),
            "metrics": pd.array([len(spec.metrics) for spec in specs], dtype="Int64"),
            "created": pd.to_datetime([one.created_at for one in every], utc=True),
        },
        index=pd.Index([one.id for one in every], name="id", dtype="int64"),
    )
