"""The secret key: where it comes from, and the keys that are derived from it."""

import hmac
import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from powerstrip import PowerstripError
from powerstrip_users.settings import UsersSettings


class KeyFileError(PowerstripError):
    """The file of the key that Powerstrip made for itself can't be used."""


class KeyRing:
    """The current secret and the retired ones.

    Nothing is signed with a secret itself: each purpose has a key of its own, derived by HMAC-SHA-256, so that
    what is signed for one purpose is worth nothing for another. A key's id (`kid`) is derived too: it tells
    which secret was used, and nothing about it.
    """

    def __init__(self, secret: str, retired: Sequence[str] = ()) -> None:
        self._secrets = tuple(text.encode() for text in (secret, *retired))

    def keys(self, purpose: str) -> Mapping[str, bytes]:
        """The keys for a purpose by their ids, the current one first."""
        return MappingProxyType({_key_id(secret): _derive(secret, purpose) for secret in self._secrets})

    def sign(self, purpose: str, message: bytes) -> bytes:
        """An HMAC-SHA-256 of `message` with the current key."""
        return _mac(_derive(self._secrets[0], purpose), message)

    def candidates(self, purpose: str, message: bytes) -> list[bytes]:
        """What `sign` gives with each of the keys, the current one first."""
        return [_mac(_derive(secret, purpose), message) for secret in self._secrets]

    def is_signed(self, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is the beginning of an HMAC of `message`, with any of the keys."""
        length = len(signature)
        found = [hmac.compare_digest(mac[:length], signature) for mac in self.candidates(purpose, message)]
        return length >= 16 and any(found)


def load_keys(settings: UsersSettings) -> KeyRing:
    """The keys of the settings; without a `secret_key`, one that is made in `key_file` and kept.

    Raises KeyFileError when that file can't be read or written, holds no key, or others may read it.
    """
    retired = [key.get_secret_value() for key in settings.retired_keys]
    if settings.secret_key is not None:
        return KeyRing(settings.secret_key.get_secret_value(), retired)
    try:
        return KeyRing(_kept_secret(settings.key_file), retired)
    except OSError as error:
        hint = "state users.secret_key, or make the folder writable"
        raise KeyFileError(f"the key file {settings.key_file} can't be used: {error.strerror}: {hint}") from error


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path, secrets.token_urlsafe(48))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise KeyFileError(f"others than its owner may use the key file {path}: run chmod 600 {path}")
    secret = path.read_text(encoding="ascii", errors="replace").strip()
    if len(secret) < 32:
        raise KeyFileError(f"the key file {path} holds no key of 32 characters: remove it and a new one is made")
    return secret


def _write_once(path: Path, secret: str) -> None:
    """Write a new file whole or not at all. Several workers may try at once: the first one's is kept."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with owner-only rights
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        Path(path).hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def _key_id(secret: bytes) -> str:
    return urlsafe_b64encode(_mac(secret, b"powerstrip-users key id")[:9]).decode()


def _derive(secret: bytes, purpose: str) -> bytes:
    return _mac(secret, b"powerstrip-users key for " + purpose.encode())


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
