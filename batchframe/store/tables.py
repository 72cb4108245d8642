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
    Column("api_key_id", BigInteger, comment="whose requests came over HTTP; null: a frame's"),
    Column("stream", Uuid, comment="what requests may join it until it is sealed: those of one key, route and terms"),
    Column("n_bytes", BigInteger, nullable=False, server_default=_zero, comment="of bodies, of a stream"),
    _moment("seal_at"),
    Index("ix_job_open", "provider", "step_at", postgresql_where=text("closed_at IS NULL")),
    Index("ix_job_stream", "stream", "seal_at", postgresql_where=text("stream IS NOT NULL")),
    Index("ix_job_api_key", "api_key_id", "id", postgresql_where=text("api_key_id IS NOT NULL")),
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

api_key = Table(
    "api_key",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("sha256", LargeBinary, nullable=False, unique=True, comment="of the key; the key itself is not kept"),
    Column("shown", Text, nullable=False, comment="its first characters, for people to tell keys apart"),
    Column("budget_usd", Numeric, comment="what its requests may cost together; null: no limit"),
    Column("rate_limit", Integer, comment="requests a minute; null: no limit"),
    Column("queue_limit", Integer, comment="unanswered requests at once; null: no limit"),
    _moment("created_at", now=True),
    _moment("last_used_at"),
    _moment("revoked_at"),
    comment="keys of the proxy",
)

proxied = Table(
    "proxied",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("api_key_id", BigInteger, nullable=False),
    Column("body_hash", Uuid, nullable=False, comment="of endpoint, body and terms, by which a call is known again"),
    Column("idempotency_key", Text),
    Column("background", Boolean, nullable=False, comment="whether the caller comes back for the answer by its id"),
    Column("waiter", Uuid, comment="the instance that holds a connection for it; null: nobody waits"),
    _moment("received_at", now=True),
    _moment("attached_at", now=True),
    _moment("delivered_at"),
    _moment("cancelled_at"),
    Index("ix_proxied_job", "job_id", "row_no"),
    Index("ix_proxied_body_hash", "api_key_id", "body_hash"),
    Index(
        "uq_proxied_idempotency",
        "api_key_id",
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    comment="requests that came over HTTP one by one, and who waits for their answers",
)

instance = Table(
    "instance",
    metadata,
    Column("id", Uuid, primary_key=True),
    _moment("seen_at", now=True),
    comment="proxies that run; one that is silent for long waits for nothing any more",
)

client_file = Table(
    "client_file",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("api_key_id", BigInteger, nullable=False, index=True),
    Column("purpose", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    _moment("created_at", now=True),
    _moment("expires_at"),
    comment="files uploaded to the proxy",
)

client_file_part = Table(
    "client_file_part",
    metadata,
    Column("file_id", Uuid, primary_key=True),
    Column("part_no", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

client_batch = Table(
    "client_batch",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("api_key_id", BigInteger, nullable=False, index=True),
    Column("job_id", BigInteger, unique=True, comment="null until its file is validated"),
    Column("input_file_id", Uuid, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("metadata", Text, comment="JSON"),
    Column("problems", Text, comment="JSON: why its file is not valid"),
    Column("total", Integer, nullable=False, server_default=_zero),
    Column("output_bytes", BigInteger, comment="of its output file; null until it has ended"),
    Column("error_bytes", BigInteger),
    Column("output_gone", Boolean, nullable=False, server_default=text("false"), comment="deleted by the client"),
    Column("error_gone", Boolean, nullable=False, server_default=text("false")),
    _moment("created_at", now=True),
    _moment("in_progress_at"),
    _moment("failed_at"),
    _moment("cancelling_at"),
    _moment("ended_at"),
    Index("ix_client_batch_unread", "created_at", postgresql_where=text("job_id IS NULL AND failed_at IS NULL")),
    comment="batches that clients of the proxy have made; each is one job",
)

client_line = Table(
    "client_line",
    metadata,
    Column("job_id", BigInteger, primary_key=True),
    Column("row_no", Integer, primary_key=True),
    Column("custom_id", Text, nullable=False),
    comment="custom ids of the lines of a client's batch, as the JSON strings they are",
)

evaluation = Table(
    "evaluation",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, unique=True),
    Column("digest", Uuid, nullable=False, unique=True, comment="identity of what it compares, its rows included"),
    Column("spec", Text, nullable=False, comment="prompts, models, gold and metrics, as JSON"),
    _count("n_rows"),
    _moment("created_at", now=True),
)

evaluation_frame = Table(
    "evaluation_frame",
    metadata,
    Column("evaluation_id", BigInteger, primary_key=True),
    Column("part_no", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False, comment="Parquet"),
)

evaluation_job = Table(
    "evaluation_job",
    metadata,
    Column("evaluation_id", BigInteger, primary_key=True),
    Column("prompt", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("judge", Text, primary_key=True, comment="the judge of the cell's answers; empty: the cell itself"),
    Column("job_id", BigInteger, nullable=False, index=True),
    comment="the jobs of an evaluation, each of which may be another evaluation's, too",
)
