"""Where the files of a config are read: from the disk, or as they were read before."""

import os
from collections.abc import Mapping
from pathlib import Path

Facts = tuple[int, int, int, int]
"""Device, inode, time of the last change, size: what is equal as long as a path leads to the same content."""

Sighting = Mapping[Path, Facts | None]
"""Files as they were seen; None for those that could not be."""


class Files:
    """Reads files, and keeps what it has read in `contents`: a config that is read from these again is the same.

    `seen` are all files that it was asked for, as they were at that moment.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.seen: dict[Path, Facts | None] = {}

    def read(self, path: Path, limit: int) -> bytes:
        """Up to `limit` bytes. Raises OSError, or ValueError for what is no path."""
        place = path.absolute()
        self.seen[place] = None
        with path.open("rb") as file:
            self.seen[place] = _facts(os.fstat(file.fileno()))
            content = file.read(limit)
        self.contents[str(path)] = content
        return content


class KeptFiles(Files):
    """Gives what was read before, whatever has become of the files."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        super().__init__()
        self.contents.update(contents)

    def read(self, path: Path, limit: int) -> bytes:
        content = self.contents.get(str(path))
        if content is None:
            raise FileNotFoundError
        return content[:limit]


def look_at(paths: Mapping[Path, object]) -> Sighting:
    """The files as they are now."""
    return {path: _look(path) for path in paths}


def _look(path: Path) -> Facts | None:
    try:
        return _facts(path.stat())
    except (OSError, ValueError):  # it is about to come, or has just gone
        return None


def _facts(found: os.stat_result) -> Facts:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
