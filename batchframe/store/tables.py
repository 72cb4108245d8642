"""The tables. Wide rows (`request`, `attempt`, `outcome`) are written once by COPY and never updated; only `batch`
and a few columns of `job` are hot.

No foreign keys on the wide tables: they would check every copied row for something the writing transaction has just
made sure of. What a request's state is follows from its attempts and outcomes; `job` only keeps their counts.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_now = func.now()
_zero = text("0")


def _moment(name: str, *, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=_now if now else None)


def _count(name: str) -> Column[object]:
    return Column(name, Integer, nullable=False, server_default=_zero)


job = Table(
    "job",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, unique=True),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("spec", Text, nullable=False, comment="the call's arguments, as JSON"),
    Column("digest", Uuid, nullable=False, unique=True, comment="identity of the call and its rows"),
    _count("n_rows"),
    _count("n_skipped"),
    _count("n_requests"),
    Column(
        "tokens", BigInteger, nullable=False, server_default=_zero, comment="estimated input tokens of all requests"
    ),
    Column("answer_tokens", Integer, comment="most output tokens of one answer; null: no cap"),
    Column(
        "price_input", Numeric, comment="what the user said, US dollars a million at the batch rate; null: the table"
    ),
    Column("price_output", Numeric),
    Column("budget_usd", Numeric),
    Column("next_row", Integer, nullable=False, server_default=_zero, comment="first request not yet planned"),
    _count("n_ok"),
    _count("n_failed"),
    _count("n_cancelled"),
    _count("n_reused"),
    _moment("created_at", now=True),
    Column(
        "step_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=_now,
        comment="when planning should look at it; infinity: when something happens",
    ),
    Column("paused", Text, comment="why nothing more is sent, in words for the user"),
    _moment("deadline_at"),
    Column("at_deadline", Text, comment="realtime or give_up"),
    _moment("late_at"),
    _moment("cancel_at"),
    Column("end_code", Text, comment="why the job was ended as a whole"),
    Column("end_message", Text),
    _moment("closed_at"),
    Index("ix_job_open", "provider", "step_at", postgresql_where=text("closed_at IS NULL")),
)

request = Table(
    "request",
    metadata,
    Column("job_id", BigInteger, primary_key=True),
    Column("row_no", Integer, primary_key=True),
    Column("hash", Uuid, nullable=False),
    Column("body", Text, nullable=False, comment="JSON text without control characters"),
    Column("tokens", Integer, nullable=False),
    Index("ix_request_hash", "hash"),
)

job_frame = Table(
    "job_frame",
    metadata,
    Column("job_id", BigInteger, primary_key=True),
    Column("part_no", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False, comment="Parquet"),
)

loan = Table(
    "loan",
    metadata,
    Column("job_id", BigInteger, primary_key=True),
    Column("row_no", Integer, primary_key=True),
    Column("lender_job_id", BigInteger, nullable=False, index=True),
    Column("lender_row_no", Integer, nullable=False),
    comment="requests that wait for the answer to the same request in an earlier job",
)

batch = Table(
    "batch",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("uid", Uuid, nullable=False, unique=True, server_default=func.gen_random_uuid()),
    Column("job_id", BigInteger, nullable=False, index=True),
    Column("provider", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column(
        "mode", Text, nullable=False, server_default="batch", comment="batch, or realtime for calls after a deadline"
    ),
    Column("root_id", BigInteger, comment="the batch this one is a part of, split to find what fails it"),
    Column("n_requests", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("reserved_usd", Numeric, comment="what it is expected to cost, from the intent on"),
    Column("state", Text, nullable=False, server_default="planned"),
    Column("input_file_id", Text),
    Column("provider_id", Text),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    Column("provider_status", Text),
    _count("provider_completed"),
    _count("provider_failed"),
    _count("n_paid"),
    Column("input_tokens", BigInteger, nullable=False, server_default=_zero),
    Column("cached_tokens", BigInteger, nullable=False, server_default=_zero),
    Column("output_tokens", BigInteger, nullable=False, server_default=_zero),
    Column("cost_usd", Numeric, comment="of the answers in it; null: the price is not known"),
    Column("owner", Uuid),
    Column("token", BigInteger, nullable=False, server_default=_zero),
    _moment("lease_until"),
    _moment("step_at", now=True),
    _moment("intent_at"),
    _moment("created_at", now=True),
    _moment("ended_at"),
    _count("polls"),
    Column("error", Text, comment="what keeps it from going on, in words for the user"),
    Index("ix_batch_active", "provider", postgresql_where=text("state NOT IN ('done', 'failed')")),
    Index("ix_batch_root", "root_id", postgresql_where=text("root_id IS NOT NULL")),
    # Room on the page for the many updates of a row, so that they stay heap-only.
    postgresql_with={"fillfactor": "50"},
)

attempt = Table(
    "attempt",
    metadata,
    Column("job_id", BigInteger, primary_key=True),
    Column("row_no", Integer, primary_key=True),
    Column("attempt_no", SmallInteger, primary_key=True),
    Column("batch_id", BigInteger, nullable=False, index=True),
)

outcome = Table(
    "outcome",
    metadata,
    Column("job_id", BigInteger, primary_key=True),
    Column("row_no", Integer, primary_key=True),
    Column("attempt_no", SmallInteger, primary_key=True, comment="0: taken over from another job"),
    Column("final", Boolean, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("status", SmallInteger),
    Column("code", Text),
    Column("message", Text),
    Column("body", Text, comment="the response body as JSON text without control characters"),
    _count("input_tokens"),
    _count("cached_tokens"),
    _count("output_tokens"),
    _moment("retry_at"),
    Index("uq_outcome_final", "job_id", "row_no", unique=True, postgresql_where=text("final")),
    Index("ix_outcome_retry", "job_id", "retry_at", postgresql_where=text("NOT final")),
)

quota = Table(
    "quota",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("tokens", BigInteger, comment="enqueued input tokens the provider allows; null: it has not said"),
    _moment("learnt_at", now=True),
    Column("budget_usd", Numeric, comment="what all jobs may spend on the model together"),
    _moment("budget_since"),
    comment="limits of a provider's model: what the provider said of its queue, what the user will spend",
)
