"""An evaluation's specification: what is compared, as it is kept and as another process goes on with it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from batchframe.core.answers import decode_json
from batchframe.core.body import encode_json
from batchframe.core.spec import JobSpec
from batchframe.evaluation.cell import Cell

Failed = Literal["wrong", "exclude"]


class CellSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One cell.

    Attributes:
        prompt, model: their labels.
        asks: the model as the provider names it.
        endpoint: its path.
        spec: what the cell's job asks of each row.
        price: US dollars a million input and output tokens at the batch rate, as the user has said; None: by the table.
    """

    prompt: str
    model: str
    asks: str
    endpoint: str
    spec: JobSpec
    price: tuple[Decimal, Decimal] | None = None

    @property
    def cell(self) -> Cell:
        """Its labels."""
        return Cell(self.prompt, self.model)


class EvaluationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared.

    Attributes:
        provider: where all requests go.
        cells: every prompt with every model.
        gold: the column of right answers, or None.
        field: the field of the schema that is compared with it; None: the whole text.
        cluster: the column whose equal values mark rows that depend on each other, or None.
        metrics: each as `metrics.from_spec` or `judges.from_spec` reads it; the first decides.
        baseline: the cell others are compared with.
        level: of the intervals, and of the tests.
        failed: whether a row without an answer counts as wrong, or not at all.
    """

    provider: str
    cells: list[CellSpec]
    gold: str | None
    field: str | None
    cluster: str | None
    metrics: list[Any]
    baseline: Cell
    level: float
    failed: Failed

    def to_json(self) -> bytes:
        """One canonical text for equal specifications."""
        return encode_json(msgspec.to_builtins(self))

    @classmethod
    def from_json(cls, text: str) -> EvaluationSpec:
        """Read what `to_json` wrote."""
        return decode_json(text, _decoder)

    @property
    def samples(self) -> int:
        """Answers a row."""
        return self.cells[0].spec.samples


_decoder = msgspec.json.Decoder(EvaluationSpec)
