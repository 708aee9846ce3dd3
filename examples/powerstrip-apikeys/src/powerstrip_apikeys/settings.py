"""What an operator can set, under `plugins: apikeys:`."""

import re
from hashlib import sha256
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints, field_validator

from powerstrip import Finding, PluginSettings

# As many random letters and digits can't be guessed; what people make up should be longer still.
_LONG_ENOUGH = 32
_DIGEST = "sha256:"
# Here the Bearer scheme is looked for, and browsers send cookies without being asked to.
_TAKEN_HEADERS = frozenset({"authorization", "cookie"})

KeyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Key = Annotated[SecretStr, Field(min_length=16, max_length=512)]
Right = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")]


class ApiKey(PluginSettings):
    """One key, and what the program that sends it may do."""

    id: KeyId
    """Names the key: lower-case letters, digits, '.', '_' and '-'. Plugins see it as the caller's id, `apikey:ID`."""

    name: str = Field(default="", max_length=200)
    """Who holds the key, for people; the id when not stated."""

    key: Key
    """The key itself, 16 printable ASCII characters or more: `${file:/run/secrets/reporting_key}`. Or `sha256:` and the
    key's SHA-256 digest in hexadecimal: whoever reads that can't use it, as long as the key is random."""

    roles: tuple[Right, ...] = ()
    """The holder's roles."""

    permissions: tuple[Right, ...] = ()
    """The holder's permissions: `users:read`, `users:*` for a group, `*` for all."""

    @property
    def digest(self) -> bytes:
        """The SHA-256 digest of the key."""
        text = self.key.get_secret_value()
        if text.startswith(_DIGEST):
            return bytes.fromhex(text.removeprefix(_DIGEST))
        return sha256(text.encode()).digest()

    @property
    def is_short(self) -> bool:
        """Whether a random key should be longer; always false where only the digest is known."""
        return len(self.key.get_secret_value()) < _LONG_ENOUGH

    @field_validator("key")
    @classmethod
    def _is_key_or_digest(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value()
        if text.startswith(_DIGEST) and not re.fullmatch(r"[0-9A-Fa-f]{64}", text.removeprefix(_DIGEST)):
            raise ValueError("64 hexadecimal digits have to follow 'sha256:'")
        if not re.fullmatch(r"[!-~]*", text):
            raise ValueError("headers can't carry this key: use printable ASCII characters, and no spaces")
        return key


class ApiKeysSettings(PluginSettings):
    """Who is let in."""

    # Not `min_length`: pydantic would also call a list empty whose keys all have something wrong with them.
    keys: tuple[ApiKey, ...] = Field(max_length=10_000, json_schema_extra={"minItems": 1})
    """The keys. To replace one, list the new one beside the old one until nobody sends the old one."""

    header: HeaderName = "X-API-Key"
    """The request header that carries a key; `Authorization: Bearer KEY` always does."""

    @field_validator("header")
    @classmethod
    def _is_free(cls, header: str) -> str:
        if header.lower() in _TAKEN_HEADERS:
            raise ValueError("keys can't be read from this header; 'Authorization: Bearer KEY' always works")
        return header

    @field_validator("keys")
    @classmethod
    def _can_be_told_apart(cls, keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        if not keys:
            raise ValueError("at least one key has to be listed")
        ids: set[str] = set()
        holders: dict[bytes, str] = {}
        for key in keys:
            if key.id in ids:
                raise ValueError(f"the id '{key.id}' is used twice")
            if key.digest in holders:
                raise ValueError(f"'{holders[key.digest]}' and '{key.id}' have the same key: give each one of its own")
            ids.add(key.id)
            holders[key.digest] = key.id
        return keys

    def findings(self) -> list[Finding]:
        """What works and is not fit for production."""
        return [
            Finding(
                "apikeys.short-key",
                f"the key of '{key.id}' has fewer than {_LONG_ENOUGH} characters",
                hint="make a random one: python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
            for key in self.keys
            if key.is_short
        ]
