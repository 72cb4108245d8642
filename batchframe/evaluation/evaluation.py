"""The handle of an evaluation: all of its jobs as one, and what they show. It can be lost and had again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from batchframe.errors import InputError, JobPausedError
from batchframe.evaluation import best, checking, following, measures
from batchframe.evaluation.cell import Cell, CellKey, cell_of
from batchframe.evaluation.findings import Findings
from batchframe.evaluation.measures import is_judge
from batchframe.evaluation.spec import EvaluationSpec
from batchframe.evaluation.stages import Stages, version
from batchframe.evaluation.standing import Standing
from batchframe.evaluation.statistics.comparing import Test
from batchframe.evaluation.submitting import kept_frame
from batchframe.evaluation.views import browser, display, frames, labels, plot, report
from batchframe.frame.call import Call
from batchframe.frame.job import JobHandle
from batchframe.frame.progress import Bar, Progress, read
from batchframe.frame.recipe import Recipe
from batchframe.frame.session import Session
from batchframe.model import Route
from batchframe.store import evaluations
from batchframe.store.evaluations import Place, StoredEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOK_SECONDS = 1.0
"""How often a waiting handle looks for what other processes did; its own engine rings."""


class Evaluation:
    """An evaluation, wherever its jobs run. `wait` for it, look at it, or come back with `bf.evaluation(id or name)`.

    Judges are asked once the answers are there, by the process that waits for it.
    """

    def __init__(
        self,
        session: Session,
        stored: StoredEvaluation,
        *,
        metrics: Sequence[measures.Measure] = (),
        calls: Mapping[Cell, Call] | None = None,
    ) -> None:
        """Args:
        metrics: those that are functions, which are not kept.
        calls: the cells' calls, whose functions and deadlines are not kept either.
        """
        self._session = session
        self._stored = stored
        self._spec = EvaluationSpec.from_json(stored.spec)
        self._frame = kept_frame(session, stored)
        self._measures, self._absent = measures.from_spec(self._spec.metrics, metrics)
        judges = [one for one in self._measures if is_judge(one)]
        self._calls = calls or {}
        self._stages = Stages(session, stored.id, self._spec, self._frame, judges, self._calls)
        self._findings: tuple[object, Findings] | None = None

    @property
    def id(self) -> int:
        """The evaluation's number in this database."""
        return self._stored.id

    @property
    def name(self) -> str | None:
        """The name it was given."""
        return self._stored.name

    @property
    def provider(self) -> str:
        """Where all of its requests go."""
        return self._spec.provider

    @property
    def cells(self) -> list[Cell]:
        """Every prompt with every model, by their labels."""
        return [cell.cell for cell in self._spec.cells]

    @property
    def status(self) -> str:
        """running, paused, cancelling, waiting (for judges to be asked, which `wait` does), done, cancelled, failed."""
        return self.progress().status

    def progress(self) -> Progress:
        """Where all of its jobs stand together."""
        found = self._stages.jobs()
        with self._session.database.transaction() as connection:
            every = [read(connection, job) for job in found.values()]
        return following.together(every, rows=len(self._frame), to_submit=self._stages.missing(found))

    def has_answers(self, key: CellKey) -> bool:
        """Whether any row of a cell has an answer by now."""
        answers = self.findings().standing.answers.get(self.cell(key))
        return answers is not None and answers.answers > 0

    def job(self, prompt: str, model: str, judge: str = "") -> JobHandle:
        """The job of a cell, or of a judge of it.

        Raises:
            InputError: there is no such cell, or it has no job yet.
        """
        cell = self.cell((prompt, model))
        found = self._stages.jobs().get(Place(*cell, judge))
        if found is None:
            raise InputError(f"{cell} has no job yet{f' of the judge {judge!r}' * bool(judge)}: ev.wait() submits it.")
        return JobHandle(self._session, found)

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> Evaluation:
        """Wait until every answer and every verdict is settled; judges are asked as soon as their answers are there.

        An interrupt (Ctrl-C, the stop button) ends the waiting, never the jobs.

        Args:
            timeout: seconds to wait at most.
            progress: whether to show a bar.

        Raises:
            TimeoutError: the time is over; the jobs go on.
            JobPausedError: a budget is used up and nothing is under way.
            ConfigurationError: jobs are open and there is no API key to go on with.
        """
        deadline, seen = None if timeout is None else time.monotonic() + timeout, -1
        self.advance()
        now = self.progress()
        with Bar(self._title, now, shown=progress and now.requests > 0, handle="ev") as bar:
            while now.status in ("running", "cancelling", "waiting"):
                self._ensure_engine()
                left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
                if left <= 0:
                    raise TimeoutError(f"{self._title} goes on: {now}")
                if now.pending:
                    seen = self._session.background.wait_for_change(seen, left)
                self.advance()
                now = self.progress()
                bar.show(now)
            bar.show(now)
        if now.status == "paused":
            raise JobPausedError(f"{self._title} is paused. {now.trouble}")
        return self

    def __await__(self) -> Generator[Any, None, Evaluation]:
        return asyncio.to_thread(self.wait).__await__()

    def advance(self) -> None:
        """Submit what can be submitted by now: cells that a dead process did not come to, and judges whose answers are
        there. `wait` does it all the time.

        Raises:
            InputError: the session has another provider.
        """
        if self._session.provider_id != self._spec.provider:
            raise InputError(
                f"{self._title} is for {self._spec.provider}, this session has {self._session.provider_id}: it goes on "
                "only where that provider is configured (OPENAI_BASE_URL)."
            )
        self._stages.advance()

    def cancel(self) -> Evaluation:
        """Stop its jobs, at the provider too. Answers made until then are kept, and paid for."""
        for job in self._stages.jobs().values():
            if not job.closed:
                JobHandle(self._session, job).cancel()
        return self

    def retry(self) -> Evaluation:
        """Ask failed and cancelled requests of its jobs again; what was answered stays."""
        for job in self._stages.jobs().values():
            if job.n_failed or job.cancelled or job.ended:
                JobHandle(self._session, job).retry()
        return self

    def forget(self) -> None:
        """Remove the evaluation from the database. Its jobs stay, with all answers, until `batchframe clean`."""
        with self._session.database.transaction() as connection:
            evaluations.remove(connection, self.id)

    def table(self) -> pd.DataFrame:
        """A row a cell, with every metric and its interval, failures, tokens and cost; indexed by prompt and model."""
        return frames.table(self.findings())

    def versus(
        self,
        metric: str | None = None,
        *,
        baseline: CellKey | None = None,
        by: float | None = None,
        test: Test = "auto",
    ) -> pd.DataFrame:
        """Every cell beside the baseline: the difference with its interval, the p value, and what that means in words.

        p values are adjusted (Holm) for all comparisons of the table, so name a metric where only one matters.

        Args:
            metric: None for all of them.
            baseline: another than the evaluation's.
            by: the smallest difference that matters, in the metric's own unit (0.03 is 3 points of a share);
                `rows_needed` says how many rows would show it.
            test: "auto": exact McNemar for shares of right answers, else a permutation test; or "permutation", or
                "wilcoxon".
        """
        findings = self.findings()
        chosen = [findings.measure_of(metric)] if metric is not None else list(findings.standing.measures)
        against = None if baseline is None else self.cell(baseline)
        return frames.versus(findings.versus(chosen, baseline=against, by=by, test=test), by=by)

    def diff(self, first: CellKey, second: CellKey, *, sample: int = 1) -> pd.DataFrame:
        """The rows on whose answer two cells disagree: all columns, gold included, and both answers."""
        if not 1 <= sample <= self._spec.samples:
            raise InputError(f"sample={sample!r}: there are {self._spec.samples} a row.")
        standing = self.findings().standing
        return frames.diff(standing, self.cell(first), self.cell(second), sample=sample - 1)

    def confusion(self, cell: CellKey) -> pd.DataFrame:
        """How often each right answer (rows) was answered by each (columns), failed rows in a column of their own."""
        return labels.confusion(self.findings().standing, self.cell(cell))

    def fields(self, cell: CellKey) -> pd.DataFrame:
        """How often each field of a gold of JSON objects is right: `accuracy`, and `n`, indexed by the field's path.

        Raises:
            InputError: the gold holds something else.
        """
        return labels.fields(self.findings().standing, self.cell(cell))

    def agreement(self) -> pd.DataFrame:
        """How far the samples of a row agree, a row a cell: the share of rows whose samples all do, and Fleiss' kappa.

        Raises:
            InputError: there is one sample a row.
        """
        return labels.agreement(self.findings())

    def judges(self) -> pd.DataFrame:
        """How far each judge can be believed: its bias for a place, its consistency, its agreement with the gold."""
        return frames.judges(self.findings())

    def to_frame(self) -> pd.DataFrame:
        """A row an answer, in long form: prompt, model, row, sample, answer, value, status, error, gold, scores."""
        return frames.tidy(self.findings())

    def plot(self, metric: str | None = None) -> Figure:
        """Values with their intervals, and cost against quality.

        Raises:
            ConfigurationError: matplotlib is not installed.
        """
        return plot.plot(self.findings(), metric)

    def browse(self) -> Any:
        """A widget to go through the rows: what was asked, what each cell answered, and what judges said of it."""
        return browser.browse(self.findings())

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """A report as one HTML page that needs nothing else.

        Args:
            path: a file to write it to, too.
        """
        page = report.to_html(self.findings())
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def best(self, rule: best.Rule = "cheapest within interval", *, metric: str | None = None) -> Recipe:
        """The best prompt and model, which `df.llm.batch` takes in the place of a template.

            rest.llm.batch(ev.best(), into="section").wait()

        Args:
            rule: "cheapest within interval": of the cells whose value lies within the interval of the best one, the one
                whose answers cost least; "best": the best value.
            metric: None for the first.

        Raises:
            InputError: nothing to go by yet, or a price that is not known.
        """
        findings = self.findings()
        cell, why = best.choose(findings, findings.measure_of(metric), rule)
        found = next(one for one in self._spec.cells if one.cell == cell)
        route = Route(self._spec.provider, found.endpoint, found.asks)
        function = self._calls[cell].function if cell in self._calls else None
        return Recipe(*cell, why, found.spec, route, found.price, function)

    def assert_not_worse(
        self,
        cell: CellKey | None = None,
        *,
        than: CellKey | None = None,
        by: float,
        metric: str | None = None,
        sure: bool = False,
    ) -> None:
        """For a test: fail when a cell is worse than another by more than is allowed.

        Args:
            cell: None for every cell but the other.
            than: the other; None for the baseline.
            by: the loss that is allowed, in the metric's own unit: 0.02 is 2 points of a share.
            metric: None for the first.
            sure: fail also when so few rows cannot rule such a loss out.

        Raises:
            AssertionError: one is; the message says by how much.
            InputError: a cell without answers yet, or an unknown cell or metric.
        """
        findings = self.findings()
        against = self._spec.baseline if than is None else self.cell(than)
        cells = [self.cell(cell)] if cell is not None else [one for one in self.cells if one != against]
        one = findings.measure_of(metric)
        checks = [checking.not_worse(findings, each, against, one, by, sure=sure) for each in cells]
        if broken := [check.words for check in checks if not check.passed]:
            raise AssertionError("\n".join(broken))

    def findings(self) -> Findings:
        """All figures as of now; the same ones while nothing has changed."""
        found = self._stages.jobs()
        seen = {place: (version(job), job.closed) for place, job in found.items()}
        if self._findings is None or self._findings[0] != seen:
            self._findings = (seen, Findings(self._standing(found)))
        return self._findings[1]

    def _standing(self, found: Mapping[Place, Any]) -> Standing:
        cells = {cell: found[Place(*cell)] for cell in self.cells if Place(*cell) in found}
        verdicts = {}
        for judge in self._measures:
            for cell in cells if is_judge(judge) else ():
                seen = self._stages.verdicts(judge, cell, found) if is_judge(judge) else None
                if seen is not None:
                    verdicts[judge.name, cell] = seen
        return Standing(
            id=self.id,
            name=self.name,
            spec=self._spec,
            frame=self._frame,
            tasks=self._stages.tasks(found),
            answers={cell: self._stages.answers(job) for cell, job in cells.items()},
            verdicts=verdicts,
            measures=self._measures,
            absent=self._absent,
        )

    def cell(self, key: CellKey) -> Cell:
        """The cell a pair of labels stands for, or one label that stands in one cell only.

        Raises:
            InputError: there is none, or several.
        """
        return cell_of(key, self.cells)

    def _ensure_engine(self) -> None:
        if self._session.works:
            self._session.require_key()
            self._session.background.ensure()

    @property
    def _title(self) -> str:
        return f"evaluation {self.id}" + (f" {self.name!r}" if self.name else "")

    def __repr__(self) -> str:
        return display.as_text(self.findings(), str(self.progress()))

    def _repr_html_(self) -> str:
        return display.as_html(self.findings(), str(self.progress()))
