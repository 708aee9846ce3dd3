"""Notifications, what was read of them, outbox."""

import sqlalchemy as sa
from alembic import op

from powerstrip_database import UTCDateTime

revision = "realtime_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "realtime_notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("audience", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("message", sa.String(4_000), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_realtime_notifications"),
    )
    op.create_index("ix_realtime_notifications_audience_id", "realtime_notifications", ["audience", "id"])
    op.create_index("ix_realtime_notifications_created_at", "realtime_notifications", ["created_at"])
    op.create_table(
        "realtime_reads",
        sa.Column("user_id", sa.String(100), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("read_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["realtime_notifications.id"],
            name="fk_realtime_reads_notification_id_realtime_notifications",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "notification_id", name="pk_realtime_reads"),
    )
    op.create_index("ix_realtime_reads_notification_id", "realtime_reads", ["notification_id"])
    op.create_table(
        "realtime_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), nullable=False),
        sa.Column("event_id", sa.String(100), nullable=False),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.Column("time", UTCDateTime(), nullable=False),
        sa.Column("leased_until", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_realtime_outbox"),
    )
    op.create_index("ix_realtime_outbox_leased_until", "realtime_outbox", ["leased_until"])


def downgrade() -> None:
    for table in ("outbox", "reads", "notifications"):
        op.drop_table(f"realtime_{table}")
