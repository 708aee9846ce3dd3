"""What clients send over a WebSocket."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from powerstrip_realtime.errors import InvalidMessage

CommandId = Annotated[int, Field(ge=0, le=2**53)] | Annotated[str, Field(max_length=64)] | None
TopicName = Annotated[str, Field(min_length=1, max_length=200)]
PositionText = Annotated[str, Field(max_length=64)]
Credential = Annotated[str, Field(min_length=1, max_length=8_192)]


class Command(BaseModel):
    """What all commands have: an `id`, chosen by the client, that the answer repeats as `reply_to`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: CommandId = None


class Ping(Command):
    """Asks for an answer."""

    type: Literal["ping"]


class Subscribe(Command):
    """Listens to a topic, and catches up with it from a position."""

    type: Literal["subscribe"]
    topic: TopicName
    since: PositionText | None = None


class Unsubscribe(Command):
    """Stops listening to a topic."""

    type: Literal["unsubscribe"]
    topic: TopicName


class Presence(Command):
    """Asks who listens to a topic, and with `follow` to be told from now on who comes and goes, or no longer."""

    type: Literal["presence"]
    topic: TopicName
    follow: bool | None = None


class Resume(Command):
    """Catches up with all topics of the connection from a position."""

    type: Literal["resume"]
    since: PositionText


class Authenticate(Command):
    """Signs in, as the first message or again; as the first it may also say what `?topics=` and `?since=` do."""

    type: Literal["authenticate"]
    token: Credential | None = None
    ticket: Credential | None = None
    topics: list[TopicName] = Field(default_factory=list, max_length=100)
    since: PositionText | None = None


AnyCommand = Ping | Subscribe | Unsubscribe | Presence | Resume | Authenticate

_COMMANDS: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="type")])


def parse(text: str) -> AnyCommand:
    """Read a message. Raises InvalidMessage, with details but never the values: they may be secrets."""
    try:
        return _COMMANDS.validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        details = [{"location": list(one["loc"]), "message": one["msg"], "code": one["type"]} for one in problems[:5]]
        raise InvalidMessage(details=details) from None


def command_id(text: str) -> Any:
    """The id of a message that can't be read otherwise, if it has one."""
    try:
        return _Identified.model_validate_json(text).id
    except ValidationError:
        return None


class _Identified(BaseModel):
    id: CommandId = None
