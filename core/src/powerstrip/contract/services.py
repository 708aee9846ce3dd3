"""Services: objects that running plugins provide to one another, found by their type."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from fastapi.requests import HTTPConnection

from powerstrip.contract.errors import ServiceNotFoundError

ServiceT = TypeVar("ServiceT")


class Services(Protocol):
    """The services of one generation.

    A service is found by its class or any class it inherits from. `services[Database]` raises
    `ServiceNotFoundError` when nothing provides one; `services.get(Database)` gives None instead.
    """

    def __getitem__(self, kind: type[ServiceT]) -> ServiceT: ...

    def get(self, kind: type[ServiceT]) -> ServiceT | None: ...


class SharedServer:
    """The base of a service that connects to a server which all processes share, like Redis.

    Whoever counts or remembers in memory, and would rather do so there, looks for it: `services.get(SharedServer)`
    needs no import of a plugin that may be off, and lets a reload that switches one on start the looker anew. What
    kind of server it is says its class.
    """


def services_of(connection: HTTPConnection) -> Services:
    """The services of the generation that serves this request."""
    services: Services | None = connection.scope.get("powerstrip.services")
    if services is None:
        raise ServiceNotFoundError("the application has not started: run its lifespan first")
    return services


def service(kind: type[ServiceT]) -> Callable[..., Awaitable[ServiceT]]:
    """Makes a dependency that gives the service of that type: `Depends(service(Database))`."""

    async def find(connection: HTTPConnection) -> Any:
        return services_of(connection)[kind]

    find.__name__ = f"service({kind.__name__})"
    return find
