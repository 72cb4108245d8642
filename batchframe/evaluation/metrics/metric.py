"""What a metric is."""

from __future__ import annotations

from typing import Literal, Protocol

from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Scored


class Metric(Protocol):
    """A measure of answers.

    Attributes:
        name: as the user names it, and the views.
        better: whether more or less of it is better.
        share: whether it is a share of 1, which views show in percent; else a number of its own.
        needs_gold: whether it compares with the gold column.
    """

    @property
    def name(self) -> str: ...
    @property
    def better(self) -> Literal["higher", "lower"]: ...
    @property
    def share(self) -> bool: ...
    @property
    def needs_gold(self) -> bool: ...

    def score(self, seen: Observations) -> Scored:
        """Score observations.

        A failed row (answer None) counts as wrong: with the worst score there is, or, where errors have no worst, not
        at all. A row without gold does not count where gold is needed. Several cells' observations may come as one.

        Raises:
            InputError: an observation cannot be scored as it is, such as a gold that is no number; it names which.
        """
