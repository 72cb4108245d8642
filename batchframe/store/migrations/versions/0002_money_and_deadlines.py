"""Budgets, prices, deadlines, calls in real time, and what each batch was paid for."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_QUOTA = "limits of a provider's model: what the provider said of its queue, what the user will spend"


def upgrade() -> None:
    job_columns: list[sa.Column[Any]] = [
        sa.Column(
            "tokens",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="estimated input tokens of all requests",
        ),
        sa.Column("answer_tokens", sa.Integer(), comment="most output tokens of one answer; null: no cap"),
        sa.Column(
            "price_input",
            sa.Numeric(),
            comment="what the user said, US dollars a million at the batch rate; null: the table",
        ),
        sa.Column("price_output", sa.Numeric()),
        sa.Column("budget_usd", sa.Numeric()),
        sa.Column("paused", sa.Text(), comment="why nothing more is sent, in words for the user"),
        sa.Column("deadline_at", sa.DateTime(timezone=True)),
        sa.Column("at_deadline", sa.Text(), comment="realtime or give_up"),
        sa.Column("late_at", sa.DateTime(timezone=True)),
        sa.Column("end_code", sa.Text(), comment="why the job was ended as a whole"),
        sa.Column("end_message", sa.Text()),
    ]
    batch_columns: list[sa.Column[Any]] = [
        sa.Column(
            "mode",
            sa.Text(),
            server_default="batch",
            nullable=False,
            comment="batch, or realtime for calls after a deadline",
        ),
        sa.Column("root_id", sa.BigInteger(), comment="the batch this one is a part of, split to find what fails it"),
        sa.Column("reserved_usd", sa.Numeric(), comment="what it is expected to cost, from the intent on"),
        *(
            sa.Column(name, kind, server_default=sa.text("0"), nullable=False)
            for name, kind in [
                ("n_paid", sa.Integer()),
                ("input_tokens", sa.BigInteger()),
                ("cached_tokens", sa.BigInteger()),
                ("output_tokens", sa.BigInteger()),
            ]
        ),
        sa.Column("cost_usd", sa.Numeric(), comment="of the answers in it; null: the price is not known"),
    ]
    for column in job_columns:
        op.add_column("job", column)
    for column in batch_columns:
        op.add_column("batch", column)
    op.create_index("ix_batch_root", "batch", ["root_id"], postgresql_where=sa.text("root_id IS NOT NULL"))
    op.alter_column(
        "quota",
        "tokens",
        nullable=True,
        comment="enqueued input tokens the provider allows; null: it has not said",
        existing_comment="enqueued input tokens the provider allows",
    )
    op.add_column(
        "quota", sa.Column("learnt_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
    )
    op.add_column(
        "quota", sa.Column("budget_usd", sa.Numeric(), comment="what all jobs may spend on the model together")
    )
    op.add_column("quota", sa.Column("budget_since", sa.DateTime(timezone=True)))
    op.create_table_comment("quota", _QUOTA)
    # What batches were paid for stood with their rows only.
    op.execute("UPDATE job SET tokens = (SELECT COALESCE(sum(r.tokens), 0) FROM request r WHERE r.job_id = job.id)")
    op.execute(
        """
        UPDATE batch SET n_paid = paid.n, input_tokens = paid.input, cached_tokens = paid.cached,
            output_tokens = paid.output
        FROM (
            SELECT a.batch_id, count(*) AS n, sum(o.input_tokens) AS input, sum(o.cached_tokens) AS cached,
                sum(o.output_tokens) AS output
            FROM attempt a
            JOIN outcome o ON o.job_id = a.job_id AND o.row_no = a.row_no AND o.attempt_no = a.attempt_no
            WHERE o.tries > 0 AND o.status BETWEEN 200 AND 299
            GROUP BY a.batch_id
        ) paid
        WHERE paid.batch_id = batch.id
        """
    )
