"""Jobs."""

import sqlalchemy as sa
from alembic import op

from powerstrip_database import UTCDateTime

revision = "exports_0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUSES = ("queued", "running", "done", "failed", "cancelled", "expired")


def upgrade() -> None:
    op.create_table(
        "exports_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("caller", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(200)),
        sa.Column("client_address", sa.String(64), nullable=False),
        sa.Column("source", sa.String(100), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(*_STATUSES, name="jobstatus", native_enum=False, create_constraint=True, length=20),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_until", UTCDateTime()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("started_at", UTCDateTime()),
        sa.Column("finished_at", UTCDateTime()),
        sa.Column("expires_at", UTCDateTime()),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("total_rows", sa.BigInteger()),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("file_key", sa.String(100)),
        sa.Column("file_name", sa.String(255)),
        sa.Column("media_type", sa.String(100)),
        sa.Column("error_type", sa.String(100)),
        sa.Column("error", sa.String(500)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports_jobs")),
    )
    for columns in (("status", "created_at"), ("owner", "created_at")):
        op.create_index(op.f(f"ix_exports_jobs_{'_'.join(columns)}"), "exports_jobs", list(columns))


def downgrade() -> None:
    op.drop_table("exports_jobs")
