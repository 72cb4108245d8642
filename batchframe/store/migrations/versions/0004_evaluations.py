"""Evaluations: which jobs are compared, of which rows, and by what."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "evaluation",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("digest", sa.Uuid(), nullable=False, comment="identity of what it compares, its rows included"),
        sa.Column("spec", sa.Text(), nullable=False, comment="prompts, models, gold and metrics, as JSON"),
        sa.Column("n_rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
        sa.UniqueConstraint("name", name=op.f("uq_evaluation_name")),
        sa.UniqueConstraint("digest", name=op.f("uq_evaluation_digest")),
    )
    op.create_table(
        "evaluation_frame",
        sa.Column("evaluation_id", sa.BigInteger(), nullable=False),
        sa.Column("part_no", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="Parquet"),
        sa.PrimaryKeyConstraint("evaluation_id", "part_no", name=op.f("pk_evaluation_frame")),
    )
    op.create_table(
        "evaluation_job",
        sa.Column("evaluation_id", sa.BigInteger(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column(
            "judge", sa.Text(), nullable=False, comment="the judge of the cell's answers; empty: the cell itself"
        ),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("evaluation_id", "prompt", "model", "judge", name=op.f("pk_evaluation_job")),
        comment="the jobs of an evaluation, each of which may be another evaluation's, too",
    )
    op.create_index("ix_evaluation_job_job_id", "evaluation_job", ["job_id"])
