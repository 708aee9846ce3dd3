"""start: the services of one generation, found by their type."""

import inspect
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import NoneType
from typing import Any, Generic, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints

from powerstrip.contract.errors import ServiceNotFoundError
from powerstrip.contract.events import Event, EventBus, EventLog, LogEntry, Origin, Subscriber
from powerstrip.contract.services import Services

logger = logging.getLogger(__name__)

ServiceT = TypeVar("ServiceT")

_NO_KIND: tuple[Any, ...] = (object, Any, Generic, Protocol)


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

    def kinds_of(self, plugin: str) -> frozenset[type]:
        """The types under which the services of a plugin are found."""
        return frozenset(kind for kind, found in self._found.items() if any(owner == plugin for owner, _ in found))

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


def stated_services(lifespan: Any) -> frozenset[type] | None:
    """The types under which services will be found that a lifespan says it yields, or None when it leaves that open."""
    try:
        stated = get_args(get_type_hints(inspect.unwrap(lifespan)).get("return"))
    except Exception:  # noqa: BLE001 - an annotation may name what only type checkers see
        return None
    yielded = stated[0] if stated else object
    among = get_args(yielded) if get_origin(yielded) is tuple else (yielded,)
    kinds = [kind for kind in among if kind not in (None, NoneType)]
    if any(not isinstance(kind, type) or kind in _NO_KIND for kind in kinds):
        return None
    return frozenset(base for kind in kinds for base in kind.__mro__ if base not in _NO_KIND)


class InProcessEventBus(EventBus):
    """Hands events over inside this process, one subscriber after the other, in the order they subscribed.

    A log that carries it takes each event after that, and tells of those that other processes have appended.
    """

    def __init__(self) -> None:
        self._subscribers: list[_Subscription] = []
        self._logs: list[EventLog] = []

    async def publish(self, event: Event) -> None:
        await self._hand_over(event, is_local=True)
        for log in list(self._logs):
            await log.append(event)

    @contextmanager
    def subscribe(self, topic: str, subscriber: Subscriber, *, origin: Origin = "anywhere") -> Iterator[None]:
        entry = _Subscription(_matcher(topic), subscriber, only_local=origin == "here")
        self._subscribers.append(entry)
        try:
            yield
        finally:
            self._subscribers.remove(entry)

    @contextmanager
    def carry(self, log: EventLog) -> Iterator[None]:
        with log.follow(self):
            self._logs.append(log)
            try:
                yield
            finally:
                self._logs.remove(log)

    async def on_entry(self, entry: LogEntry) -> None:
        """What a log that carries the bus tells of."""
        if not entry.is_local:
            await self._hand_over(entry.event, is_local=False)

    async def on_gap(self) -> None:
        """What subscribers missed they can't be told; those who need to know follow the log themselves."""
        logger.warning("events of other processes were lost")

    async def _hand_over(self, event: Event, *, is_local: bool) -> None:
        for entry in list(self._subscribers):
            if (is_local or not entry.only_local) and entry.wants(event.topic):
                try:
                    await entry.subscriber(event)
                except Exception:
                    logger.exception("a subscriber failed", extra={"topic": event.topic, "event_type": event.type})


@dataclass(frozen=True, slots=True, eq=False)
class _Subscription:
    wants: Callable[[str], bool]
    subscriber: Subscriber
    only_local: bool


def _matcher(topic: str) -> Callable[[str], bool]:
    if topic.endswith("*"):
        prefix = topic[:-1]
        return lambda candidate: candidate.startswith(prefix)
    return lambda candidate: candidate == topic
