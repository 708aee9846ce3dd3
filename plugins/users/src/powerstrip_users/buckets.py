"""Files in a bucket of S3, or of whatever speaks its protocol."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from powerstrip import PowerstripError
from powerstrip_users.files import FileStorage, checked_key
from powerstrip_users.settings import BucketSettings

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

_RETRIES = 2


class BucketLibraryMissingError(PowerstripError):
    """The library that speaks to buckets is not installed."""


class BucketFiles(FileStorage):
    """Files in a bucket. The store itself keeps an upload that breaks off from becoming a file."""

    def __init__(self, store: "S3Store") -> None:
        self._store = store

    @classmethod
    def of(cls, settings: BucketSettings) -> "BucketFiles":
        """Nothing is asked of the bucket yet. Raises BucketLibraryMissingError."""
        try:
            # Late: an extra, that most do without.
            from obstore.store import S3Store  # noqa: PLC0415
        except ImportError as error:
            raise BucketLibraryMissingError(
                "pictures in a bucket need a library: pip install 'powerstrip-users[s3]'"
            ) from error
        secret = settings.secret_access_key
        config: S3Config = {}
        # Whatever is not stated comes from the environment and the machine, as with other tools.
        if settings.endpoint:
            config["endpoint"] = settings.endpoint
        if settings.region:
            config["region"] = settings.region
        if settings.access_key_id and secret:
            config |= {"access_key_id": settings.access_key_id, "secret_access_key": secret.get_secret_value()}
        timeout = timedelta(seconds=settings.timeout)
        store = S3Store(
            settings.bucket,
            prefix=settings.prefix or None,
            config=config,
            client_options={"allow_http": settings.is_in_the_clear, "timeout": timeout, "connect_timeout": timeout},
            retry_config={"max_retries": _RETRIES, "retry_timeout": timeout},
        )
        return cls(store)

    async def save(self, key: str, content: bytes) -> None:
        with _as_os_error():
            await self._store.put_async(checked_key(key), content)

    async def read(self, key: str) -> bytes | None:
        with _as_os_error():
            try:
                answer = await self._store.get_async(checked_key(key))
                return bytes(await answer.bytes_async())
            except FileNotFoundError:
                return None

    async def delete(self, key: str) -> None:
        with _as_os_error(), suppress(FileNotFoundError):
            await self._store.delete_async(checked_key(key))

    async def keys(self, prefix: str = "", *, saved_before: float | None = None) -> Sequence[str]:
        folder = prefix.rpartition("/")[0] or None
        found: list[str] = []
        with _as_os_error():
            async for page in self._store.list(folder):
                found += [
                    entry["path"]
                    for entry in page
                    if entry["path"].startswith(prefix)
                    and (saved_before is None or entry["last_modified"].timestamp() < saved_before)
                ]
        return found


@contextmanager
def _as_os_error() -> Iterator[None]:
    """What the library raises, as what a disk would."""
    # Late: see above; whoever comes here has it.
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        yield
    except BaseError as error:
        # Its first line; what follows are the library's own structures, with addresses and headers in them.
        raise OSError(str(error).partition("\n")[0]) from None
