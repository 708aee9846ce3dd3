"""What goes over the wire: encoded once, shared by all connections."""

import json
from datetime import UTC, datetime
from typing import Any

from starlette.types import Message

from powerstrip import LogEntry, Problem

_SEPARATORS = (",", ":")


class Frame:
    """One message, as a WebSocket and as an event stream carry it.

    `key` is what a newer message replaces when a queue coalesces; frames without one are never replaced or dropped.
    """

    __slots__ = ("_stream", "_whole", "key", "position", "size", "socket", "text")

    def __init__(self, text: str, position: str = "", key: tuple[str, str] | None = None) -> None:
        self.text = text
        self.position = position
        self.key = key
        self.size = len(text)
        self.socket: Message = {"type": "websocket.send", "text": text}
        self._stream: Message | None = None
        self._whole: bytes | None = None

    @property
    def whole(self) -> bytes:
        """The bytes of the WebSocket frame: text, unfragmented, not masked (RFC 6455, 5.2)."""
        if self._whole is None:
            payload = self.text.encode()
            size = len(payload)
            if size < 126:
                head = bytes((0x81, size))
            elif size < 65_536:
                head = b"\x81\x7e" + size.to_bytes(2)
            else:
                head = b"\x81\x7f" + size.to_bytes(8)
            self._whole = head + payload
        return self._whole

    @property
    def stream(self) -> Message:
        """The message of an event stream (HTML, 9.2.6). JSON has no line breaks, so its data is one line."""
        if self._stream is None:
            named = f"id: {self.position}\n" if self.position else ""
            self._stream = body(f"{named}data: {self.text}\n\n")
        return self._stream


class Raw(Frame):
    """A message that is no JSON: `pong`, or a comment of an event stream."""

    __slots__ = ()

    @property
    def stream(self) -> Message:
        return body(self.text)


def event_frame(entry: LogEntry) -> Frame:
    """An event at its position."""
    event = entry.event
    position = str(entry.position)
    text = encode(
        {"id": position, "type": event.type, "topic": event.topic, "time": timestamp(event.time), "data": event.data}
    )
    return Frame(text, position, (event.topic, event.type))


def notice(kind: str, now: datetime, data: Any, *, topic: str | None = None, position: str = "") -> Frame:
    """Something about the connection itself: `connected`, `gap`, `dropped`, `closing`."""
    fields = {"id": position or None, "type": kind, "topic": topic, "time": timestamp(now), "data": data}
    return Frame(encode(fields), position)


def reply(to: Any, data: Any) -> Frame:
    """The answer to a command."""
    return Frame(encode({"type": "reply", "reply_to": to, "ok": True, "data": data}))


def failure(to: Any, problem: Problem) -> Frame:
    """The answer to a command that can't be done."""
    error = {**problem.extra, "type": problem.type, "message": problem.message, "status_code": problem.status}
    if problem.details:
        error["details"] = problem.details
    return Frame(encode({"type": "reply", "reply_to": to, "ok": False, "error": error}))


def body(text: str) -> Message:
    """A piece of an event stream."""
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}


def encode(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=_SEPARATORS)


def timestamp(moment: datetime) -> str:
    """RFC 3339, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
