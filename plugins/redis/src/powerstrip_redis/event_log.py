"""The event log that several processes share: positions and history in Redis, and one reader in each process."""

import asyncio
import hashlib
import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from powerstrip import Event, EventLog, LogEntry, LogListener, LogPosition, Replay, Retention
from powerstrip_redis.clients import RedisClient
from powerstrip_redis.errors import RedisUnavailable
from powerstrip_redis.scripts import APPEND, BREAK, SINCE
from powerstrip_redis.service import RedisConnections
from powerstrip_redis.settings import EventSettings

logger = logging.getLogger(__name__)

_SAME_EVENT_MS = 600_000
_LOOK_INTERVAL = 1.0  # seconds without news after which the reader looks whether it has missed some
_OPEN_LIMIT = 2.0
_AT_ONCE = 200

Fields = Mapping[bytes, bytes]
Wanted = Callable[[str], Retention | None]


class RedisEventLog(EventLog):
    """Appends by one script, which gives the event its offset, and adds it to a feed that every process reads.

    - While the server is away, events wait in memory, in order and at most `pending` of them. If some had to be
      dropped, a new epoch begins, so that everybody is told of the gap.
    - A server that has lost its memory begins a new epoch by itself.
    - A reader that was too slow for the feed notices it by the offsets.
    """

    def __init__(self, connections: RedisConnections, settings: EventSettings) -> None:
        self._connections = connections
        self._settings = settings
        self._process = uuid4().hex[:12]
        self._position = LogPosition("", 0)
        self._listeners: list[LogListener] = []
        self._wanted: list[Wanted] = []
        self._pending: deque[Event] = deque()
        self._has_pending = asyncio.Event()
        self._has_dropped = False
        self._meta, self._feed, self._topics = (self._key(name) for name in ("meta", "feed", "topics"))
        self._topic_prefix = self._key("topic", "")

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def position(self) -> LogPosition:
        return self._position

    @property
    def waiting(self) -> int:
        """Events that wait in this process for the server."""
        return len(self._pending)

    async def append(self, event: Event) -> None:
        json.dumps(event.data)  # raises TypeError for what is no JSON, whether or not the server is there
        if self._pending:
            self._wait_with(event)  # behind those that came before it
            return
        try:
            await self._add(event)
        except RedisUnavailable:
            self._wait_with(event)

    async def since(self, topic: str, position: LogPosition) -> Replay:
        arguments = (topic, position.epoch, position.offset, self._topic_prefix)
        try:
            async with self._connections.available() as client:
                is_complete, *found = await _run(client, SINCE, (self._meta, self._topics), arguments)
        except (RedisError, RedisClusterException, RedisUnavailable):
            return Replay((), is_complete=False)  # nobody can say what is missing
        entries = [self._entry(position.epoch, name, _fields(flat)) for name, flat in (found[0] if found else ())]
        return Replay(entries, is_complete=bool(is_complete))

    @contextmanager
    def retain(self, wanted: Wanted) -> Iterator[None]:
        self._wanted.append(wanted)
        try:
            yield
        finally:
            self._wanted.remove(wanted)

    @contextmanager
    def follow(self, listener: LogListener) -> Iterator[None]:
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def claim(self, key: str, seconds: float) -> bool:
        async with self._connections.available() as client:
            taken = await client.set(self._key("claim", key), "1", nx=True, px=round(seconds * 1000))
        return bool(taken)

    async def open(self) -> None:
        """Find out where the log stands, if the server is there, so that nothing is missed from now on."""
        with suppress(RedisUnavailable):
            async with self._connections.available(within=_OPEN_LIMIT) as client:
                await self._begin(client)

    async def read(self) -> None:
        """Tell listeners of what is appended anywhere, for ever."""
        failures = 0  # without having read anything in between
        while True:
            try:
                async with self._connections.blocking(_LOOK_INTERVAL) as client:
                    await self._begin(client)
                    while True:
                        await self._read(client)
                        if failures > 1:
                            logger.info("the event log can be read again")
                        failures = 0
            except (RedisError, RedisClusterException, OSError, TimeoutError, RedisUnavailable) as error:
                # Of a server that is away the circuit breaker tells, which is asked below: once for all who use it.
                # What fails again after that fails although the server is there.
                failures += 1
                if failures == 2:
                    logger.warning("the event log can't be read", extra={"reason": f"{type(error).__name__}: {error}"})
                if failures > 1:
                    await asyncio.sleep(_LOOK_INTERVAL)
                await self._connections.wait_until_available()

    async def flush(self) -> None:
        """Append what had to wait for the server, for ever."""
        while True:
            await self._has_pending.wait()
            try:
                await self._flush()
            except RedisUnavailable:
                await self._connections.wait_until_available()

    async def _flush(self) -> None:
        # More may come, and the oldest be dropped, while the server is asked.
        while self._has_dropped or self._pending:
            if self._has_dropped:
                await self._break()
                continue
            event = self._pending[0]
            await self._add(event)
            if self._pending[0] is event:
                self._pending.popleft()
        self._has_pending.clear()

    async def _break(self) -> None:
        """Begin a new epoch, which tells everybody that events are lost."""
        self._has_dropped = False
        try:
            async with self._connections.available() as client:
                await _run(client, BREAK, (self._meta, self._feed, self._topics), (_new_epoch(),))
        except BaseException:
            self._has_dropped = True
            raise

    def _wait_with(self, event: Event) -> None:
        if len(self._pending) >= self._settings.pending:
            self._pending.popleft()
            if not self._has_dropped:
                logger.error("events are lost: the Redis server is away, and too many wait for it")
            self._has_dropped = True
        self._pending.append(event)
        self._has_pending.set()

    async def _add(self, event: Event) -> None:
        retention = next(filter(None, (wanted(event.topic) for wanted in self._wanted)), None)
        keys = (self._meta, self._feed, self._topics, self._key("event", event.id))
        arguments = (
            _new_epoch(),
            _encode(event),
            event.topic,
            self._settings.feed,
            retention.size if retention else -1,
            round(retention.seconds * 1000) if retention else 0,
            self._settings.topics,
            self._process,
            _SAME_EVENT_MS,
            self._topic_prefix,
        )
        async with self._connections.available() as client:
            await _run(client, APPEND, keys, arguments)

    async def _begin(self, client: RedisClient) -> None:
        """See to it that there is an epoch, and find out where this process stands in it."""
        keys = (self._meta, self._feed, self._topics, self._key("event", "none"))
        await _run(client, APPEND, keys, (_new_epoch(), "", "", 0, -1, 0, 0, "", 1, ""))
        if self._position.epoch:
            await self._look(client)
        else:  # whoever listens already may have missed something
            await self._skip_to(await self._newest(client))

    async def _newest(self, client: RedisClient) -> LogPosition:
        epoch, offset = cast("list[bytes | None]", await client.hmget(self._meta, ["epoch", "offset"]))
        return LogPosition(str(epoch or b"", "ascii"), int(offset or 0))

    async def _read(self, client: RedisClient) -> None:
        after = f"{self._position.offset}-0"
        block = round(_LOOK_INTERVAL * 1000)
        found = await client.execute_command(
            "XREAD", "COUNT", _AT_ONCE, "BLOCK", block, "STREAMS", self._feed, after, keys=[self._feed]
        )
        entries = _entries_of(found)
        for name, fields in entries:
            await self._tell(fields[b"e"].decode(), name, fields)
        if not entries:
            await self._look(client)

    async def _look(self, client: RedisClient) -> None:
        """Whether there is news that did not come: another epoch has begun, or the feed was cut before it was read."""
        newest = await self._newest(client)
        if newest.epoch != self._position.epoch:
            await self._skip_to(LogPosition(newest.epoch, 0))
        elif newest.offset > self._position.offset:
            first = await client.xrange(self._feed, f"({self._position.offset}-0", "+", count=1)
            if not first:
                await self._skip_to(newest)

    async def _tell(self, epoch: str, name: bytes, fields: Fields) -> None:
        entry = self._entry(epoch, name, fields)
        position = entry.position
        if epoch != self._position.epoch or position.offset > self._position.offset + 1:
            await self._skip_to(LogPosition(epoch, position.offset - 1))
        self._position = position
        for listener in list(self._listeners):
            await listener.on_entry(entry)

    async def _skip_to(self, position: LogPosition) -> None:
        self._position = position
        for listener in list(self._listeners):
            await listener.on_gap()

    def _entry(self, epoch: str, name: bytes, fields: Fields) -> LogEntry:
        position = LogPosition(epoch, int(name.partition(b"-")[0]))
        return LogEntry(_decode(fields[b"p"]), position, is_local=fields[b"o"].decode() == self._process)

    def _key(self, *parts: str) -> str:
        return self._connections.key("{events}", *parts)


async def _run(client: RedisClient, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    digest = _digest(script)
    try:
        return await client.evalsha(digest, len(keys), *keys, *arguments)
    except NoScriptError:  # a server that was restarted knows none
        return await client.eval(script, len(keys), *keys, *arguments)


def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _fields(flat: Sequence[bytes]) -> Fields:
    """What scripts answer is not taken apart by redis-py, as what commands answer is."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _entries_of(found: Any) -> Sequence[tuple[bytes, Fields]]:
    """The entries of the one stream that was read: RESP3 answers with a map, RESP2 with a list of pairs."""
    if not found:
        return ()
    [(_, entries)] = found.items() if isinstance(found, dict) else found
    taken: Sequence[tuple[bytes, Fields]] = entries
    return taken


def _new_epoch() -> str:
    return uuid4().hex[:12]


def _encode(event: Event) -> str:
    fields = [event.id, event.topic, event.type, event.time.isoformat(), event.data]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _decode(payload: bytes) -> Event:
    event_id, topic, kind, time, data = json.loads(payload)
    return Event(topic, kind, data, id=event_id, time=datetime.fromisoformat(time))
