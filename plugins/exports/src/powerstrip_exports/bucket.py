"""Files of jobs in S3 and what speaks like it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import obstore
from obstore.store import S3Store

from powerstrip_exports.files import FileStore, FileWriter
from powerstrip_exports.pipeline import MOST
from powerstrip_exports.settings import BucketSettings

# What one part of an upload holds, which is what is in memory of it.
_PART = 8 * 1024 * 1024


def bucket_store(settings: BucketSettings) -> "ObjectFileStore":
    """The bucket that the settings name; without keys, those of the environment (`AWS_ACCESS_KEY_ID`, roles, ...)."""
    options: dict[str, Any] = {}
    for name in ("access_key_id", "secret_access_key"):
        secret = getattr(settings, name)
        if secret is not None:
            options[name] = secret.get_secret_value()
    for name in ("endpoint", "region"):
        value = getattr(settings, name)
        if value is not None:
            options[name] = value
    is_plain = (settings.endpoint or "").startswith("http://")
    store = S3Store.from_url(settings.url, client_options={"allow_http": is_plain}, **options)
    return ObjectFileStore(store)


class ObjectFileStore(FileStore):
    """Files as objects: an upload that is never finished never becomes one."""

    def __init__(self, store: Any) -> None:
        self._store = store

    @asynccontextmanager
    async def writing(self, key: str) -> AsyncGenerator[FileWriter]:
        writer: Any = obstore.open_writer_async(self._store, key, buffer_size=_PART)
        yield _ObjectWriter(writer)
        # An exception does not come here: the parts that were sent are forgotten by the bucket's own rule for them.
        await writer.close()

    async def reading(self, key: str, start: int, end: int) -> AsyncGenerator[bytes]:
        if start >= end:
            return
        found = await obstore.get_async(self._store, key, options={"range": (start, end)})
        async for data in found.stream(min_chunk_size=MOST):
            yield bytes(data)

    async def delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def keys(self) -> Sequence[str]:
        return [entry["path"] async for page in obstore.list(self._store) for entry in page]


class _ObjectWriter(FileWriter):
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    async def write(self, data: bytes) -> None:
        await self._writer.write(data)
