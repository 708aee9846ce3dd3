"""Work that goes on beside the requests."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from powerstrip.contract.services import Services


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """A supervised task: started after its plugin, cancelled before it stops, restarted after a crash.

    A crash is logged and the task is run again after a back-off of 1 s that doubles up to a minute;
    returning normally ends it.
    """

    name: str
    run: Callable[[Services], Awaitable[None]]
