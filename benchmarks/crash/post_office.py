"""A real mail server on loopback, which outlives the processes that send to it."""

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP


class PostOffice:
    """Counts the welcome mails by recipient, and nothing else of them."""

    def __init__(self) -> None:
        self.welcomed: Counter[str] = Counter()
        self.port = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        mail = message_from_bytes(envelope.content, policy=default)
        if "Welcome" in mail["Subject"]:
            self.welcomed[mail["To"]] += 1
        return "250 OK"


@asynccontextmanager
async def open_post_office() -> AsyncGenerator[PostOffice]:
    office = PostOffice()
    factory = functools.partial(SMTP, office, hostname="office.example")
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    office.port = server.sockets[0].getsockname()[1]
    async with server:
        yield office
