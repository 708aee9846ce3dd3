"""The permissions there are, and which roles have them."""

import logging
from collections.abc import Collection, Iterable, Mapping

from powerstrip_users.domain import Permission, Role, permissions_of_roles

logger = logging.getLogger(__name__)


class Permissions:
    """The declared permissions, sorted by name, and those of each role."""

    def __init__(self, declared: Iterable[Permission], granted: Mapping[Role, Collection[str]]) -> None:
        self.declare(declared)
        self.of_role = permissions_of_roles(granted)

    def declare(self, permissions: Iterable[Permission]) -> None:
        """Know these from now on, in place of the others."""
        self.declared = tuple(sorted(set(permissions), key=lambda permission: permission.name))

    def warn_of_unknown(self) -> None:
        """Log what roles were granted and no plugin that is on declares: a mistake in writing, most often."""
        names = {permission.name for permission in self.declared}
        groups = {f"{name.partition(':')[0]}:*" for name in names}
        for role, granted in self.of_role.items():
            for name in sorted(granted - names - groups - {"*"}):
                logger.warning("a role is granted a permission that no plugin declares: %s: %s", role.value, name)
