"""Run as a process of its own: what a plugin that is off leaves in a process that serves without it.

    python -m powerstrip.testing.switched_off UNLISTED.yaml OFF.yaml PACKAGE

Prints a JSON list of sentences, empty when the two configs make the same process and the package is not imported.
"""

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

from powerstrip.host.generation import create_app
from powerstrip.testing.leaks import files_since, open_files, threads_since


def main() -> None:
    """Compare a process before and after the plugin was listed as off."""
    unlisted, off, package = sys.argv[1:]
    print(json.dumps(list(_differences(unlisted, off, package))))  # noqa: T201 - it is what the caller reads


def _differences(unlisted: str, off: str, package: str) -> Iterator[str]:
    before = asyncio.run(_serve(unlisted))
    modules, threads, files = set(sys.modules), set(threading.enumerate()), open_files()
    after = asyncio.run(_serve(off))
    inside = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    if inside:
        yield f"the module {inside[0]} is imported"
    else:
        yield from (f"the module {name} is imported" for name in sorted(set(sys.modules) - modules))
    yield from (f"{thread} is running" for thread in threads_since(threads))
    yield from (f"{target} is open" for target in files_since(files))
    yield from (f"the {part} are others" for part in before if before[part] != after[part])


async def _serve(config: str) -> dict[str, Any]:
    """Start and stop an application; returns all that clients and operators can see of it."""
    application = create_app(config, environ={})
    async with application.router.lifespan_context(application):
        assembly = application.state.powerstrip
        tasks = sorted(task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()})
        return {
            "routes": sorted((entry.path, sorted(entry.methods or ())) for entry in assembly.index.routes),
            "interceptors and middleware": [(entry.plugin, repr(type(entry.value))) for entry in assembly.layers],
            "running tasks": tasks,
            "OpenAPI documents": application.openapi(),
        }


if __name__ == "__main__":
    main()
