"""Accounts, sessions, audit log, outbox."""

import sqlalchemy as sa
from alembic import op

from powerstrip_database import UTCDateTime

revision = "users_0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUSES = ("active", "inactive", "suspended", "pending")
_ROLES = ("admin", "moderator", "user", "guest")
_MAIL_STATUSES = ("queued", "sent", "abandoned")


def upgrade() -> None:
    _create_users()
    _create_sessions()
    _create_audit()
    _create_outbox()
    _create_expiring()
    _protect_audit()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION users_audit_refuse CASCADE")
    for table in ("idempotency", "attempts", "outbox", "audit", "access_changes", "sessions"):
        op.drop_table(f"users_{table}")
    op.drop_table("users")


def _choice(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=20)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", sa.String(1_024), nullable=False),
        sa.Column("username", sa.String(50), nullable=False),
        sa.Column("username_key", sa.String(50), nullable=False),
        sa.Column("full_name", sa.String(200)),
        sa.Column("phone", sa.String(16)),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("status", _choice(_STATUSES, "status"), nullable=False),
        sa.Column("role", _choice(_ROLES, "role"), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("last_login", UTCDateTime()),
        sa.Column("avatar_key", sa.String(200)),
        sa.Column("avatar_type", sa.String(50)),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("access_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
        sa.UniqueConstraint("username_key", name=op.f("uq_users_username_key")),
    )
    _index("users", "created_at", "id")
    _index("users", "updated_at", "id")
    _index("users", "role", "status")


def _create_sessions() -> None:
    op.create_table(
        "users_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("last_used_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("refresh_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(32)),
        sa.Column("rotated_at", UTCDateTime()),
        sa.Column("client_address", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users_sessions")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_users_sessions_user_id_users"), ondelete="CASCADE"
        ),
    )
    _index("users_sessions", "user_id")
    _index("users_sessions", "expires_at")
    op.create_table(
        "users_access_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("version", sa.Integer()),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users_access_changes")),
    )
    _index("users_access_changes", "changed_at")


def _create_audit() -> None:
    op.create_table(
        "users_audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("time", UTCDateTime(), nullable=False),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("actor", sa.String(254), nullable=False),
        sa.Column("target_id", sa.Uuid()),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(200)),
        sa.Column("client_address", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users_audit")),
    )
    _index("users_audit", "time", "id")
    _index("users_audit", "target_id", "time")
    _index("users_audit", "actor_id", "time")


def _create_outbox() -> None:
    op.create_table(
        "users_outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("template", sa.String(50), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("link", sa.String(20)),
        sa.Column("status", _choice(_MAIL_STATUSES, "mailstatus"), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("leased_until", UTCDateTime()),
        sa.Column("sent_at", UTCDateTime()),
        sa.Column("last_error", sa.String(500)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users_outbox")),
    )
    _index("users_outbox", "status", "due_at")


def _create_expiring() -> None:
    op.create_table(
        "users_attempts",
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.Column("locked_until", UTCDateTime()),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_users_attempts")),
    )
    _index("users_attempts", "last_at")
    op.create_table(
        "users_idempotency",
        sa.Column("caller", sa.String(200), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("answer", sa.JSON()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_users_idempotency")),
    )
    _index("users_idempotency", "created_at")


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _protect_audit() -> None:
    """The audit log can only grow, also for whoever speaks SQL."""
    message = "the audit log is append-only"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION users_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER users_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON users_audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION users_audit_refuse()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER users_audit_no_{event.lower()} BEFORE {event} ON users_audit "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
