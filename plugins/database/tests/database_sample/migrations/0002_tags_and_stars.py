"""tags and stars"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notes_tags",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("note_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.ForeignKeyConstraint(["note_id"], ["notes.id"], name=op.f("fk_notes_tags_note_id_notes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes_tags")),
        sa.UniqueConstraint("note_id", "place", name=op.f("uq_notes_tags_note_id_place")),
    )
    op.create_index("ix_notes_tags_lower_name", "notes_tags", [sa.text("lower(name)")], unique=True)
    with op.batch_alter_table("notes") as notes:
        notes.add_column(sa.Column("stars", sa.Integer(), nullable=False, server_default="0"))
        notes.create_check_constraint("stars", "stars >= 0")


def downgrade() -> None:
    with op.batch_alter_table("notes") as notes:
        notes.drop_constraint("ck_notes_stars", type_="check")
        notes.drop_column("stars")
    op.drop_table("notes_tags")
