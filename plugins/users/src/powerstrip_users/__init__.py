"""Accounts, sign-in, sessions and permissions."""

from powerstrip_users.domain import Permission
from powerstrip_users.statistics import UserStatistic

__all__ = ["Permission", "UserStatistic"]

__version__ = "0.1.0"
