"""What a metric is."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from batchframe.evaluation.observations import Observations
from batchframe.evaluation.scored import Scored

Spec = str | dict[str, Any]
"""A metric in a form JSON, TOML and YAML can hold: its name, or {"metric": its name, …its options}."""


class Described(Protocol):
    """What is to be known of anything that measures answers, a metric or a judge.

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


@runtime_checkable
class Metric(Described, Protocol):
    """A measure of answers.

    Attributes:
        spec: what `named.from_spec` makes it from again; of a function only its name, which is not enough.
    """

    @property
    def spec(self) -> Spec: ...

    def score(self, seen: Observations) -> Scored:
        """Score observations.

        A failed row (answer None) counts as wrong: with the worst score there is, or, where errors have no worst, not
        at all. A row without gold does not count where gold is needed. Several cells' observations may come as one.

        Raises:
            InputError: an observation cannot be scored as it is, such as a gold that is no number; it names which.
        """
