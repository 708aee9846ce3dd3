"""What is no WebSocket frame (RFC 6455, 5) ends its own connection, and disturbs no other."""

import asyncio
import logging

import pytest

from powerstrip.testing import signed_in
from powerstrip_realtime.registry import Registry

HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)
NO_MASK = b"\0\0\0\0"
FRAMES = {
    "a frame that is not masked": (b"\x81\x04ping", 1002),
    "an opcode that means nothing": (b"\x83\x80" + NO_MASK, 1002),
    "bits that nobody agreed upon": (b"\xc1\x84" + NO_MASK + b"ping", 1002),
    "a continuation of nothing": (b"\x80\x84" + NO_MASK + b"ping", 1002),
    "a ping in pieces": (b"\x09\x80" + NO_MASK, 1002),
    "a ping that is too long": (b"\x89\xfe\x00\x7e" + NO_MASK + b"x" * 126, 1002),
    "another protocol": (b"GET / HTTP/1.1\r\n\r\n", 1002),
    "text that is no UTF-8": (b"\x81\x82" + NO_MASK + b"\xc3\x28", 1007),
    "more than anybody has": (b"\x81\xff\x3f" + b"\xff" * 7 + NO_MASK, 1009),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_malformed_frame_ends_its_connection_alone(api, caplog, name):
    sent, expected = FRAMES[name]
    async with api.socket(api.bob) as bob:
        with caplog.at_level(logging.WARNING):
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            headers = "".join(f"{name}: {value}\r\n" for name, value in signed_in(api.ann).items())
            writer.write(f"{HANDSHAKE}{headers}\r\n".encode())
            await reader.readuntil(b'"connected"')
            writer.write(sent)
            rest = await asyncio.wait_for(reader.read(), 20)
            writer.close()

        closing = rest.index(b"\x88")
        assert int.from_bytes(rest[closing + 2 : closing + 4]) == expected
        await api.until(lambda: len(list(api.services[Registry])) == 1)
        assert await bob.is_silent()
    assert not [record for record in caplog.records if record.name.startswith("powerstrip")]
