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
    _moment("cancel_at"),
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
    Column("n_requests", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="planned"),
    Column("input_file_id", Text),
    Column("provider_id", Text),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    Column("provider_status", Text),
    _count("provider_completed"),
    _count("provider_failed"),
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
    Column("tokens", BigInteger, nullable=False, comment="enqueued input tokens the provider allows"),
    comment="what providers said of their enqueued-token limits, which they keep per model",
)
