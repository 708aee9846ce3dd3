"""The tokens in links that are sent by mail."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal
from uuid import UUID

from powerstrip import Clock
from powerstrip_users.errors import InvalidToken, LinkNotValid
from powerstrip_users.keys import KeyRing
from powerstrip_users.models import User
from powerstrip_users.settings import LinkSettings, TokenSettings
from powerstrip_users.tokens import SignedClaims

LinkPurpose = Literal["verify", "reset"]


@dataclass(frozen=True, slots=True)
class LinkClaims:
    """Whom a link is for, and the state of the account it was made in."""

    user_id: UUID
    state: str


class Links:
    """Makes and reads the tokens of links.

    A token is bound to what it is about and dies when that changes: one to verify with the e-mail address, one to
    reset with the address and the password. So each works once, and a new address makes older links worthless.
    """

    def __init__(self, ring: KeyRing, tokens: TokenSettings, settings: LinkSettings, clock: Clock) -> None:
        self._settings = settings
        self._claims = {
            "verify": SignedClaims(ring, "verify+jwt", tokens, clock),
            "reset": SignedClaims(ring, "reset+jwt", tokens, clock),
        }

    def token(self, purpose: LinkPurpose, user: User) -> str:
        settings = self._settings
        lifetime = settings.verify_lifetime if purpose == "verify" else settings.reset_lifetime
        claims = {"sub": str(user.id), "state": _state(purpose, user)}
        return self._claims[purpose].encode(claims, lifetime)

    def address(self, purpose: LinkPurpose, user: User) -> str:
        """What the mail shows: a link to the operator's page, or the bare token where none is configured."""
        settings = self._settings
        template = settings.verify_url if purpose == "verify" else settings.reset_url
        return (template or "{token}").replace("{token}", self.token(purpose, user))

    def read(self, purpose: LinkPurpose, token: str) -> LinkClaims:
        """Raises LinkNotValid for a token that is not ours, of another purpose, or expired."""
        try:
            claims = self._claims[purpose].decode(token, ("sub", "state"))
            return LinkClaims(UUID(claims["sub"]), str(claims["state"]))
        except (InvalidToken, ValueError) as error:
            raise LinkNotValid from error

    def is_current(self, purpose: LinkPurpose, claims: LinkClaims, user: User) -> bool:
        """Whether the account is still as it was when the link was made."""
        return claims.state == _state(purpose, user)


def _state(purpose: LinkPurpose, user: User) -> str:
    parts = [user.email_key] if purpose == "verify" else [user.email_key, user.password_hash]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
