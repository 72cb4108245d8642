"""Requests, files and batches that come over HTTP, and the keys they come with."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="of the key; the key itself is not kept"),
        sa.Column("shown", sa.Text(), nullable=False, comment="its first characters, for people to tell keys apart"),
        sa.Column(
            "budget_usd", sa.Numeric(), nullable=True, comment="what its requests may cost together; null: no limit"
        ),
        sa.Column("rate_limit", sa.Integer(), nullable=True, comment="requests a minute; null: no limit"),
        sa.Column("queue_limit", sa.Integer(), nullable=True, comment="unanswered requests at once; null: no limit"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("name", name=op.f("uq_api_key_name")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_key_sha256")),
        comment="keys of the proxy",
    )
    op.create_table(
        "client_batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True, comment="null until its file is validated"),
        sa.Column("input_file_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True, comment="JSON"),
        sa.Column("problems", sa.Text(), nullable=True, comment="JSON: why its file is not valid"),
        sa.Column("total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "output_bytes", sa.BigInteger(), nullable=True, comment="of its output file; null until it has ended"
        ),
        sa.Column("error_bytes", sa.BigInteger(), nullable=True),
        sa.Column(
            "output_gone",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="deleted by the client",
        ),
        sa.Column("error_gone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("in_progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelling_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_batch")),
        sa.UniqueConstraint("job_id", name=op.f("uq_client_batch_job_id")),
        comment="batches that clients of the proxy have made; each is one job",
    )
    op.create_index(op.f("ix_client_batch_api_key_id"), "client_batch", ["api_key_id"], unique=False)
    op.create_index(
        "ix_client_batch_unread",
        "client_batch",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("job_id IS NULL AND failed_at IS NULL"),
    )
    op.create_table(
        "client_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_file")),
        comment="files uploaded to the proxy",
    )
    op.create_index(op.f("ix_client_file_api_key_id"), "client_file", ["api_key_id"], unique=False)
    op.create_table(
        "client_file_part",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("part_no", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "part_no", name=op.f("pk_client_file_part")),
    )
    op.create_table(
        "client_line",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("custom_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "row_no", name=op.f("pk_client_line")),
        comment="custom ids of the lines of a client's batch, as the JSON strings they are",
    )
    op.create_table(
        "instance",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
        comment="proxies that run; one that is silent for long waits for nothing any more",
    )
    op.create_table(
        "proxied",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "body_hash",
            sa.Uuid(),
            nullable=False,
            comment="of endpoint, body and terms, by which a call is known again",
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column(
            "background", sa.Boolean(), nullable=False, comment="whether the caller comes back for the answer by its id"
        ),
        sa.Column(
            "waiter",
            sa.Uuid(),
            nullable=True,
            comment="the instance that holds a connection for it; null: nobody waits",
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attached_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proxied")),
        comment="requests that came over HTTP one by one, and who waits for their answers",
    )
    op.create_index("ix_proxied_job", "proxied", ["job_id", "row_no"], unique=False)
    op.create_index("ix_proxied_body_hash", "proxied", ["api_key_id", "body_hash"], unique=False)
    op.create_index(
        "uq_proxied_idempotency",
        "proxied",
        ["api_key_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.add_column(
        "job",
        sa.Column(
            "api_key_id", sa.BigInteger(), nullable=True, comment="whose requests came over HTTP; null: a frame's"
        ),
    )
    op.add_column(
        "job",
        sa.Column(
            "stream",
            sa.Uuid(),
            nullable=True,
            comment="what requests may join it until it is sealed: those of one key, route and terms",
        ),
    )
    op.add_column(
        "job",
        sa.Column(
            "n_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="of bodies, of a stream"
        ),
    )
    op.add_column("job", sa.Column("seal_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_job_api_key", "job", ["api_key_id", "id"], unique=False, postgresql_where=sa.text("api_key_id IS NOT NULL")
    )
    op.create_index(
        "ix_job_stream", "job", ["stream", "seal_at"], unique=False, postgresql_where=sa.text("stream IS NOT NULL")
    )
