"""A change of the config's files is noticed, however it was made, and once."""

import asyncio
import os
from pathlib import Path
from typing import Self

import pytest

from powerstrip.host.config.config import read_config
from powerstrip.host.config.files import Files, Sighting
from powerstrip.host.watching import watch

pytestmark = pytest.mark.anyio


class Watched:
    """A config that is read again each time that its files are said to have changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.titles: list[str] = []
        self.read()

    def read(self) -> None:
        self._files = Files()
        self.titles.append(read_config([self.path], environ={}, files=self._files).app.title)

    async def changed(self) -> None:
        self.read()

    async def until(self, *titles: str) -> None:
        async with asyncio.timeout(30):
            while self.titles != list(titles):  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(watch(lambda: self._files.seen, self.changed))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()


def title(text: str) -> str:
    return f"app: {{title: {text}}}\n"


async def test_a_file_that_is_written_anew(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(title("one"))
    async with Watched(path) as watched:
        path.write_text(title("another"))
        await watched.until("one", "another")


async def test_a_file_that_is_replaced_by_another_as_editors_do_it(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(title("one"))
    async with Watched(path) as watched:
        (tmp_path / "config.yaml~").write_text(title("two"))
        (tmp_path / "config.yaml~").replace(path)
        await watched.until("one", "two")


async def test_a_link_that_is_swapped_as_kubernetes_does_it(tmp_path):
    for number in ("one", "two"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "config.yaml").write_text(title(number))
    (tmp_path / "..data").symlink_to("one")
    path = tmp_path / "config.yaml"
    path.symlink_to("..data/config.yaml")
    async with Watched(path) as watched:
        (tmp_path / "..data_tmp").symlink_to("two")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        await watched.until("one", "two")


async def test_a_file_that_the_config_names(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(title("'${file:name}'"))
    (tmp_path / "name").write_text("one")
    async with Watched(path) as watched:
        (tmp_path / "name").write_text("two")
        await watched.until("one", "two")


async def test_a_file_that_was_missing_and_comes(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(title("'${file:name}'"))
    async with Watched(path) as watched:
        default = watched.titles[0]
        (tmp_path / "name").write_text("there")
        await watched.until(default, "there")


async def test_several_changes_at_once_count_as_one(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(title("one"))
    async with Watched(path) as watched:
        for number in range(20):
            path.write_text(title(f"draft {number}"))
            await asyncio.sleep(0.01)
        path.write_text(title("final"))
        await watched.until("one", "final")


async def test_a_change_between_reading_and_watching_is_not_missed(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(title("one"))
    watched = Watched(path)
    path.write_text(title("two"))
    os.utime(path, ns=(1, 1))
    async with watched:
        await watched.until("one", "two")


async def test_what_changes_nothing_when_it_is_tried_is_not_tried_for_ever(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(title("one"))
    files = Files()
    read_config([path], environ={}, files=files)
    tries: list[int] = []
    tries_before: list[int] = []
    looked_again = asyncio.Event()

    def seen() -> Sighting:
        tries_before.append(len(tries))
        if tries_before[-2:] == [1, 1]:  # the look before this one has led to nothing
            looked_again.set()
        return files.seen

    async def refuse() -> None:
        tries.append(1)

    task = asyncio.create_task(watch(seen, refuse))
    path.write_text(title("another"))
    async with asyncio.timeout(30):
        await looked_again.wait()
    task.cancel()

    assert tries == [1]
