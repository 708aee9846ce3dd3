"""From an access token to the caller's identity."""

from collections.abc import Mapping

from powerstrip import Authenticator, Identity
from powerstrip_users.access import AccessChanges
from powerstrip_users.domain import Role
from powerstrip_users.errors import InvalidToken, SessionsUnknown
from powerstrip_users.tokens import AccessTokens


class Identities(Authenticator):
    """Finds out who sent a token, from the token and what is in memory alone."""

    def __init__(self, tokens: AccessTokens, access: AccessChanges, permissions: Mapping[Role, frozenset[str]]) -> None:
        self._tokens = tokens
        self._access = access
        self._permissions = permissions

    async def authenticate(self, token: str) -> Identity:
        return self.identify(token)

    def identify(self, token: str) -> Identity:
        """The identity of who the token was issued to.

        Raises InvalidToken for a token that isn't valid or was revoked, SessionsUnknown when that can't be told.
        """
        claims = self._tokens.read(token)
        if not self._access.is_current:
            raise SessionsUnknown
        if self._access.is_revoked(claims):
            raise InvalidToken("The access token was revoked.")
        return Identity(
            id=str(claims.user_id),
            name=claims.username,
            roles=frozenset((claims.role.value,)),
            permissions=self._permissions[claims.role],
            session_id=str(claims.session_id),
            claims={"signed_in_at": claims.signed_in_at},
        )
