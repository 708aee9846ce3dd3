"""What an operator can set. Times are in seconds, sizes in bytes."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from powerstrip import PluginSettings

Origin = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^(\*|https?://[a-z0-9.:\[\]-]+)$")
]
SlowPolicy = Literal["disconnect", "drop_oldest", "coalesce"]


class QueueSettings(PluginSettings):
    """What waits for a client that reads more slowly than events come in."""

    messages: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Messages that may wait for one connection."""

    size: Annotated[int, Field(ge=1_024, le=67_108_864)] = 1_048_576
    """Bytes that may wait for one connection, beside what the server's own buffers hold (some 64 KiB)."""

    when_full: SlowPolicy = "disconnect"
    """`disconnect` closes with 1013, and the client resumes from the history; `drop_oldest` lets it miss the oldest,
    and tells it so; `coalesce` keeps only the newest of each topic and type, and disconnects if that is too much."""

    write_timeout: Annotated[float, Field(gt=0, le=600)] = 20.0
    """A client that takes nothing for this long is dropped."""


class HistorySettings(PluginSettings):
    """What is kept of each topic, for clients that come back."""

    size: Annotated[int, Field(ge=0, le=100_000)] = 1_000
    """Events of one topic; 0 keeps none."""

    seconds: Annotated[float, Field(ge=1, le=604_800)] = 600.0
    """How long a topic's events are kept after its last one."""

    topics: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Topics that are kept in this process's memory; the one that was quiet longest goes first."""

    memory: Annotated[int, Field(ge=65_536)] = 268_435_456
    """Bytes of events that are kept in this process's memory, roughly."""


class LimitSettings(PluginSettings):
    """How much one client may have."""

    connections: Annotated[int, Field(ge=1)] = 20_000
    """Connections of this process."""

    connections_per_user: Annotated[int, Field(ge=1)] = 20
    """Connections of one user to this process."""

    connections_per_address: Annotated[int, Field(ge=1)] = 200
    """Connections from one address (one /64 of IPv6) to this process. Where a proxy stands in front, tell `edge` to
    believe it: otherwise all clients share the proxy's address."""

    unidentified_per_address: Annotated[int, Field(ge=1)] = 20
    """Those among them that have not signed in yet."""

    topics: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Topics that one connection may subscribe to."""

    message_size: Annotated[int, Field(ge=128, le=1_048_576)] = 65_536
    """Largest message from a client; a larger one closes the connection with 1009."""

    messages: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*/\w+$")] = "120/minute"
    """How many messages a client may send; counted while a plugin that counts, like `ratelimit`, is on."""

    errors: Annotated[int, Field(ge=1)] = 20
    """Messages with errors after which a connection is closed."""


class SignInSettings(PluginSettings):
    """How a client says who it is."""

    ticket_lifetime: Annotated[float, Field(ge=1, le=30)] = 30.0
    """How long a one-time ticket can be used."""

    tickets_per_user: Annotated[int, Field(ge=1)] = 20
    """Unused tickets that one user may have."""

    first_message: bool = True
    """Lets clients that offer the subprotocol `powerstrip.v1` sign in by their first message."""

    first_message_timeout: Annotated[float, Field(ge=0.1, le=10)] = 10.0
    """How long such a connection may wait with it."""

    session_lifetime: Annotated[float, Field(ge=1, le=86_400)] = 1_800.0
    """After this time a connection is closed with 4001, unless the client has signed in again."""


class RealtimeSettings(PluginSettings):
    """WebSockets, server-sent events and notifications."""

    origins: list[Origin] = Field(default_factory=list)
    """Origins whose pages may connect, beside the API's own: `https://app.example.com`; `*` allows any."""

    queue: QueueSettings = QueueSettings()
    """What waits for slow clients."""

    history: HistorySettings = HistorySettings()
    """What is kept for clients that come back."""

    limits: LimitSettings = LimitSettings()
    """Bounds on connections, topics and messages."""

    sign_in: SignInSettings = SignInSettings()
    """Tickets, first messages and how long a sign-in counts."""

    heartbeat: Annotated[float, Field(ge=0.1, le=300)] = 15.0
    """How often an event stream says that it is alive. WebSockets are pinged by the server, every 20 s."""

    presence_interval: Annotated[float, Field(ge=0.05, le=300)] = 10.0
    """How often processes tell one another who is present; one that is silent for three times as long is forgotten."""

    notifications_kept: Annotated[float, Field(ge=60)] = 7_776_000.0
    """How long notifications stay in inboxes."""

    drain_batch: Annotated[int, Field(ge=1)] = 500
    """Connections that are closed at a time when the plugin stops."""

    drain_pause: Annotated[float, Field(ge=0, le=10)] = 0.1
    """Time between two batches."""

    drain_spread: Annotated[float, Field(ge=0, le=300)] = 10.0
    """The time over which clients are asked to spread their return, each at random."""

    demo: bool = True
    """Serves the page `/realtime/demo` while `app.debug` is on."""
