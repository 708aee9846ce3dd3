"""What a plugin's commands may ask of the host."""

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

from powerstrip.contract.services import Services

ResultT = TypeVar("ResultT")


class CommandRunner(Protocol):
    """Runs a command's work with the plugin's services up."""

    def run(self, work: Callable[[Services], Awaitable[ResultT]], *, beside: Collection[str] = ()) -> ResultT:
        """Start the plugin and what it requires or wants, await `work(services)`, stop them again, return the result.

        `beside` names plugins that are started as well, with what they require or want.

        Background tasks don't run: they are the server's. Plugins that are on and not needed are not started, and
        answer the hooks that a started one opened.
        """
        ...
