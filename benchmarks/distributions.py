"""Plugins written into a folder as installed distributions: metadata, entry point and, for some, a package."""

import compileall
from pathlib import Path
from textwrap import dedent

ROUTES = """
from fastapi import APIRouter
from pydantic import BaseModel


class {class_name}(BaseModel):
    id: int
    name: str
    price: float


router = APIRouter(prefix="/{name}")


@router.get("/newest")
async def newest() -> {class_name}:
    return {class_name}(id=1, name="{name}", price=19.5)


@router.get("/{{item_id}}")
async def read(item_id: int) -> {class_name}:
    return {class_name}(id=item_id, name="{name}", price=19.5)


@router.post("/")
async def add(item: {class_name}) -> {class_name}:
    return item
"""

PLUGIN = '''
from powerstrip import Plugin, PluginSettings, Routes, hookimpl

from {package}.routes import router


class {class_name}Plugin(Plugin[PluginSettings]):
    """Sells things of one kind."""

    @hookimpl
    def register_routes(self):
        return [Routes(router)]
'''


def plugin_names(count: int) -> list[str]:
    """`p0001`, `p0002`, ... in the order in which they are composed."""
    return [f"p{number:04}" for number in range(1, count + 1)]


def write_distribution(folder: Path, name: str, plugin_class: str) -> None:
    """What an installer leaves behind for a plugin: its metadata, with the entry point."""
    metadata = folder / f"powerstrip_{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    description = f"Metadata-Version: 2.4\nName: powerstrip-{name}\nVersion: 1.0\nSummary: Sells things.\n"
    (metadata / "METADATA").write_text(description, encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[powerstrip.plugins]\n{name} = {plugin_class}\n", encoding="utf-8")
    (metadata / "RECORD").write_text("", encoding="utf-8")


def write_plugins(folder: Path, count: int) -> None:
    """`count` plugins of one model and three routes each, compiled as an installer compiles them."""
    for name in plugin_names(count):
        package, class_name = f"powerstrip_{name}", name.title()
        write_distribution(folder, name, f"{package}.plugin:{class_name}Plugin")
        source = folder / package
        source.mkdir()
        (source / "__init__.py").touch()
        for module, text in (("routes", ROUTES), ("plugin", PLUGIN)):
            code = dedent(text).format(name=name, package=package, class_name=class_name)
            (source / f"{module}.py").write_text(code, encoding="utf-8")
    compileall.compile_dir(folder, quiet=1)


def write_config(path: Path, plugins: str) -> Path:
    """A config file that logs next to nothing; `plugins` is the body of its `plugins:` section."""
    head = "logging:\n  level: warning\nserver:\n  reload: off\nplugins:\n"
    path.write_text(head + "".join(f"  {line}\n" for line in plugins.splitlines()), encoding="utf-8")
    return path
