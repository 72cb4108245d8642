"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("attempt_no", sa.SmallInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "row_no", "attempt_no", name=op.f("pk_attempt")),
    )
    op.create_index(op.f("ix_attempt_batch_id"), "attempt", ["batch_id"], unique=False)
    op.create_table(
        "batch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("uid", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("n_requests", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="planned", nullable=False),
        sa.Column("input_file_id", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("output_file_id", sa.Text(), nullable=True),
        sa.Column("error_file_id", sa.Text(), nullable=True),
        sa.Column("provider_status", sa.Text(), nullable=True),
        sa.Column("provider_completed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("provider_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("step_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("intent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("polls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True, comment="what keeps it from going on, in words for the user"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("uid", name=op.f("uq_batch_uid")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_batch_active",
        "batch",
        ["provider"],
        unique=False,
        postgresql_where=sa.text("state NOT IN ('done', 'failed')"),
    )
    op.create_index(op.f("ix_batch_job_id"), "batch", ["job_id"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False, comment="the call's arguments, as JSON"),
        sa.Column("digest", sa.Uuid(), nullable=False, comment="identity of the call and its rows"),
        sa.Column("n_rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_requests", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_row",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="first request not yet planned",
        ),
        sa.Column("n_ok", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_cancelled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_reused", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "step_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when planning should look at it; infinity: when something happens",
        ),
        sa.Column("cancel_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("digest", name=op.f("uq_job_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_job_name")),
    )
    op.create_index(
        "ix_job_open", "job", ["provider", "step_at"], unique=False, postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_table(
        "job_frame",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("part_no", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="Parquet"),
        sa.PrimaryKeyConstraint("job_id", "part_no", name=op.f("pk_job_frame")),
    )
    op.create_table(
        "loan",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("lender_job_id", sa.BigInteger(), nullable=False),
        sa.Column("lender_row_no", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "row_no", name=op.f("pk_loan")),
        comment="requests that wait for the answer to the same request in an earlier job",
    )
    op.create_index(op.f("ix_loan_lender_job_id"), "loan", ["lender_job_id"], unique=False)
    op.create_table(
        "outcome",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("attempt_no", sa.SmallInteger(), nullable=False, comment="0: taken over from another job"),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column(
            "body", sa.Text(), nullable=True, comment="the response body as JSON text without control characters"
        ),
        sa.Column("input_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("output_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "row_no", "attempt_no", name=op.f("pk_outcome")),
    )
    op.create_index(
        "ix_outcome_retry", "outcome", ["job_id", "retry_at"], unique=False, postgresql_where=sa.text("NOT final")
    )
    op.create_index("uq_outcome_final", "outcome", ["job_id", "row_no"], unique=True, postgresql_where=sa.text("final"))
    op.create_table(
        "quota",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False, comment="enqueued input tokens the provider allows"),
        sa.PrimaryKeyConstraint("provider", "model", name=op.f("pk_quota")),
        comment="what providers said of their enqueued-token limits, which they keep per model",
    )
    op.create_table(
        "request",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="JSON text without control characters"),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "row_no", name=op.f("pk_request")),
    )
    op.create_index("ix_request_hash", "request", ["hash"], unique=False)
    # Parquet is compressed already; Postgres need not try.
    op.execute("ALTER TABLE job_frame ALTER COLUMN data SET STORAGE EXTERNAL")
