"""Access tokens, which are signed and expire soon, and refresh tokens, of which only a hash is kept."""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt

from powerstrip import Clock
from powerstrip_users.domain import Role
from powerstrip_users.errors import InvalidToken
from powerstrip_users.keys import KeyRing
from powerstrip_users.settings import TokenSettings

# One algorithm, never the token's own choice (RFC 8725, 3.1): HMAC, because whoever checks a token also issues them.
_ALGORITHM = "HS256"
_LONGEST_TOKEN = 2_048
_SECRET_BYTES = 32
_TAG_BYTES = 16
# Clocks of several machines may differ a little.
_LEEWAY = timedelta(seconds=5)


class SignedClaims:
    """JWTs of one type and purpose: what was signed for another is refused."""

    def __init__(self, ring: KeyRing, kind: str, settings: TokenSettings, clock: Clock) -> None:
        self._keys = ring.keys(kind)
        self._key_id, self._key = next(iter(self._keys.items()))
        self._kind = kind
        self._issuer = settings.issuer
        self._audience = settings.audience
        self._clock = clock
        # Times are checked below, by our own clock, which tests can set.
        self._jwt = jwt.PyJWT(
            {
                "enforce_minimum_key_length": True,
                "strict_aud": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            }
        )

    def encode(self, claims: Mapping[str, Any], lifetime: float) -> str:
        """Sign claims that are valid from now on for `lifetime` seconds."""
        now = int(self._clock.now().timestamp())
        registered = {"iss": self._issuer, "aud": self._audience, "iat": now, "nbf": now, "exp": now + int(lifetime)}
        headers = {"kid": self._key_id, "typ": self._kind}
        return self._jwt.encode({**registered, **claims}, self._key, _ALGORITHM, headers)

    def decode(self, token: str, required: Sequence[str]) -> dict[str, Any]:
        """The claims of a token that is ours, of this kind, and valid now. Raises InvalidToken for any other."""
        try:
            claims = self._verified(token, required)
            now = self._clock.now()
            if _time(claims, "exp") <= now:
                raise InvalidToken("The access token has expired.")
            if max(_time(claims, "nbf"), _time(claims, "iat")) > now + _LEEWAY:
                raise InvalidToken
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            # RecursionError: a header of a thousand nested lists; it is parsed before the signature can be checked.
            raise InvalidToken from error
        return claims

    def _verified(self, token: str, required: Sequence[str]) -> dict[str, Any]:
        if len(token) > _LONGEST_TOKEN:
            raise InvalidToken
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        if not isinstance(key_id, str) or key_id not in self._keys or header.get("typ") != self._kind:
            raise InvalidToken
        required = ["iss", "aud", "iat", "nbf", "exp", *required]
        return self._jwt.decode(
            token,
            self._keys[key_id],
            algorithms=[_ALGORITHM],
            audience=self._audience,
            issuer=self._issuer,
            options={"require": required},
        )


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says: `version` is the user's `access_version` when it was issued."""

    user_id: UUID
    username: str
    role: Role
    session_id: UUID
    version: int
    signed_in_at: datetime


class AccessTokens:
    """Access tokens (JWT, RFC 9068), checked without a look at the database."""

    def __init__(self, ring: KeyRing, settings: TokenSettings, clock: Clock) -> None:
        self._claims = SignedClaims(ring, "at+jwt", settings, clock)
        self.lifetime = settings.access_lifetime

    def issue(self, claims: AccessClaims) -> str:
        return self._claims.encode(
            {
                "sub": str(claims.user_id),
                "name": claims.username,
                "role": claims.role.value,
                "sid": str(claims.session_id),
                "ver": claims.version,
                "auth_time": int(claims.signed_in_at.timestamp()),
                "jti": secrets.token_urlsafe(12),
            },
            self.lifetime,
        )

    def read(self, token: str) -> AccessClaims:
        """What a valid token says; raises InvalidToken for any other."""
        claims = self._claims.decode(token, ("sub", "sid", "ver", "role", "jti", "auth_time"))
        try:
            return AccessClaims(
                user_id=UUID(claims["sub"]),
                username=str(claims.get("name", "")),
                role=Role(claims["role"]),
                session_id=UUID(claims["sid"]),
                version=int(claims["ver"]),
                signed_in_at=_time(claims, "auth_time"),
            )
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise InvalidToken from error


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A session's id and a secret: the text that a client keeps, the hash that the server keeps."""

    session_id: UUID
    secret: bytes
    text: str

    @property
    def hash(self) -> bytes:
        return sha256(self.secret).digest()


class RefreshTokens:
    """Makes refresh tokens and tells genuine ones from made-up ones without asking the database.

    A token's successor is derived from the token and the key. So the same token always has the same successor,
    which tabs that refresh at one moment rely on, and no successor has to be stored to be told again.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def first(self, session_id: UUID) -> RefreshToken:
        return self._token(session_id, secrets.token_bytes(_SECRET_BYTES))

    def successor(self, token: RefreshToken) -> RefreshToken:
        return self._token(token.session_id, self._ring.sign("refresh-successor", token.secret))

    def successor_with_hash(self, token: RefreshToken, wanted: bytes) -> RefreshToken | None:
        """The successor whose hash is `wanted`: made with the current key, or before that was rotated."""
        for secret in self._ring.candidates("refresh-successor", token.secret):
            successor = self._token(token.session_id, secret)
            if secrets.compare_digest(successor.hash, wanted):
                return successor
        return None

    def read(self, text: str) -> RefreshToken | None:
        """The token in `text`, or None when it was never issued with one of our keys."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"==")
        except ValueError:
            return None
        if len(raw) != 16 + _SECRET_BYTES + _TAG_BYTES or not self._ring.is_signed("refresh-tag", raw[:48], raw[48:]):
            return None
        return RefreshToken(UUID(bytes=raw[:16]), raw[16:48], text)

    def _token(self, session_id: UUID, secret: bytes) -> RefreshToken:
        content = session_id.bytes + secret
        tag = self._ring.sign("refresh-tag", content)[:_TAG_BYTES]
        return RefreshToken(session_id, secret, urlsafe_b64encode(content + tag).rstrip(b"=").decode())


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromtimestamp(int(claims[name]), UTC)
