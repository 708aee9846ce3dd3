"""The control socket is its owner's alone."""

import asyncio
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from powerstrip.host.control import ControlError, ask, control_folder, control_path, find_servers, listening

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder with a short name: a socket's path may have a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="ps-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


async def echo(request):
    return {"asked": request}


async def test_a_request_is_answered():
    path = control_path(["config.yaml"], None)
    async with listening(path, echo):
        assert find_servers(["config.yaml"], None) == [path]
        assert await asyncio.to_thread(ask, path, {"do": "status"}) == {"asked": {"do": "status"}}

    assert not path.exists()


async def test_only_the_owner_may_open_the_socket_and_the_folder():
    path = control_path(["config.yaml"], None)
    async with listening(path, echo):
        modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)]

    assert modes == [0o600, 0o700]


async def test_a_stated_path_is_used_with_the_same_permissions(runtime):
    path = control_path(["config.yaml"], str(runtime / "my.sock"))
    async with listening(path, echo):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert find_servers(["another.yaml"], str(path)) == [path]


def test_a_folder_that_others_may_write_into_is_refused(runtime):
    (runtime / "powerstrip").mkdir(mode=0o777)
    (runtime / "powerstrip").chmod(0o777)

    with pytest.raises(ControlError, match="private"):
        control_folder()


def test_a_link_in_place_of_the_folder_is_refused(runtime, tmp_path):
    (runtime / "powerstrip").symlink_to(tmp_path)

    with pytest.raises(ControlError, match="private"):
        control_folder()


async def test_a_socket_that_a_killed_server_left_behind_is_no_server(runtime):
    path = control_path(["config.yaml"], None)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()

    assert find_servers(["config.yaml"], None) == []
    assert not path.exists()


async def test_a_second_server_does_not_take_a_stated_path_away(runtime):
    path = runtime / "my.sock"
    async with listening(path, echo):
        with pytest.raises(ControlError, match="another server"):
            async with listening(path, echo):
                pass
        assert await asyncio.to_thread(ask, path, {}) == {"asked": {}}


def test_asking_where_nobody_listens_says_so(runtime):
    with pytest.raises(ControlError, match="no server answers"):
        ask(runtime / "nobody.sock", {})


@pytest.mark.parametrize("sent", [b"\n", b"nonsense\n", b"x" * 200_000, b"[1]\n"])
async def test_nonsense_is_survived(sent):
    path = control_path(["config.yaml"], None)
    async with listening(path, echo):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(sent)
        await reader.read()
        writer.close()
        assert await asyncio.to_thread(ask, path, {"still": "there"}) == {"asked": {"still": "there"}}


async def test_who_sends_nothing_is_not_waited_for():
    path = control_path(["config.yaml"], None)
    async with listening(path, echo, request_time=0.1):
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()
