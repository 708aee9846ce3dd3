"""Puts the running parts together."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from powerstrip import Authenticator, Clock, EventBus, EventLog, HookCalls, HostStatus, Retention, Services
from powerstrip_realtime import presence, tickets
from powerstrip_realtime.admission import Admission
from powerstrip_realtime.hub import Hub
from powerstrip_realtime.memory_log import MemoryEventLog
from powerstrip_realtime.notifications import Notifications
from powerstrip_realtime.presence import Attendance
from powerstrip_realtime.registry import Registry
from powerstrip_realtime.schemas import Notification
from powerstrip_realtime.sessions import Sessions
from powerstrip_realtime.settings import HistorySettings, RealtimeSettings
from powerstrip_realtime.sockets import Sockets
from powerstrip_realtime.streams import Streams
from powerstrip_realtime.tickets import Tickets
from powerstrip_realtime.topics import Topics, own_topics

if TYPE_CHECKING:
    from powerstrip_realtime.inbox import StoredInboxes

# The event topics that may tell of changed access.
_ACCESS = ("user.*", "users.*", "session.*")
# Those that admins are notified of.
_NEWS = ("user.created", "user.deleted", "users.bulk_updated")


@asynccontextmanager
async def running_realtime(settings: RealtimeSettings, services: Services) -> AsyncGenerator[tuple[object, ...]]:
    """The services of realtime, from the start of its lifespan to its end."""
    bus, clock = services[EventBus], services[Clock]
    topics = collect_topics(services[HookCalls])
    async with AsyncExitStack() as stack:
        shared = services.get(EventLog)
        log = shared or MemoryEventLog(settings.history, clock)
        hub = Hub(log, clock)
        registry = Registry(settings, services[HostStatus], clock)
        ticketing = Tickets(settings.sign_in, bus, log, clock)
        admission = Admission(
            settings.origins,
            ticketing,
            services.get(Authenticator),
            first_message=settings.sign_in.first_message,
        )
        sessions = Sessions(hub, log, topics, settings.limits, clock)
        attendance = Attendance(
            hub=hub, registry=registry, topics=topics, bus=bus, clock=clock, interval=settings.presence_interval
        )
        hub.watch(attendance.on_audience_change)
        further, inboxes = _stored(settings, services)
        notifications = Notifications(inboxes, bus, clock)
        sockets = Sockets(
            settings=settings,
            clock=clock,
            admission=admission,
            registry=registry,
            hub=hub,
            sessions=sessions,
            attendance=attendance,
        )
        streams = Streams(
            settings=settings,
            admission=admission,
            registry=registry,
            hub=hub,
            sessions=sessions,
            topics=topics,
            clock=clock,
        )
        stack.push_async_callback(hub.close)
        stack.enter_context(log.retain(_retaining(topics, settings.history)))
        stack.enter_context(log.follow(hub))
        if shared is None:
            stack.enter_context(bus.carry(log))
        for topic in _ACCESS:
            stack.enter_context(bus.subscribe(topic, registry.on_event))
            stack.enter_context(bus.subscribe(topic, ticketing.on_access_change))
        for topic in _NEWS:
            stack.enter_context(bus.subscribe(topic, notifications.on_user_event, origin="here"))
        stack.enter_context(bus.subscribe(tickets.TOPIC, ticketing.on_event))
        stack.enter_context(bus.subscribe(presence.TOPIC, attendance.on_event))
        stack.push_async_callback(registry.drain)
        yield topics, hub, registry, ticketing, attendance, notifications, sockets, streams, *further


def collect_topics(hooks: HookCalls) -> Topics:
    """The topics that are always there, and those of other plugins."""
    own = [("realtime", topic) for topic in own_topics(Notification)]
    return Topics([*own, *((name, topic) for name, found in hooks.call_each("register_topics") for topic in found)])


def _retaining(topics: Topics, history: HistorySettings) -> Any:
    retention = Retention(history.size, history.seconds)

    def wanted(topic: str) -> Retention | None:
        return retention if topics.knows(topic) else None

    return wanted


def _stored(settings: RealtimeSettings, services: Services) -> "tuple[tuple[object, ...], StoredInboxes | None]":
    # Late: SQLAlchemy takes a third of a second to import, and only those with a database need it.
    from powerstrip_database import Database  # noqa: PLC0415

    database = services.get(Database)
    if database is None:
        return (), None
    # Late, see above.
    from powerstrip_realtime.inbox import StoredInboxes  # noqa: PLC0415
    from powerstrip_realtime.outbox import Outbox  # noqa: PLC0415

    clock = services[Clock]
    outbox = Outbox(database, services[EventBus], clock)
    inboxes = StoredInboxes(database, outbox, clock, settings.notifications_kept)
    return (outbox, inboxes), inboxes
