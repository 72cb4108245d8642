"""Stages: first every cell is asked, then the judges are asked about a cell whose answers are all there.

Each step finds out anew what is missing, so it may be taken by any process, again and again, and never pays twice: the
same questions are the same job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from batchframe.errors import TemplateError
from batchframe.evaluation import answers as reading
from batchframe.evaluation.answers import Answers
from batchframe.evaluation.cell import Cell
from batchframe.evaluation.comparison import call_of, golds_of
from batchframe.evaluation.judges.judge import Judge, Said
from batchframe.evaluation.spec import EvaluationSpec
from batchframe.frame.call import Call
from batchframe.frame.session import Session
from batchframe.frame.submit import submit
from batchframe.model import Job
from batchframe.store import evaluations
from batchframe.store.evaluations import Place


class Stages:
    """Brings an evaluation forward.

    Attributes:
        id: the evaluation's.
    """

    def __init__(
        self,
        session: Session,
        evaluation_id: int,
        spec: EvaluationSpec,
        frame: pd.DataFrame,
        judges: Sequence[Judge],
        calls: Mapping[Cell, Call],
    ) -> None:
        """Args:
        calls: those of cells as the user has made them, as far as they are at hand.
        """
        self.id = evaluation_id
        self._calls = calls
        self._session = session
        self._spec = spec
        self._frame = frame
        self._judges = judges
        self._asked: dict[Place, tuple[int, ...]] = {}
        self._answers: dict[int, tuple[tuple[int, ...], Answers]] = {}
        self._tasks: dict[int, list[str | None]] = {}

    def jobs(self) -> dict[Place, Job]:
        """The jobs there are; of cells and judges that are still part of it."""
        cells, judges = {cell.cell for cell in self._spec.cells}, {"", *(judge.name for judge in self._judges)}
        with self._session.database.transaction() as connection:
            found = evaluations.jobs_of(connection, self.id)
        return {place: job for place, job in found.items() if place[:2] in cells and place.judge in judges}

    def advance(self) -> None:
        """Submit every job that can be and is not yet.

        Raises:
            TemplateError: a prompt is a function, and is not at hand.
            BatchframeError: as `df.llm.batch` raises.
        """
        found = self.jobs()
        for cell in self._spec.cells:
            if Place(*cell.cell) not in found:
                call = self._calls.get(cell.cell) or call_of(self._session.provider_id, cell)
                if cell.spec.function is not None and call.function is None:
                    raise TemplateError(
                        f"The prompt {cell.prompt!r} is made by the function {cell.spec.function}, which only you "
                        "have: run the cell with df.llm.compare(…) again."
                    )
                self._submit(Place(*cell.cell), self._frame, call)
        found = self.jobs()
        for judge in self._judges:
            call = judge.call(self._session.provider_id)
            for cell in self._spec.cells:
                self._ask(judge, call, cell.cell, found)

    def missing(self, found: Mapping[Place, Job]) -> int:
        """How many jobs are still to be submitted, once what they wait for is there."""
        wanted = [Place(*cell.cell) for cell in self._spec.cells]
        wanted += [
            Place(*place[:2], judge.name)
            for judge in self._judges
            for place in wanted
            if self._judged(judge, Cell(*place[:2]))
        ]
        return sum(place not in found for place in wanted)

    def answers(self, job: Job) -> Answers:
        """What a cell's job has answered; read again only when there may be more."""
        known = self._answers.get(job.id)
        if known is None or known[0] != version(job) or not job.closed:
            known = (version(job), reading.read(self._session, job, self._spec.field))
            self._answers[job.id] = known
        return known[1]

    def verdicts(self, judge: Judge, cell: Cell, found: Mapping[Place, Job]) -> pd.DataFrame | None:
        """A judge's questions about a cell with the verdicts so far; None while it has not been asked."""
        job, said = found.get(Place(*cell, judge.name)), self._said(cell, found)
        if job is None or said is None:
            return None
        questions = judge.questions(*said)
        return reading.verdicts(self._session, job, questions)

    def tasks(self, found: Mapping[Place, Job]) -> list[str | None]:
        """Of each row what the baseline was asked; None where it was skipped."""
        job = found.get(Place(*self._spec.baseline))
        if job is None:
            return [None] * len(self._frame)
        if job.id not in self._tasks:
            self._tasks[job.id] = reading.tasks(self._session, job, self.answers(job).row_nos)
        return self._tasks[job.id]

    def _judged(self, judge: Judge, cell: Cell) -> bool:
        return not (judge.pairwise and cell == self._spec.baseline)

    def _ask(self, judge: Judge, call: Call, cell: Cell, found: Mapping[Place, Job]) -> None:
        """Let a judge judge a cell whose answers are all there; again, when some have come since."""
        if not self._judged(judge, cell):
            return
        needed = [found.get(Place(*one)) for one in dict.fromkeys([cell, self._spec.baseline])]
        closed = [job for job in needed if job is not None and job.closed and not job.cancelled]
        if len(closed) < len(needed):
            return
        seen = tuple(number for job in closed for number in version(job))
        place = Place(*cell, judge.name)
        if self._asked.get(place) == seen:
            return
        said = self._said(cell, found)
        assert said is not None
        self._submit(place, judge.questions(*said), call)
        self._asked[place] = seen

    def _said(self, cell: Cell, found: Mapping[Place, Job]) -> tuple[Said, Said] | None:
        """What a cell and the baseline have answered, as a judge sees it."""
        own, base = found.get(Place(*cell)), found.get(Place(*self._spec.baseline))
        if own is None or base is None:
            return None
        tasks, golds = self.tasks(found), golds_of(self._frame, self._spec.gold)
        each = [self.answers(job) for job in (own, base)]
        of_cell, of_base = (Said(self._frame, tasks, golds, one.texts, one.failed) for one in each)
        return of_cell, of_base

    def _submit(self, place: Place, frame: pd.DataFrame, call: Call) -> None:
        job = submit(self._session, frame, call)
        with self._session.database.transaction() as connection:
            evaluations.put_job(connection, self.id, place, job.id)


def version(job: Job) -> tuple[int, ...]:
    """Changes whenever the job's answers do: a request that is asked again moves from one count to another."""
    return job.id, job.n_ok, job.n_failed, job.n_cancelled
