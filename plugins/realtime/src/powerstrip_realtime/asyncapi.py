"""The AsyncAPI 3.0 document: what is said over WebSockets and event streams, made of the registered topics."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from powerstrip_realtime.domain import PROTOCOL
from powerstrip_realtime.messages import Authenticate, Command, Ping, Presence, Resume, Subscribe, Unsubscribe
from powerstrip_realtime.topics import Topic

_COMMANDS: tuple[type[Command], ...] = (Ping, Subscribe, Unsubscribe, Presence, Resume, Authenticate)
_REF = "#/components/schemas/{model}"


def describe(topics: Iterable[Topic], *, title: str, version: str) -> dict[str, Any]:
    """The document: a channel for each topic, one for the commands, and all messages with their schemas."""
    known = list(topics)
    schemas = _schemas({*(model for topic in known for model in topic.events.values()), *_COMMANDS})
    messages = {
        **{
            f"{topic.name}.{kind}": _event(topic, kind, model)
            for topic in known
            for kind, model in topic.events.items()
        },
        **{f"command.{_type_of(command)}": _command(command) for command in _COMMANDS},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, "description": f"Subprotocol `{PROTOCOL}` over `/ws`."},
        "defaultContentType": "application/json",
        "channels": {**{topic.name: _channel(topic) for topic in known}, "commands": _command_channel()},
        "operations": {**{f"receive-{topic.name}": _receive(topic.name) for topic in known}, "send-command": _send()},
        "components": {"messages": messages, "schemas": schemas},
    }


def _schemas(models: Iterable[type[BaseModel]]) -> Mapping[str, Any]:
    chosen = sorted(models, key=lambda model: (model.__name__, model.__module__))
    _, document = models_json_schema([(model, "serialization") for model in chosen], ref_template=_REF)
    found: Mapping[str, Any] = document.get("$defs", {})
    return found


def _channel(topic: Topic) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": topic.template,
        "description": topic.description,
        "messages": {kind: {"$ref": f"#/components/messages/{topic.name}.{kind}"} for kind in topic.events},
    }
    if topic.parameters:
        channel["parameters"] = {name: {"description": f"The {name.replace('_', ' ')}."} for name in topic.parameters}
    return channel


def _command_channel() -> dict[str, Any]:
    names = [f"command.{_type_of(command)}" for command in _COMMANDS]
    return {
        "address": "/ws",
        "description": "What a client sends over its WebSocket.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }


def _event(topic: Topic, kind: str, model: type[BaseModel]) -> dict[str, Any]:
    fields = {
        "id": {"type": "string", "description": "The position: send it to resume after this event."},
        "type": {"const": kind},
        "topic": {"type": "string", "examples": [topic.template]},
        "time": {"type": "string", "format": "date-time"},
        "data": {"$ref": _REF.format(model=model.__name__)},
    }
    payload = {"type": "object", "properties": fields, "required": list(fields)}
    return {"name": kind, "summary": _summary(model), "payload": payload}


def _command(command: type[Command]) -> dict[str, Any]:
    reference = {"$ref": _REF.format(model=command.__name__)}
    return {"name": _type_of(command), "summary": _summary(command), "payload": reference}


def _receive(topic: str) -> dict[str, Any]:
    return {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}, "summary": "Clients receive this."}


def _send() -> dict[str, Any]:
    return {"action": "receive", "channel": {"$ref": "#/channels/commands"}, "summary": "Clients send this."}


def _type_of(command: type[Command]) -> str:
    return str(command.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or model.__name__).partition("\n")[0]
