"""Topics: what there is to listen to, and who may."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from powerstrip import Identity, hookspec
from powerstrip_realtime.errors import TopicForbidden, UnknownTopic

_TEMPLATE = re.compile(r"[a-z][a-z0-9_.-]*(:\{[a-z_]+\})*")
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_LONGEST_TOPIC = 200

Rule = Callable[[Identity, Mapping[str, str]], bool | Awaitable[bool]]


def _nobody(_identity: Identity, _parameters: Mapping[str, str]) -> bool:
    return False


@dataclass(frozen=True)
class Topic:
    """Something that clients can subscribe to: events of the bus whose topic fits `template` reach them.

    - `template`: a name and parameters, `orders` or `orders:{order_id}`; names are unique among all plugins;
    - `may_subscribe(identity, parameters)`: whether a caller may, sync or async; it is asked at each subscription and
      before any history is shown. Nobody may unless it is stated;
    - `events`: the types of events that are published there, each with the pydantic model of its data;
    - `automatic(identity)`: parameters with which every connection of this caller is subscribed without asking;
    - `presence`: whether subscribers may see who else is there, and be told who comes and goes.
    """

    template: str
    description: str = ""
    may_subscribe: Rule = _nobody
    events: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    automatic: Callable[[Identity], Iterable[Mapping[str, str]]] | None = None
    presence: bool = False

    def __post_init__(self) -> None:
        if not _TEMPLATE.fullmatch(self.template):
            raise ValueError(f"'{self.template}' is no topic: it looks like orders or orders:{{order_id}}")

    @property
    def name(self) -> str:
        """The part before the first colon."""
        return self.template.partition(":")[0]

    @property
    def parameters(self) -> Sequence[str]:
        return _PARAMETER.findall(self.template)

    def address(self, parameters: Mapping[str, str]) -> str:
        """The topic with its parameters filled in."""
        return ":".join((self.name, *(parameters[name] for name in self.parameters)))


class TopicHooks:
    """What a plugin can tell realtime. It is called while realtime starts, and when a reload changes who tells."""

    @hookspec
    def register_topics(self) -> Sequence[Topic]:  # type: ignore[empty-body]
        """The topics that this plugin publishes events to, for clients to subscribe to."""


class Topics:
    """All topics, by name."""

    def __init__(self, topics: Iterable[tuple[str, Topic]]) -> None:
        """`topics` come with the plugin that registered them. Raises ValueError for a name that two want."""
        self._topics: dict[str, Topic] = {}
        owners: dict[str, str] = {}
        for plugin, topic in topics:
            if topic.name in self._topics:
                raise ValueError(f"plugins '{owners[topic.name]}' and '{plugin}' both register a topic '{topic.name}'")
            self._topics[topic.name], owners[topic.name] = topic, plugin

    def take(self, other: "Topics") -> None:
        """Know those of the other from now on. Whoever listens to one that is gone hears nothing more."""
        self._topics = {topic.name: topic for topic in other}

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._topics.values())

    def find(self, address: str) -> tuple[Topic, Mapping[str, str]]:
        """The topic that an address belongs to, and its parameters. Raises UnknownTopic."""
        name, colon, rest = address.partition(":")
        topic = self._topics.get(name) if len(address) <= _LONGEST_TOPIC else None
        if topic is None:
            raise UnknownTopic
        # The last parameter takes what is left: ids may hold colons.
        values = rest.split(":", len(topic.parameters) - 1) if colon and topic.parameters else [rest] if colon else []
        if len(values) != len(topic.parameters) or not all(values):
            raise UnknownTopic
        return topic, dict(zip(topic.parameters, values, strict=True))

    def knows(self, address: str) -> bool:
        """Whether clients can listen to it. Asked for each event, so it only looks at the name."""
        return address.partition(":")[0] in self._topics

    def has_presence(self, address: str) -> bool:
        """Whether subscribers may see who is there. Asked as often, so it only looks at the name, too."""
        topic = self._topics.get(address.partition(":")[0])
        return topic is not None and topic.presence

    async def check(self, identity: Identity, address: str) -> Topic:
        """The topic that a caller wants to subscribe to. Raises UnknownTopic, TopicForbidden."""
        topic, parameters = self.find(address)
        answer = topic.may_subscribe(identity, parameters)
        if inspect.isawaitable(answer):
            answer = await answer
        if not answer:
            raise TopicForbidden
        return topic

    def automatic(self, identity: Identity) -> list[str]:
        """What every connection of this caller is subscribed to."""
        return [
            topic.address(parameters)
            for topic in self._topics.values()
            if topic.automatic is not None
            for parameters in topic.automatic(identity)
        ]


def own_topics(notification: type[BaseModel]) -> Sequence[Topic]:
    """The topics that are always there."""
    events = {"notification": notification}
    return (
        Topic(
            "user:{user_id}",
            "Events for one user, on all of the user's connections.",
            may_subscribe=lambda identity, parameters: identity.id == parameters["user_id"],
            events=events,
            automatic=lambda identity: [{"user_id": identity.id}],
        ),
        Topic(
            "role:{role}",
            "Events for everybody who has a role.",
            may_subscribe=lambda identity, parameters: parameters["role"] in identity.roles,
            events=events,
            automatic=lambda identity: [{"role": role} for role in sorted(identity.roles)],
        ),
        Topic(
            "broadcast",
            "Events for everybody who is signed in.",
            may_subscribe=lambda _identity, _parameters: True,
            events=events,
            automatic=lambda _identity: [{}],
        ),
    )
