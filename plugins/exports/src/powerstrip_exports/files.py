"""Where the files of jobs are kept."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from powerstrip_exports.pipeline import MOST

_DRAFT = ".part"


class FileWriter(Protocol):
    """A file that is being written."""

    async def write(self, data: bytes) -> None:
        """Add to its end. Raises OSError when it can't be kept."""
        ...


class FileStore(Protocol):
    """Large files by key: lower-case letters, digits and `-`. A file appears whole or not at all, whatever crashes."""

    def writing(self, key: str) -> Any:
        """An async context manager that gives a `FileWriter`: the file appears when it is left, and an exception
        leaves nothing behind."""
        ...

    def reading(self, key: str, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to `end`, without it. Raises FileNotFoundError before the first of them."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a file and what a crash has left of it, if there is anything."""
        ...

    async def keys(self) -> Sequence[str]:
        """The keys of all files, of unfinished ones too."""
        ...


class LocalFileStore(FileStore):
    """Files in a folder that only their owner can read; several machines may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def writing(self, key: str) -> AsyncGenerator[FileWriter]:
        draft = self._draft(key)
        file = await asyncio.to_thread(self._create, draft)
        try:
            yield _LocalWriter(file)
            await asyncio.to_thread(_finish, file, draft, self._folder / key)
        except BaseException:
            file.close()
            draft.unlink(missing_ok=True)
            raise

    def _create(self, draft: Path) -> IO[bytes]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)

    def _draft(self, key: str) -> Path:
        return self._folder / f"{key}{_DRAFT}"

    async def reading(self, key: str, start: int, end: int) -> AsyncGenerator[bytes]:
        with await asyncio.to_thread((self._folder / key).open, "rb") as file:
            file.seek(start)
            while start < end and (data := await asyncio.to_thread(file.read, min(MOST, end - start))):
                start += len(data)
                yield data

    async def delete(self, key: str) -> None:
        for path in (self._folder / key, self._draft(key)):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def keys(self) -> Sequence[str]:
        return await asyncio.to_thread(self._keys)

    def _keys(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted({name.removesuffix(_DRAFT) for name in os.listdir(self._folder)})
        return []


class _LocalWriter(FileWriter):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(_write_all, self._file, data)


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _finish(file: IO[bytes], draft: Path, path: Path) -> None:
    os.fsync(file.fileno())
    file.close()
    draft.replace(path)
