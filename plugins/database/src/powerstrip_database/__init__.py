"""SQLite and PostgreSQL for Powerstrip's plugins: sessions, transactions, and tables that belong to plugins."""

from powerstrip_database.constraints import ConstraintViolation, constraint_of
from powerstrip_database.engines import DialectName
from powerstrip_database.errors import DatabaseUnavailable, MigrationError
from powerstrip_database.hooks import DatabaseHooks
from powerstrip_database.service import Database
from powerstrip_database.sessions import ReadSession, WriteSession
from powerstrip_database.statements import Statement, StatementObserver
from powerstrip_database.tables import Tables, UTCDateTime, metadata_for, new_id

__version__ = "0.1.0"

__all__ = [
    "ConstraintViolation",
    "Database",
    "DatabaseHooks",
    "DatabaseUnavailable",
    "DialectName",
    "MigrationError",
    "ReadSession",
    "Statement",
    "StatementObserver",
    "Tables",
    "UTCDateTime",
    "WriteSession",
    "constraint_of",
    "metadata_for",
    "new_id",
]
