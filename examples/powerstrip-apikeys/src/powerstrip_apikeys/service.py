"""Who holds a key."""

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest

from powerstrip import Identity
from powerstrip_apikeys.settings import ApiKey

_NO_DIGEST = bytes(sha256().digest_size)
# No two digests that anybody has ever seen begin with the same 128 bits.
_BEGINNING = 16


class KeyHolders:
    """Finds the holder of a key, in the same time whether there are two keys or ten thousand."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._holders = {key.digest[:_BEGINNING]: (key.digest, _identity(key)) for key in keys}

    def find(self, key: bytes) -> Identity | None:
        """The identity of who holds the key, or None.

        How long that takes says nothing about the keys that exist: digests are looked up, which nobody can choose,
        and compared in constant time.
        """
        digest = sha256(key).digest()
        known, identity = self._holders.get(digest[:_BEGINNING], (_NO_DIGEST, None))
        return identity if compare_digest(known, digest) else None


def _identity(key: ApiKey) -> Identity:
    return Identity(
        # Other plugins may know callers too, and an id is one caller's alone.
        id=f"apikey:{key.id}",
        name=key.name or key.id,
        roles=frozenset(key.roles),
        permissions=frozenset(key.permissions),
    )
