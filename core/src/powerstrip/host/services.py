"""start: the services of one generation, found by their type."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar, cast

from powerstrip.contract.errors import ServiceNotFoundError
from powerstrip.contract.events import Event, EventBus, Subscriber
from powerstrip.contract.services import Services

logger = logging.getLogger(__name__)

ServiceT = TypeVar("ServiceT")

_NO_KIND: tuple[Any, ...] = (object, Generic, Protocol)


class ServiceRegistry(Services):
    """Services by every class they are instances of, with the plugin that provides each."""

    def __init__(self) -> None:
        self._found: dict[type, list[tuple[str, object]]] = defaultdict(list)

    def provide(self, plugin: str, services: Any) -> None:
        """Add what a lifespan yielded: nothing, an object, or a tuple of objects."""
        if services is None:
            return
        for service in services if isinstance(services, tuple) else (services,):
            for kind in type(service).__mro__:
                if kind not in _NO_KIND:
                    self._found[kind].append((plugin, service))

    def withdraw(self, plugin: str) -> None:
        """Forget what a plugin provided."""
        for kind, found in self._found.items():
            self._found[kind] = [entry for entry in found if entry[0] != plugin]

    def providers(self, kind: type) -> list[str]:
        """The plugins that provide a service of that type."""
        return [plugin for plugin, _ in self._found.get(kind, ())]

    def __getitem__(self, kind: type[ServiceT]) -> ServiceT:
        service = self.get(kind)
        if service is None:
            raise ServiceNotFoundError(f"no running plugin provides a {kind.__module__}.{kind.__qualname__}")
        return service

    def get(self, kind: type[ServiceT]) -> ServiceT | None:
        found = self._found.get(kind, ())
        if not found:
            return None
        if len(found) > 1:
            owners = " and ".join(f"'{plugin}'" for plugin, _ in found)
            raise ServiceNotFoundError(f"{kind.__qualname__} is ambiguous: plugins {owners} provide one each")
        return cast("ServiceT", found[0][1])


class InProcessEventBus(EventBus):
    """Hands events over inside this process, one subscriber after the other, in the order they subscribed."""

    def __init__(self) -> None:
        self._subscribers: list[tuple[Callable[[str], bool], Subscriber]] = []

    async def publish(self, event: Event) -> None:
        for wants, subscriber in list(self._subscribers):
            if wants(event.topic):
                try:
                    await subscriber(event)
                except Exception:
                    logger.exception("a subscriber failed", extra={"topic": event.topic, "event_type": event.type})

    @contextmanager
    def subscribe(self, topic: str, subscriber: Subscriber) -> Iterator[None]:
        entry = (_matcher(topic), subscriber)
        self._subscribers.append(entry)
        try:
            yield
        finally:
            self._subscribers.remove(entry)


def _matcher(topic: str) -> Callable[[str], bool]:
    if topic.endswith("*"):
        prefix = topic[:-1]
        return lambda candidate: candidate.startswith(prefix)
    return lambda candidate: candidate == topic
