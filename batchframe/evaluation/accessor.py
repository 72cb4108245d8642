"""`df.llm.compare`: what a frame can ask of several prompts and models at once."""

from __future__ import annotations

from typing import Any

import pandas as pd

from batchframe.errors import InputError
from batchframe.evaluation.cell import CellKey
from batchframe.evaluation.comparison import Models, Prices, Prompts, check_comparison
from batchframe.evaluation.evaluation import Evaluation
from batchframe.evaluation.measures import Measures
from batchframe.evaluation.plan import EvaluationPlan, draw_up_evaluation
from batchframe.evaluation.spec import Failed
from batchframe.evaluation.submitting import store
from batchframe.frame import session
from batchframe.frame.accessor import FrameAccessor
from batchframe.frame.call import Missing, Schema
from batchframe.frame.examples import Examples
from batchframe.frame.prompts import Images, Text
from batchframe.frame.terms import AtDeadline, Deadline


class ComparingAccessor(FrameAccessor):
    """What a DataFrame or a Series can ask a model, and several at once."""

    def compare(
        self,
        prompts: Prompts,
        *,
        models: Models,
        gold: str | None = None,
        metrics: Measures | None = None,
        field: str | None = None,
        schema: Schema | None = None,
        system: Text | None = None,
        examples: Examples | None = None,
        images: Images | None = None,
        endpoint: str = "chat",
        samples: int = 1,
        baseline: CellKey | None = None,
        cluster: str | None = None,
        failed: Failed = "wrong",
        level: float = 0.95,
        name: str | None = None,
        missing: Missing = "skip",
        reuse: bool = True,
        price: Prices | None = None,
        deadline: Deadline | None = None,
        at_deadline: AtDeadline = "realtime",
        **params: Any,
    ) -> Evaluation:
        """Ask every prompt of every model about every row, and find out which is really better.

        Every prompt with every model is a job like any other: at half price, kept, resumed, and no answer is paid for
        twice, whichever evaluation or job has asked for it. The same call again is the same evaluation; with further
        prompts, models or rows it asks for what is new alone.

            ev = df.llm.compare({"short": P1, "rubric": P2}, models=["gpt-5-mini"], gold="section").wait()
            ev.versus()
            df.llm.batch(ev.best(), into="section")

        Args:
            prompts: of each label a template, as `df.llm.batch` takes it, or `{"template": …, "system": …}` with what
                else of this call is the prompt's own: system, examples, images, body parameters.
            models: names, or of each label a name or `{"model": …, "reasoning_effort": "low"}`.
            gold: the column of right answers; a row without one counts for metrics that need none.
            metrics: names ("accuracy", "macro_f1", "mae", "rouge_l", …), `bf.metrics.…`, judges (`bf.graded(…)`,
                `bf.pairwise(…)`), or functions of an answer and its row. The first decides. By default "accuracy", or
                "mae" for a gold of floats.
            field: the field of the schema that is the answer; by default its only one, or the one called like the gold.
            schema, system, examples, images, endpoint, missing, reuse, deadline, at_deadline, params: as of
                `df.llm.batch`, for every cell.
            samples: answers a row; intervals and tests know that those of one row belong together.
            baseline: the cell the others are compared with, `(prompt, model)`; by default the first.
            cluster: a column whose equal values mark rows that depend on each other, such as a customer's.
            failed: whether a row without an answer counts as "wrong", or is left out of the figures ("exclude").
            level: of the intervals and tests.
            name: a name to come back with: `bf.evaluation(name)`. An evaluation of a name may grow, but not change.
            price: as of `df.llm.batch`, for all models, or of each label.

        Raises:
            InputError: something passed cannot be used; its subclasses say what. Nothing was stored or sent.
            ConfigurationError, DatabaseError, ProviderError: as of `df.llm.batch`.
        """
        here = session.current()
        frame = self._rows()
        comparison = check_comparison(
            here.provider_id,
            frame,
            prompts,
            models=models,
            gold=gold,
            metrics=metrics,
            field=field,
            schema=schema,
            system=system,
            examples=examples,
            images=images,
            endpoint=endpoint,
            samples=samples,
            baseline=baseline,
            cluster=cluster,
            failed=failed,
            level=level,
            name=name,
            missing=missing,
            reuse=reuse,
            price=price,
            deadline=deadline,
            at_deadline=at_deadline,
            params=params,
        )
        stored = store(here, frame, comparison)
        evaluation = Evaluation(here, stored, metrics=comparison.measures, calls=comparison.calls)
        evaluation.advance()
        return evaluation

    def plan_compare(
        self,
        prompts: Prompts,
        *,
        models: Models,
        gold: str | None = None,
        metrics: Measures | None = None,
        field: str | None = None,
        schema: Schema | None = None,
        system: Text | None = None,
        examples: Examples | None = None,
        images: Images | None = None,
        endpoint: str = "chat",
        samples: int = 1,
        baseline: CellKey | None = None,
        cluster: str | None = None,
        failed: Failed = "wrong",
        level: float = 0.95,
        name: str | None = None,
        missing: Missing = "skip",
        reuse: bool = True,
        price: Prices | None = None,
        deadline: Deadline | None = None,
        at_deadline: AtDeadline = "realtime",
        **params: Any,
    ) -> EvaluationPlan:
        """What `compare` with the same arguments would send and cost, judges included. It sends and stores nothing.

        What judges will be asked is counted at its most: as if no two answers were the same.

        Args: as those of `compare`.

        Raises:
            InputError: something passed cannot be used; its subclasses say what.
            DatabaseError: Postgres cannot be reached.
        """
        here = session.current()
        frame = self._rows()
        comparison = check_comparison(
            here.provider_id,
            frame,
            prompts,
            models=models,
            gold=gold,
            metrics=metrics,
            field=field,
            schema=schema,
            system=system,
            examples=examples,
            images=images,
            endpoint=endpoint,
            samples=samples,
            baseline=baseline,
            cluster=cluster,
            failed=failed,
            level=level,
            name=name,
            missing=missing,
            reuse=reuse,
            price=price,
            deadline=deadline,
            at_deadline=at_deadline,
            params=params,
        )
        return draw_up_evaluation(here, frame, comparison)

    def _rows(self) -> pd.DataFrame:
        if not isinstance(self._frame, pd.DataFrame):
            raise InputError("An evaluation is of a DataFrame, gold column included: pass s.to_frame().")
        return self._frame


def register() -> None:
    """Make `df.llm` and `s.llm` known to pandas."""
    pd.api.extensions.register_dataframe_accessor("llm")(ComparingAccessor)
    pd.api.extensions.register_series_accessor("llm")(ComparingAccessor)
