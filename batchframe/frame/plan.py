"""The plan: what a call would send and cost, before it does. It sends nothing and stores nothing.

What is to be sent is found as `jobs.Draft` and `planning` will find it, by the same terms, in one transaction that may
only read. Between the plan and the job other jobs may come and go; then the job goes by what is there.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, Literal

import numpy as np
import pandas as pd
from sqlalchemy import Connection, text

from batchframe.core import tokens
from batchframe.core.budget import LARGEST_PART, Seen, dollars, forecast
from batchframe.core.packing import Limits, count_batches, line_overhead
from batchframe.core.pricing import rates
from batchframe.core.prompts import readable
from batchframe.errors import InputError
from batchframe.frame import plan_display, tokenizer
from batchframe.frame.call import Call
from batchframe.frame.cautions import cautions
from batchframe.frame.outlook import Outlook, PriceIs, outlook
from batchframe.frame.requests import Asked, as_frame, ask
from batchframe.frame.session import Session
from batchframe.frame.submit import check_free, submit
from batchframe.model import Job, Sized
from batchframe.store import jobs, quotas, spending
from batchframe.store.known import Known, known

RandomState = int | np.random.Generator | np.random.RandomState


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Plan:
    """What a call would send and cost; `df.llm.batch(plan)` does it.

    A request is counted once however many rows ask it, and once for each of `samples=`.

    Attributes:
        rows: rows of the frame.
        skipped: of each column, for how many rows it is why they are not asked: it has no value there.
        distinct: different requests.
        answered: those whose answer this database has, paid for before; they cost nothing.
        under_way: those another open job is asking now, whose answers are waited for; they cost nothing either.
        to_send: those that are sent and paid for.
        job_id: the job that this very call is already, so that nothing is sent anew; None when it is none yet.
        input_tokens: of the requests to send.
        tokens_are: "exact", or "estimate".
        tokens_note: how they were counted, and how far off that may be.
        output_tokens: of the answers to come, by `price_is`; None when nothing is known of their length.
        n_batches: files for the provider; with a budget, as far as it can be told now. 0 for a sample.
        price_batch_usd, price_realtime_usd: US dollars for what is sent, in batches and in real time; None when the
            model's price is not known.
        price_is: "at most" (each answer as long as the call's cap allows), "about" (as long as those seen so far), or
            "from" (the input alone).
        price_note: what the price rests on, in words.
        examples: up to three prompts as they will be sent: the first, one of middle length, and the longest, last.
        warnings: what looks as if it were not meant.
        sampled: whether it is a sample, which `run()` asks in real time.
    """

    rows: int
    skipped: dict[str, int]
    distinct: int
    answered: int
    under_way: int
    to_send: int
    job_id: int | None
    input_tokens: int
    tokens_are: Literal["exact", "estimate"]
    tokens_note: str
    output_tokens: int | None
    n_batches: int
    price_batch_usd: Decimal | None
    price_realtime_usd: Decimal | None
    price_is: PriceIs
    price_note: str
    examples: list[str]
    warnings: list[str]
    sampled: bool
    _session: Session
    _frame: pd.DataFrame | pd.Series[Any]
    _call: Call
    _hashes: list[bytes | None]
    _known: Known

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._call.route.model

    def sample(self, n: int, random_state: RandomState | None = None) -> Plan:
        """A plan over `n` rows, whose `run()` asks them in real time; what they answer, the big run need not ask.

        No two rows ask the same, and none waits for another job. With `reuse=False` the big run does ask anew.

        Args:
            n: rows; with fewer in the frame, all.
            random_state: a seed draws the same rows every time, whatever has been answered since, so that the same
                cell again pays nothing. None draws anew, of the rows still to be sent as long as there are any.

        Raises:
            InputError: `n` is no number of rows.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InputError(f"n={n!r}: pass a number of rows, 1 or more.")
        rows = self._rows_to_draw_from(fresh=random_state is None)
        drawn = pd.Series(rows, dtype="int64").sample(frac=1, random_state=random_state)
        free = [row for row in drawn if self._hashes[row] not in self._known.in_batches]
        return draw_up(self._session, self._frame.iloc[sorted(free[:n])], self._call, sampled=True)

    def run(self, *, progress: bool = True) -> pd.DataFrame:
        """Ask the rows of a sample in real time and wait for the answers. The same sample again is not paid again.

        Args:
            progress: whether to show a bar.

        Returns:
            The sampled rows with the result columns.

        Raises:
            InputError: the plan is not a sample.
            ConfigurationError, ProviderError, DatabaseError, JobPausedError, JobEndedError: as `df.llm.batch` and
                `job.wait` raise them.
        """
        if not self.sampled:
            raise InputError(
                "Only a sample is run from its plan: plan.sample(20).run(). The whole is df.llm.batch(plan)."
            )
        now = dataclasses.replace(self._call.terms, deadline=0.0, at_deadline="realtime")
        call = dataclasses.replace(self._call, name=None, terms=now)
        return submit(self._session, self._frame, call).wait(progress=progress)

    def _rows_to_draw_from(self, *, fresh: bool) -> list[int]:
        """The first row of each request, in order; if `fresh`, only those to be sent, or all when none is."""
        first: dict[bytes, int] = {}
        for row, hash_ in enumerate(self._hashes):
            if hash_ is not None:
                first.setdefault(hash_, row)
        unknown = [row for hash_, row in first.items() if not _is_known(self._known, hash_)]
        return unknown if fresh and unknown else list(first.values())

    def __repr__(self) -> str:
        return plan_display.as_text(self)

    def _repr_html_(self) -> str:
        return plan_display.as_html(self)


def call_of(session: Session, plan: Plan) -> Call:
    """The call of a plan, to be made.

    Raises:
        InputError: the plan is a sample, or of another provider.
    """
    if plan.sampled:
        raise InputError("This plan is a sample: plan.run() asks it. df.llm.batch takes the plan it was drawn from.")
    if plan._call.route.provider != session.provider_id:
        raise InputError(
            f"The plan is for {plan._call.route.provider}, this session has {session.provider_id}. Make the plan anew."
        )
    return plan._call


def draw_up(session: Session, frame: pd.DataFrame | pd.Series[Any], call: Call, *, sampled: bool = False) -> Plan:
    """The plan of a call.

    Raises:
        InputError: the frame does not fit the call (its subclasses say how).
        DatabaseError: Postgres cannot be reached.
    """
    asked = ask(frame, call.spec, call.route, session.settings.batch_max_bytes, call.function)
    name = None if sampled else call.name
    with session.database.transaction() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        job = jobs.find(connection, asked.digest(call.spec, call.route, name))
        found = known(connection, call.route, asked.bodies) if call.spec.reuse else Known()
        sent = [] if job else [n for n, hash_ in enumerate(asked.bodies) if not _is_known(found, hash_)]
        bodies = list(asked.bodies.values())
        n_batches = 0 if sampled else _n_batches(connection, session, call, bodies, sent)
        own = _seen(asked, found)
        seen = own if own.answers else spending.seen_of(connection, call.route)
    table = as_frame(frame)
    if job is None and not sampled:
        check_free(session, call, table.columns, len(table))
    to_send = [bodies[n] for n in sent]
    count = _count(call, to_send, seen, same_prompt=bool(own.answers))
    expects = outlook(call, len(sent), count.tokens, seen, same_prompt=bool(own.answers))
    shown = to_send or bodies
    return Plan(
        rows=len(table),
        skipped=dict(Counter(column for column in asked.skipped if column is not None)),
        distinct=len(bodies),
        answered=job.n_ok if job else len(found.answered),
        under_way=job.n_requests - job.n_settled if job else len(found.in_batches) + len(found.in_real_time),
        to_send=len(sent),
        job_id=job.id if job else None,
        input_tokens=count.tokens,
        tokens_are="exact" if count.exact else "estimate",
        tokens_note=count.note,
        output_tokens=expects.output_tokens,
        n_batches=n_batches,
        price_batch_usd=expects.batch_usd,
        price_realtime_usd=expects.realtime_usd,
        price_is=expects.price_is,
        price_note=expects.note,
        examples=[readable(shown[at]) for at in _telling(shown)],
        warnings=[
            *_of_the_call(job, call, asked, table, expects, sampled=sampled),
            *cautions(table, asked.columns, _rows_of(asked, sent), to_send),
        ],
        sampled=sampled,
        _session=session,
        _frame=frame.copy(deep=False),  # with copy-on-write it keeps the values as they are now
        _call=call,
        _hashes=asked.hashes[0],
        _known=found,
    )


def _is_known(found: Known, hash_: bytes) -> bool:
    return hash_ in found.answered or hash_ in found.in_batches or hash_ in found.in_real_time


def _seen(asked: Asked, found: Known) -> Seen:
    """What the answers there are to requests of the call show, those whose tokens were counted."""
    billed = [
        (tokens.estimate(len(asked.bodies[hash_])), usage) for hash_, usage in found.answered.items() if usage.input
    ]
    return Seen(
        len(billed),
        sum(estimated for estimated, _ in billed),
        sum(usage.input for _, usage in billed),
        sum(usage.output for _, usage in billed),
    )


def _count(call: Call, bodies: list[bytes], seen: Seen, *, same_prompt: bool) -> tokens.Count:
    encoding = tokenizer.offline(call.route.model) if bodies else None
    if encoding is None:
        return tokens.guess(bodies, seen, same_prompt=same_prompt)

    def lengths(texts: list[str]) -> list[int]:
        return [len(found) for found in encoding.encode_ordinary_batch(texts)]

    return tokens.count(bodies, call.route.endpoint, encoding.name, lengths, Random(0))  # noqa: S311 - draws a sample


def _n_batches(connection: Connection, session: Session, call: Call, bodies: list[bytes], sent: list[int]) -> int:
    """As many as `planning.plan` makes of first attempts."""
    settings, terms = session.settings, call.terms
    limits = Limits(
        settings.batch_max_requests, settings.batch_max_bytes, tokens=quotas.allowed_tokens(connection, call.route)
    )
    estimated = [tokens.estimate(len(body)) for body in bodies]
    if terms.budget_usd is not None and bodies:
        price = rates(call.route.model, terms.price, prompt_tokens=sum(estimated) // len(bodies))
        if price is not None:
            expects = forecast(price, terms.answer_tokens, Seen())
            limits = dataclasses.replace(limits, usd=(terms.budget_usd / LARGEST_PART, expects))
    sized = [Sized(n, 1, len(bodies[n]), estimated[n]) for n in sent]
    return count_batches(sized, len(bodies), limits, line_overhead(jobs.next_id(connection), call.route.endpoint))


def _telling(bodies: list[bytes]) -> list[int]:
    """The first, one of middle length and the longest, each once."""
    if not bodies:
        return []
    by_length = sorted(range(len(bodies)), key=lambda at: len(bodies[at]))
    longest = by_length[-1]
    return [*dict.fromkeys(at for at in (0, by_length[len(bodies) // 2]) if at != longest), longest]


def _rows_of(asked: Asked, sent: list[int]) -> list[int]:
    """A row that asks each of the requests to be sent."""
    row_of = {hash_: row for hashes in asked.hashes for row, hash_ in enumerate(hashes) if hash_ is not None}
    every = list(asked.bodies)
    return [row_of[every[n]] for n in sent]


def _of_the_call(
    job: Job | None, call: Call, asked: Asked, table: pd.DataFrame, expects: Outlook, *, sampled: bool
) -> list[str]:
    said = []
    if job is not None:
        how = "run() gives its answers" if sampled else f"df.llm.batch(plan) gives its handle, as bf.job({job.id}) does"
        said.append(f"This call is job {job.id} already: {how}, and nothing is sent anew.")
    if not asked.bodies:
        said.append("Every row is skipped." if len(table) else "The frame has no rows.")
    budget = call.terms.budget_usd
    price = expects.realtime_usd if sampled else expects.batch_usd
    if budget is not None and price is not None and price > budget:
        said.append(
            f"Over the budget: {expects.price_is} {dollars(price)}, and budget_usd={budget}. The job would pause there."
        )
    return said
