"""Who listens to a topic, in all processes."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from powerstrip import Clock, Event, EventBus
from powerstrip_realtime.connections import Connection
from powerstrip_realtime.errors import TopicForbidden
from powerstrip_realtime.hub import Hub
from powerstrip_realtime.registry import Registry
from powerstrip_realtime.topics import Topics

TOPIC = "realtime.presence"
_SILENT_FOR = 3  # intervals after which a process is taken for dead
_MOST_SHOWN = 100
_MOST_TOLD = 1_000

Members = Mapping[str, str]
"""Names of users by their ids."""


class Attendance:
    """Asks the hub who is here, and hears from other processes who is there.

    Each process tells the others now and then who it has; what one told is forgotten when it falls silent, so nobody
    stays present in a process that was killed.
    """

    def __init__(
        self, *, hub: Hub, registry: Registry, topics: Topics, bus: EventBus, clock: Clock, interval: float
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._topics = topics
        self._bus = bus
        self._clock = clock
        self._interval = interval
        self._process = uuid4().hex
        self._elsewhere: dict[str, tuple[float, Mapping[str, Members]]] = {}

    def of(self, connection: Connection, topic: str) -> dict[str, Any]:
        """Who listens to a topic, for one who does so too. Raises UnknownTopic, TopicForbidden."""
        found, _ = self._topics.find(topic)
        if not found.presence or topic not in connection.topics:
            raise TopicForbidden("Only subscribers see who is present, and only where that is on.")
        members = {**self._here(topic), **self._there(topic)}
        shown = sorted(members.items(), key=lambda member: (member[1], member[0]))[:_MOST_SHOWN]
        return {
            "topic": topic,
            "count": len(members),
            "members": [{"id": user_id, "name": name} for user_id, name in shown],
        }

    async def on_event(self, event: Event) -> None:
        """What a process tells of those it has."""
        data = event.data
        if data["process"] != self._process:
            self._elsewhere[data["process"]] = (
                self._clock.monotonic() + _SILENT_FOR * self._interval,
                data["topics"],
            )

    async def follow(self) -> None:
        """Tell the others who is here, for ever."""
        told: Mapping[str, Members] = {}
        while True:
            here = self._everybody()
            if here or told:
                await self._bus.publish(Event(TOPIC, TOPIC, {"process": self._process, "topics": here}))
            told = here
            self._forget_silent()
            await asyncio.sleep(self._interval)

    def _everybody(self) -> dict[str, Members]:
        topics = {topic for connection in self._registry for topic in connection.topics if self._has_presence(topic)}
        return {topic: self._here(topic) for topic in sorted(topics)[:_MOST_TOLD]}

    def _has_presence(self, topic: str) -> bool:
        return self._topics.find(topic)[0].presence

    def _here(self, topic: str) -> Members:
        return _names(self._hub.listeners(topic))

    def _there(self, topic: str) -> Members:
        self._forget_silent()
        tellings: Sequence[Mapping[str, Members]] = [topics for _, topics in self._elsewhere.values()]
        return {user_id: name for topics in tellings for user_id, name in topics.get(topic, {}).items()}

    def _forget_silent(self) -> None:
        now = self._clock.monotonic()
        self._elsewhere = {key: told for key, told in self._elsewhere.items() if told[0] > now}


def _names(connections: Iterable[Connection]) -> Members:
    return {
        connection.identity.id: connection.identity.name
        for connection in connections
        if connection.identity is not None and connection.is_open
    }
