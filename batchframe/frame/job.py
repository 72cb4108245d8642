"""The handle of a job: everything about it is in the database, so a handle can be lost and had again."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Generic, Literal, overload

import msgspec
import numpy as np
import pandas as pd

from batchframe.core.pricing import rates
from batchframe.core.spec import JobSpec
from batchframe.errors import InputError, JobEndedError, JobPausedError, ParameterError
from batchframe.frame import columns, live, parquet, views
from batchframe.frame.dataset import Dataset, in_pandas
from batchframe.frame.functions import RowFunction
from batchframe.frame.other_frames import OtherSource, opened
from batchframe.frame.progress import Bar, Progress, read
from batchframe.frame.proxied import ProxiedSource
from batchframe.frame.requests import as_frame, ask
from batchframe.frame.results import Results
from batchframe.frame.session import Session
from batchframe.frame.sources import DatasetSource, Filled, FrameSource, KeptSource, Source
from batchframe.frame.summary import Reader
from batchframe.frame.terms import Money, check_budget
from batchframe.frame.usage import JobUsage, read_batches
from batchframe.model import Job, Kind
from batchframe.store import jobs, outcomes

_LOOK_SECONDS = 1.0
"""How often a waiting handle looks for what other processes did; its own engine rings."""


class JobHandle(Generic[Filled]):
    """A job, wherever it runs. `wait` for it, `fill` a frame from it, or come back with `bf.job(id or name)`.

    What waiting gives is a frame of the kind the job was made of; of a data set it gives nothing, `to_parquet` does.
    """

    def __init__(
        self,
        session: Session,
        job: Job,
        source: Source[Filled] | None = None,
        function: RowFunction | None = None,
    ) -> None:
        """Args:
        source: the rows of the caller; without them the handle works on those the job keeps.
        function: the function that made the prompts, if one did and it is at hand.
        """
        self._function = function
        self._session = session
        self._job = job
        self._spec = JobSpec.from_json(job.spec)
        self._source = source
        self._reader = Reader(session.database, job)

    @property
    def id(self) -> int:
        """The job's number in this database."""
        return self._job.id

    @property
    def name(self) -> str | None:
        """The name it was given."""
        return self._job.name

    @property
    def status(self) -> str:
        """running, paused, cancelling, done, cancelled or failed."""
        return self.progress().status

    def progress(self) -> Progress:
        """Where it stands now."""
        with self._session.database.transaction() as connection:
            self._job = jobs.find(connection, self._job.id) or self._job
            return read(connection, self._job)

    def watch(self) -> None:
        """Show it live. In a notebook this returns at once; in a terminal it shows a bar until the job has ended.

        An interrupt ends the watching, never the job.
        """
        if live.kernel_shell() is not None:
            from IPython.display import display

            display(self)  # type: ignore[no-untyped-call]
            return
        now = self.progress()
        self._warn_if_not_ours(now)
        with suppress(KeyboardInterrupt):
            self._follow(now, None, shown=True)

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> Filled:
        """Wait until every request is settled, then return the frame with the result columns; of a data set, None.

        An interrupt (Ctrl-C, the stop button) ends the waiting, never the job.

        Args:
            timeout: seconds to wait at most.
            progress: whether to show a bar.

        Raises:
            TimeoutError: the time is over; the job goes on.
            JobPausedError: a budget is used up and nothing is under way.
            JobEndedError: a reason such as a model that does not exist has ended the job as a whole.
            ConfigurationError: the job is open and there is no API key to go on with.
        """
        now = self.progress()
        self._warn_if_not_ours(now)
        now = self._follow(now, timeout, shown=progress)
        self._raise_if_stuck(now)
        return self._filled()

    def _follow(self, now: Progress, timeout: float | None, *, shown: bool) -> Progress:
        """Wait with a bar until the job has ended or is paused."""
        deadline, seen = None if timeout is None else time.monotonic() + timeout, -1
        with Bar(self._title(), now, shown=shown and self._job.n_requests > 0) as bar:
            while _goes_on(now):
                self._ensure_engine()
                left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
                if left <= 0:
                    raise TimeoutError(f"{self._title()} goes on: {now}")
                seen = self._session.background.wait_for_change(seen, left)
                now = self.progress()
                bar.show(now)
            bar.show(now)
        return now

    def __await__(self) -> Generator[Any, None, Filled]:
        return self._wait_async().__await__()

    async def _wait_async(self) -> Filled:
        seen, now = -1, await asyncio.to_thread(self.progress)
        self._warn_if_not_ours(now)
        with Bar(self._title(), now, shown=self._job.n_requests > 0) as bar:
            while _goes_on(now):
                self._ensure_engine()
                seen = await asyncio.to_thread(self._session.background.wait_for_change, seen, _LOOK_SECONDS)
                now = await asyncio.to_thread(self.progress)
                bar.show(now)
            bar.show(now)
        self._raise_if_stuck(now)
        return await asyncio.to_thread(self._filled)

    @overload
    def fill(
        self,
        frame: pd.DataFrame | pd.Series[Any],
        *,
        overwrite: bool = False,
        prefix: str = "",
        template: RowFunction | None = None,
    ) -> pd.DataFrame: ...

    @overload
    def fill(
        self, frame: Any, *, overwrite: bool = False, prefix: str = "", template: RowFunction | None = None
    ) -> Any: ...

    def fill(
        self, frame: Any, *, overwrite: bool = False, prefix: str = "", template: RowFunction | None = None
    ) -> Any:
        """A copy of a frame with the result columns as far as they are there; call it as often as you like.

        Rows are joined by what they ask, so a frame that was sorted, filtered, extended or read again is right. Rows
        that are not in the job get NA, and a warning counts them.

        Args:
            frame: of pandas, or any that `bf.batch` takes, which comes back as the same kind of frame.
            overwrite: write over a column of the same name that is not from an earlier fill.
            prefix: put before the name of every result column, as to compare jobs in one frame.
            template: the function that made the prompts, when the job's template was one: only the handle of the call
                itself still has it.

        Raises:
            TemplateError: the frame lacks a column the template names, or the template was a function and is not here.
            ColumnExistsError: a result column is there already and not from an earlier fill.
        """
        if not isinstance(prefix, str) or not (prefix + "_").isprintable():
            raise InputError(f"prefix={prefix!r}: pass a text of printable characters.")
        results = self._results(prefix)
        other = None if isinstance(frame, pd.DataFrame | pd.Series) else opened(frame)
        arrow = None if other is None else other.to_arrow()
        mine: pd.DataFrame | pd.Series[Any] = frame if arrow is None else in_pandas(arrow, 0)
        table = as_frame(mine)
        if not overwrite:
            columns.check_free(table.columns, results.spec, self._job.route.endpoint)
        limit = self._session.settings.batch_max_bytes
        asked = ask(mine, self._spec, self._job.route, limit, template or self._function, unreadable_ok=True)
        numbers = results.numbers(asked)
        absent = (numbers[:, 0] < 0) & np.array([column is None for column in asked.skipped], dtype=bool)
        if n_absent := int(absent.sum()):
            warnings.warn(
                f"{n_absent:,} of {len(table):,} rows ask something {self._title()} did not; they stay NA.",
                stacklevel=2,
            )
        if other is None or arrow is None:
            return FrameSource(table, numbers, asked.skipped).filled(results)
        return OtherSource(other, arrow, numbers, asked.skipped).filled(results)

    def frame(self) -> pd.DataFrame:
        """The columns the template used, as they were, with the result columns: no need for your own frame.

        Of a job of the proxy: `id`, `prompt`, `request` and the result columns, a row a request.
        """
        return self._kept().filled(self._results())

    def to_parquet(
        self, path: str | os.PathLike[str], rows: Dataset | None = None, *, template: RowFunction | None = None
    ) -> int:
        """Write the rows with the result columns, as far as they are there, to a Parquet file, a chunk at a time.

        They are those the job was made of, with all their columns; in a handle that came from `bf.job`, the columns
        the template used. An earlier file of that name is replaced once the new one is complete.

        Args:
            rows: a data set to write instead, joined by what its rows ask, as in `fill`.
            template: as in `fill`, for `rows`.

        Returns:
            The number of rows written.

        Raises:
            InputError: there is no such folder, or the rows cannot be written as Parquet.
            TemplateError: the data set lacks a column the template names.
        """
        source: Source[Any] = self._source or self._kept()
        if rows is not None:
            limit = self._session.settings.batch_max_bytes
            source = DatasetSource(rows, self._spec, self._job.route, limit, template or self._function)
        results = self._results()
        return parquet.write(path, source.chunks(results), results)

    def errors(self) -> pd.DataFrame:
        """Why requests failed.

        Returns:
            One row a reason, the most frequent first: `code`, `count`, `retryable` (it may pass when asked again),
            `example` (the reason in words) and `request` (the body of that example, as JSON).
        """
        with self._session.database.transaction() as connection:
            groups = outcomes.error_groups(connection, self._job.id)
        return pd.DataFrame(
            {
                "code": pd.array([group.code for group in groups], dtype="string"),
                "count": pd.array([group.count for group in groups], dtype="Int64"),
                "retryable": pd.array([group.retryable for group in groups], dtype="boolean"),
                "example": pd.array([group.example for group in groups], dtype="string"),
                "request": pd.array([group.body for group in groups], dtype="string"),
            }
        )

    def retry(self, only: Literal["retryable"] | None = None) -> JobHandle[Filled]:
        """Ask failed and cancelled requests again; what was answered stays.

        Args:
            only: "retryable" leaves out those that would fail in the same way.
        """
        if only not in (None, "retryable"):
            raise InputError(f"only={only!r}: pass 'retryable', or nothing.")
        with self._session.database.transaction() as connection:
            codes = None
            if only:
                codes = [group.code for group in outcomes.error_groups(connection, self._job.id) if group.retryable]
            again = jobs.retry(connection, self._job, reuse=self._spec.reuse, codes=codes)
        if again:
            self._ensure_engine(wake=True)
        return self

    def cancel(self) -> JobHandle[Filled]:
        """Stop the job, at the provider too. Answers made until then are kept, and paid for.

        The provider may take minutes to stop a batch; `job.usage()` then says what was saved.
        """
        with self._session.database.transaction() as connection:
            jobs.cancel(connection, self._job.id)
        if self.progress().pending:
            self._ensure_engine(wake=True)
        return self

    def resume(self, budget_usd: Money | Literal["none"] | None = None) -> JobHandle[Filled]:
        """Go on with a job whose budget is used up.

        Args:
            budget_usd: the new budget, what is spent already included; "none" lifts it; None keeps the one it has.

        Raises:
            InputError: not an amount above zero.
            ParameterError: what the model costs is not known, so no budget can be kept.
        """
        if budget_usd is None:
            budget = self._job.budget_usd
        else:
            budget = None if budget_usd == "none" else check_budget(budget_usd)
        if budget is not None and rates(self._job.route.model, self._job.price) is None:
            raise ParameterError(f"What {self._job.route.model!r} costs is not known, so no budget can be kept.")
        with self._session.database.transaction() as connection:
            jobs.resume(connection, self._job.id, budget)
        if self.progress().pending:
            self._ensure_engine(wake=True)
        return self

    def usage(self) -> JobUsage:
        """What it has used so far, what that costs, and what the rest is expected to cost."""
        return self.progress().usage

    def batches(self) -> pd.DataFrame:
        """Its batches at the provider, with tokens and cost.

        Returns:
            One row a batch, the oldest first, indexed by `id`: mode, state, provider_id, requests, answered,
            input_tokens, cached_tokens, output_tokens, cost_usd, expected_usd, created, ended, trouble.
        """
        with self._session.database.transaction() as connection:
            return read_batches(connection, self._job)

    def _filled(self) -> Filled:
        # Without rows of the caller's it is a handle on what the job keeps, which is a pandas frame.
        source: Source[Any] = self._source or self._kept()
        filled: Filled = source.filled(self._results())
        return filled

    def _kept(self) -> KeptSource | ProxiedSource:
        if self._job.kind is Kind.FRAME:
            return KeptSource(self._session.database, self._job.id)
        self.progress()  # one that is still being joined may have grown
        return ProxiedSource(self._session.database, self._job)

    def _results(self, prefix: str = "") -> Results:
        spec = msgspec.structs.replace(self._spec, into=prefix + self._spec.into) if prefix else self._spec
        return Results(self._session.database, self._job, spec)

    def _ensure_engine(self, *, wake: bool = False) -> None:
        """Make sure somebody works on the job; one of another provider is left to whoever has that provider."""
        if not self._session.works or not self._is_ours():
            return
        self._session.require_key()
        if wake:
            self._session.background.start()
        else:
            self._session.background.ensure()

    def _is_ours(self) -> bool:
        return self._job.route.provider == self._session.provider_id

    def _warn_if_not_ours(self, now: Progress) -> None:
        if now.pending and not self._is_ours():
            warnings.warn(
                f"{self._title()} is for {self._job.route.provider}, this session has {self._session.provider_id}: "
                "it goes on only where that provider is configured (OPENAI_BASE_URL).",
                stacklevel=3,
            )

    def _raise_if_stuck(self, now: Progress) -> None:
        if now.status == "paused":
            raise JobPausedError(f"{self._title()} is paused. {now.trouble}")
        if now.status == "failed":
            kept = f" {now.ok:,} requests had an answer before: job.frame() has them." if now.ok else ""
            raise JobEndedError(f"{self._title()} was ended. {now.trouble}{kept}")

    def _title(self) -> str:
        return f"job {self.id}" + (f" {self.name!r}" if self.name else "")

    def __repr__(self) -> str:
        return views.as_text(self._reader.read())

    def _repr_html_(self) -> str:
        return views.as_html(self._reader.read())

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        summary = self._reader.read()
        return {"text/plain": views.as_text(summary), "text/html": views.as_html(summary)}

    def _ipython_display_(self) -> None:
        """IPython's hook for what displays itself; refused, it shows the static view."""
        summary = None if live.kernel_shell() is None else self._reader.read()
        if summary is None or summary.closed:
            raise NotImplementedError
        live.show(summary, self._reader.read, self.cancel, self._session.views)


def _goes_on(now: Progress) -> bool:
    return now.pending > 0 and now.status != "paused"
