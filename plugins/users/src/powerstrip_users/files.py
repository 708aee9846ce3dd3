"""Where files are kept."""

import asyncio
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_KEY = re.compile(r"[0-9a-z]+(?:[-./][0-9a-z]+)*")


class FileStorage(Protocol):
    """Small files by key: lower-case letters, digits and, between them, `-`, `.` and `/`.

    A file is there whole or not at all, whatever crashes, and is never changed: other content has another key.
    """

    async def save(self, key: str, content: bytes) -> None:
        """Keep a file. Raises OSError when it can't be kept."""
        ...

    async def read(self, key: str) -> bytes | None:
        """The content, or None when there is no such file. Raises OSError when it can't be read."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a file, if it is there."""
        ...

    async def keys(self, prefix: str = "", *, saved_before: float | None = None) -> Sequence[str]:
        """The keys that begin with `prefix`; with `saved_before`, only of files saved before that Unix time."""
        ...


def checked_key(key: str) -> str:
    """The key, if it is one. Raises ValueError."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a file")
    return key


class LocalFiles(FileStorage):
    """Files in a folder that only their owner can read; several machines may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def save(self, key: str, content: bytes) -> None:
        await asyncio.to_thread(self._save, self._path(key), content)

    async def read(self, key: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return await asyncio.to_thread(self._path(key).read_bytes)
        return None

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def keys(self, prefix: str = "", *, saved_before: float | None = None) -> Sequence[str]:
        return await asyncio.to_thread(lambda: list(self._keys(prefix, saved_before)))

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)

    def _save(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A key that nobody knows: what a crash leaves behind is found among the keys and never read.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def _keys(self, prefix: str, saved_before: float | None) -> Iterator[str]:
        for folder, _, names in os.walk(self._folder / prefix.rpartition("/")[0]):
            for path in (Path(folder, name) for name in names):
                key = path.relative_to(self._folder).as_posix()
                with suppress(FileNotFoundError):  # removed meanwhile
                    if key.startswith(prefix) and (saved_before is None or path.stat().st_mtime < saved_before):
                        yield key
