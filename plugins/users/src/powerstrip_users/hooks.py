"""The hooks that users opens to other plugins."""

from collections.abc import Sequence

from powerstrip import hookspec
from powerstrip_users.domain import Permission
from powerstrip_users.statistics import UserStatistic


class UserHooks:
    """What a plugin can tell users. Both are called while users starts, and when a reload changes who tells."""

    @hookspec
    def register_permissions(self) -> Sequence[Permission]:  # type: ignore[empty-body]
        """The permissions that this plugin's routes ask for, so that people can see what there is to grant."""

    @hookspec
    def register_user_statistics(self) -> Sequence[UserStatistic]:  # type: ignore[empty-body]
        """Numbers about a user, for the profile."""
