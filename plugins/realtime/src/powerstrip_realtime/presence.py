"""Who listens to a topic, in all processes, and who comes and goes."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from powerstrip import Clock, Event, EventBus
from powerstrip_realtime.connections import Connection
from powerstrip_realtime.errors import TopicForbidden
from powerstrip_realtime.frames import notice
from powerstrip_realtime.hub import Hub
from powerstrip_realtime.registry import Registry
from powerstrip_realtime.topics import Topics

TOPIC = "realtime.presence"
_SILENT_FOR = 3  # intervals after which a process is taken for dead
_MOST_SHOWN = 100
_MOST_TOLD = 1_000  # topics in one event
_PAUSE = 0.1  # seconds for which changes are collected: a page that is loaded anew neither leaves nor joins

Members = Mapping[str, str]
"""Names of users by their ids."""


class Attendance:
    """Asks the hub who is here, and hears from other processes who is there.

    Each process tells the others now and then who it has, and soon who has come or gone; what one told is forgotten
    when it falls silent, so nobody stays present in a process that was killed.
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
        self._told: dict[str, Members] = {}  # what other processes know of this one
        self._elsewhere: dict[str, tuple[float, dict[str, dict[str, str]]]] = {}
        self._followers: dict[str, set[Connection]] = {}
        self._shown: dict[str, Members] = {}  # what followers know
        self._changed: set[str] = set()
        self._has_changed = asyncio.Event()

    def of(self, connection: Connection, topic: str, *, follow: bool | None = None) -> dict[str, Any]:
        """Who listens to a topic, for one who does so too; `follow` says whether to be told who comes and goes.

        Raises UnknownTopic, TopicForbidden.
        """
        found, _ = self._topics.find(topic)
        if not found.presence or topic not in connection.topics:
            raise TopicForbidden("Only subscribers see who is present, and only where that is on.")
        members = self._members(topic)
        if follow:
            self._tell_followers(topic)  # what comes after this answer has to go on from it
            self._followers.setdefault(topic, set()).add(connection)
            self._shown[topic] = members
        elif follow is False:
            self._forget_follower(topic, connection)
        return {"topic": topic, "count": len(members), "members": _shown(members)}

    def on_audience_change(self, topic: str, connection: Connection) -> None:
        """Somebody has begun or ceased to listen."""
        if self._topics.has_presence(topic):
            if topic not in connection.topics:
                self._forget_follower(topic, connection)
            self._note_change(topic)

    async def on_event(self, event: Event) -> None:
        """What a process tells of those it has: of all, or only what has changed."""
        data = event.data
        if data["process"] == self._process:
            return
        _, before = self._elsewhere.get(data["process"], (0.0, {}))
        if "changes" in data:
            now = before | {topic: _changed(before.get(topic, {}), **how) for topic, how in data["changes"].items()}
        else:
            told, after, until = data["topics"], data["after"], data["until"]
            now = told | {topic: who for topic, who in before.items() if topic <= after or (until and topic > until)}
        self._elsewhere[data["process"]] = (self._clock.monotonic() + _SILENT_FOR * self._interval, now)
        for topic in self._followers.keys() & (before.keys() | now.keys()):
            self._note_change(topic)

    async def follow(self) -> None:
        """Tell the others who is here, and followers who has come and gone, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._tell_everything()
            due = loop.time() + self._interval
            while await self._has_changed_before(due):
                await asyncio.sleep(min(_PAUSE, self._interval))
                await self._tell_changes()

    async def _has_changed_before(self, due: float) -> bool:
        try:
            async with asyncio.timeout_at(due):
                await self._has_changed.wait()
        except TimeoutError:
            return False
        return True

    async def _tell_everything(self) -> None:
        here = self._everybody()
        if here or self._told:
            for part in _parts(here):
                await self._publish(**part)
        self._told = here
        self._forget_silent()
        for topic in list(self._followers):
            self._tell_followers(topic)

    async def _tell_changes(self) -> None:
        changed, self._changed = self._changed, set()
        self._has_changed.clear()
        changes = {}
        for topic in sorted(changed):
            self._tell_followers(topic)
            before, here = self._told.get(topic, {}), self._here(topic)
            if before.keys() != here.keys():
                self._told[topic] = here
                joined, left = _difference(before, here)
                changes[topic] = {"joined": joined, "left": sorted(left)}
        topics = list(changes)
        for start in range(0, len(topics), _MOST_TOLD):
            await self._publish(changes={topic: changes[topic] for topic in topics[start : start + _MOST_TOLD]})

    async def _publish(self, **told: Any) -> None:
        await self._bus.publish(Event(TOPIC, TOPIC, {"process": self._process, **told}))

    def _tell_followers(self, topic: str) -> None:
        followers = self._followers.get(topic)
        if not followers:
            return
        members = self._members(topic)
        joined, left = _difference(self._shown[topic], members)
        self._shown[topic] = members
        if joined or left:
            data = {"count": len(members), "joined": _shown(joined), "left": _shown(left)}
            frame = notice("presence", self._clock.now(), data, topic=topic)
            for connection in tuple(followers):
                connection.outlet.push(frame)

    def _note_change(self, topic: str) -> None:
        self._changed.add(topic)
        self._has_changed.set()

    def _forget_follower(self, topic: str, connection: Connection) -> None:
        followers = self._followers.get(topic, set())
        followers.discard(connection)
        if not followers:
            self._followers.pop(topic, None)
            self._shown.pop(topic, None)

    def _everybody(self) -> dict[str, Members]:
        has_presence = self._topics.has_presence
        topics = {topic for connection in self._registry for topic in connection.topics if has_presence(topic)}
        return {topic: self._here(topic) for topic in topics}

    def _members(self, topic: str) -> Members:
        return {**self._here(topic), **self._there(topic)}

    def _here(self, topic: str) -> Members:
        return _names(self._hub.listeners(topic))

    def _there(self, topic: str) -> Members:
        self._forget_silent()
        tellings: Sequence[Mapping[str, Members]] = [topics for _, topics in self._elsewhere.values()]
        return {user_id: name for topics in tellings for user_id, name in topics.get(topic, {}).items()}

    def _forget_silent(self) -> None:
        now = self._clock.monotonic()
        self._elsewhere = {key: told for key, told in self._elsewhere.items() if told[0] > now}


def _parts(here: Mapping[str, Members]) -> Iterator[dict[str, Any]]:
    """A whole round, in events of a bounded number of topics each: of all that come `after` one, `until` another one if
    there is any, whoever is not among `topics` is not here."""
    topics, after = sorted(here), ""
    for start in range(0, max(1, len(topics)), _MOST_TOLD):
        names = topics[start : start + _MOST_TOLD]
        until = names[-1] if start + _MOST_TOLD < len(topics) else ""
        yield {"topics": {topic: here[topic] for topic in names}, "after": after, "until": until}
        after = until


def _names(connections: Iterable[Connection]) -> Members:
    return {
        connection.identity.id: connection.identity.name
        for connection in connections
        if connection.identity is not None and connection.is_open
    }


def _changed(before: Members, *, joined: Members, left: Iterable[str]) -> dict[str, str]:
    gone = set(left)
    return {user_id: name for user_id, name in before.items() if user_id not in gone} | dict(joined)


def _difference(before: Members, now: Members) -> tuple[Members, Members]:
    """Who has joined, and who has left."""
    joined = {user_id: name for user_id, name in now.items() if user_id not in before}
    left = {user_id: name for user_id, name in before.items() if user_id not in now}
    return joined, left


def _shown(members: Members) -> list[dict[str, str]]:
    first = sorted(members.items(), key=lambda member: (member[1], member[0]))[:_MOST_SHOWN]
    return [{"id": user_id, "name": name} for user_id, name in first]
