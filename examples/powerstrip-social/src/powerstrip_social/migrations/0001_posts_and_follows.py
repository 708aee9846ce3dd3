"""posts and follows"""

import sqlalchemy as sa
from alembic import op

from powerstrip_database import UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "social_follows",
        sa.Column("follower_id", sa.Uuid(), nullable=False),
        sa.Column("followed_id", sa.Uuid(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.CheckConstraint("follower_id <> followed_id", name=op.f("ck_social_follows_not_oneself")),
        sa.PrimaryKeyConstraint("follower_id", "followed_id", name=op.f("pk_social_follows")),
    )
    op.create_index(op.f("ix_social_follows_followed_id"), "social_follows", ["followed_id"])
    op.create_table(
        "social_posts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("written_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_social_posts")),
    )
    op.create_index(op.f("ix_social_posts_author_id_id"), "social_posts", ["author_id", "id"])


def downgrade() -> None:
    op.drop_table("social_posts")
    op.drop_table("social_follows")
