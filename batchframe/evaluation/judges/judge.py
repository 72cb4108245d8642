"""What a judge is, what it is shown, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from batchframe.evaluation.metrics.metric import Described
from batchframe.evaluation.scored import Floats
from batchframe.frame.call import Call

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Said:
    """What a cell has answered, as a judge sees it.

    Attributes:
        table: the rows of the evaluation, for templates that name columns.
        tasks: of each row what was asked; None for one that was skipped.
        golds: of each row the right answer; None where nobody knows.
        texts: the answers, shape (n_rows, n_samples); None where there is none.
        failed: whether the row has failed, same shape; False while it is pending.
    """

    table: pd.DataFrame
    tasks: Sequence[str | None]
    golds: Sequence[Any]
    texts: Texts
    failed: npt.NDArray[np.bool_]


class Judge(Described, Protocol):
    """A metric that a model decides.

    Attributes:
        model: the judge, as the provider names it.
        pairwise: whether it compares with the baseline, which has no score of its own then.
        spec: what makes it again, as JSON.
    """

    @property
    def model(self) -> str: ...
    @property
    def pairwise(self) -> bool: ...
    @property
    def spec(self) -> dict[str, Any]: ...

    def call(self, provider: str) -> Call:
        """The call of its jobs.

        Raises:
            InputError: what it was given cannot be asked.
        """

    def questions(self, said: Said, baseline: Said) -> pd.DataFrame:
        """What it is to be asked: a row a question, with the columns its template names, and `at_row`, `at_sample`."""

    def scores(self, said: Said, baseline: Said, verdicts: pd.DataFrame) -> Floats:
        """The score of every answer.

        Args:
            verdicts: its questions with the result columns beside them.

        Returns:
            Shape (n_rows, n_samples); nan where there is none (yet).
        """


def numbered(
    table: pd.DataFrame, rows: Sequence[int], samples: Sequence[int], **columns: Sequence[Any]
) -> pd.DataFrame:
    """Questions about these rows, with the row's own columns; of two columns of one name the question's own counts."""
    own = {"at_row": rows, "at_sample": samples, **columns}
    asked = table.iloc[list(rows)].reset_index(drop=True)
    asked = asked.loc[:, [label not in own for label in asked.columns]]
    made = pd.DataFrame(
        {
            name: pd.Series(list(values), dtype="int64" if name.startswith("at_") else "string")
            for name, values in own.items()
        }
    )
    return pd.concat([asked, made], axis=1)
