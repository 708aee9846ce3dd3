"""serve: notices that the files of a config have changed, however that was done.

It looks twice a second instead of being notified: a handful of calls that cost microseconds see an editor's
rename-and-replace, the symlinks that Kubernetes swaps, bind mounts and network file systems alike, where inotify sees a
directory that has moved away, or nothing at all.
"""

import asyncio
from collections.abc import Awaitable, Callable

from powerstrip.host.config.files import Sighting, look_at

_LOOK_INTERVAL = 0.5  # seconds between two looks
_REST = 0.25  # seconds without another change, before a change counts: several files may belong together
_LONGEST_UNREST = 20  # looks at files that go on changing, before what is there is taken


async def watch(seen: Callable[[], Sighting], changed: Callable[[], Awaitable[object]]) -> None:
    """Call `changed` when the files are not as they were `seen` when they were read, once for each change.

    It never returns.
    """
    told: Sighting = {}
    while True:
        await asyncio.sleep(_LOOK_INTERVAL)
        read = seen()
        found = await asyncio.to_thread(look_at, read)
        if found in (read, told):
            continue
        told = await _at_rest(found)
        if seen() is read:  # else a reload has come about otherwise, and read them
            await changed()


async def _at_rest(found: Sighting) -> Sighting:
    """The files once nobody writes them any more."""
    for _ in range(_LONGEST_UNREST):
        await asyncio.sleep(_REST)
        again = await asyncio.to_thread(look_at, found)
        if again == found:
            break
        found = again
    return found
