"""serve: a server that runs is asked and told what to do over a Unix socket that only its owner can reach.

One request and one answer a connection, each a line of JSON.
"""

import asyncio
import hashlib
import json
import logging
import os
import socket
import stat
import struct
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from powerstrip.contract.errors import PowerstripError

logger = logging.getLogger(__name__)

_LONGEST_REQUEST = 64 * 1024
_PRIVATE = 0o700

Answer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class ControlError(PowerstripError):
    """A server can't be reached, or a control socket can't be made."""


def control_folder() -> Path:
    """A folder of this user's own: below `$XDG_RUNTIME_DIR`, which is one already, or the system's for temporary files.

    Raises ControlError when somebody else could have put something there.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "powerstrip") if runtime else Path(tempfile.gettempdir(), f"powerstrip-{os.getuid()}")
    try:
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise ControlError(f"no control socket can be made in {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise ControlError(f"{folder} is not a private folder of this user: remove it")
    return folder


def control_path(configs: Sequence[Path | str], stated: str | None) -> Path:
    """Where a server of these configs listens: where its config says, else in a folder of this user's own."""
    return Path(stated) if stated else control_folder() / f"{_name_of(configs)}.{os.getpid()}.sock"


def find_servers(configs: Sequence[Path | str], stated: str | None) -> list[Path]:
    """The sockets of the servers of these configs; those of servers that were killed are removed."""
    if stated:
        return [Path(stated)]
    found = sorted(control_folder().glob(f"{_name_of(configs)}.*.sock"))
    return [path for path in found if _is_alive(path)]


def ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of the server that listens there. It may take as long as a reload does. Raises ControlError."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
        except OSError as error:
            raise ControlError(f"no server answers on {path}: {error.strerror or error}") from error
    if not line:
        raise ControlError("the server went away before it had answered")
    answer: dict[str, Any] = json.loads(line)
    return answer


@asynccontextmanager
async def listening(path: Path, answer: Answer, request_time: float = 5.0) -> AsyncGenerator[None]:
    """Answer on a socket at `path`, which only its owner can open, until the context is left.

    A request must arrive within `request_time` seconds. Raises ControlError when there can't be one.
    """
    listener = _private_socket(path)
    server = await asyncio.start_unix_server(
        lambda reader, writer: _serve(reader, writer, answer, request_time), sock=listener, limit=_LONGEST_REQUEST
    )
    try:
        yield
    finally:
        server.close()
        with suppress(OSError):
            os.unlink(path)


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer, request_time: float
) -> None:
    try:
        if not is_own(writer):
            return
        async with asyncio.timeout(request_time):
            line = await reader.readline()
        if not line:  # somebody looked whether this server is alive
            return
        request = json.loads(line)
        result = await answer(request if isinstance(request, dict) else {})
        writer.write(json.dumps(result).encode() + b"\n")
        await writer.drain()
    except (OSError, ValueError, TimeoutError) as error:
        logger.warning("a request to the control socket failed: %s", error)
    finally:
        writer.close()


def is_own(writer: asyncio.StreamWriter) -> bool:
    """Whether it is this user, or root, at the other end; the permissions of the socket say so already."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    peer = writer.get_extra_info("socket")
    _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return user in (0, os.getuid())


def _private_socket(path: Path) -> socket.socket:
    if path.is_socket():
        if _is_alive(path):
            raise ControlError(f"another server listens on {path}")
        path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)  # there is no moment at which others could open it
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise ControlError(f"no control socket can be made at {path}: {error.strerror or error}") from error
    finally:
        os.umask(mask)
    listener.listen()
    listener.setblocking(False)
    return listener


def _is_alive(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with suppress(OSError):
                path.unlink()
            return False
        except OSError:
            return False
    return True


def _name_of(configs: Sequence[Path | str]) -> str:
    names = "\0".join(str(Path(path).absolute()) for path in configs)
    return hashlib.sha256(names.encode()).hexdigest()[:12]
