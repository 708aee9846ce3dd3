"""Ways for messages to leave."""

import asyncio
import os
import re
import ssl
import sys
import tempfile
from email.policy import SMTP
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import aiosmtplib

from powerstrip import PowerstripError
from powerstrip_users.letters import Letter
from powerstrip_users.settings import MailSettings, SmtpSettings

_PORTS = MappingProxyType({"starttls": 587, "tls": 465, "none": 25})
# Longer than any word: a server that quotes a mail quotes its link, and reasons are kept where people read them.
_MAY_BE_A_LINK = re.compile(r"\S{50,}")


class TransportError(PowerstripError):
    """A message could not be handed over. With `for_good` it is of no use to try again."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        self.reason = reason
        self.for_good = for_good
        super().__init__(reason)


class Transport(Protocol):
    """Hands messages over to whoever brings them to their readers."""

    async def send(self, letter: Letter) -> None:
        """Raises TransportError. Cancelled, it may have sent the message or not."""
        ...


class ConsoleTransport(Transport):
    """Prints messages, for development. Whoever sees the output can use the links in them."""

    async def send(self, letter: Letter) -> None:
        message = letter.message
        headers = "".join(f"{name}: {value}\n" for name, value in message.items() if not name.startswith("Content-"))
        body = message.get_body(preferencelist=("plain",))
        text = str(body.get_content()) if body is not None else ""
        sys.stdout.write(f"----- mail -----\n{headers}\n{text}----------------\n")
        sys.stdout.flush()


class FileTransport(Transport):
    """Writes each message into a file of its own that only its owner can read. Sent twice it is still one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, letter: Letter) -> None:
        try:
            await asyncio.to_thread(self._write, letter)
        except OSError as error:
            raise TransportError(f"the folder {self._folder} can't be written: {error.strerror}") from error

    def _write(self, letter: Letter) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=self._folder, prefix=".draft-")  # made with owner-only rights
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(letter.message.as_bytes(policy=SMTP.clone(linesep="\n", utf8=True)))
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self._folder / f"{letter.id}.eml")
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


class SmtpTransport(Transport):
    """Sends messages to a mail server, over a connection for each: one that hangs holds up no other."""

    def __init__(self, settings: SmtpSettings, timeout: float) -> None:
        self._settings = settings
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=settings.ca_file) if settings.security != "none" else None

    async def send(self, letter: Letter) -> None:
        settings = self._settings
        password = settings.password.get_secret_value() if settings.password else None
        try:
            await aiosmtplib.send(
                letter.message,
                sender=letter.message["From"].addresses[0].addr_spec,
                recipients=[letter.message["To"].addresses[0].addr_spec],
                hostname=settings.host,
                port=settings.port or _PORTS[settings.security],
                username=settings.username,
                password=password,
                timeout=self._timeout,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                tls_context=self._tls,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failure(error) from error


def make_transport(settings: MailSettings) -> Transport:
    """The transport of the settings. Reads certificates, so not for the event loop. Raises TransportError."""
    if settings.transport == "smtp" and settings.smtp is not None:
        try:
            return SmtpTransport(settings.smtp, settings.timeout)
        except OSError as error:
            raise TransportError(f"the certificates in {settings.smtp.ca_file} can't be used: {error}") from error
    return ConsoleTransport() if settings.transport == "console" else FileTransport(settings.folder)


def _failure(error: aiosmtplib.SMTPException | OSError) -> TransportError:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    # RFC 5321, 4.2.1: 5xx to RCPT means that this address will not be served, however often one asks.
    refused = isinstance(error, aiosmtplib.SMTPRecipientRefused) and error.code >= 500
    for_good = refused or isinstance(error, aiosmtplib.SMTPNotSupported)
    code = f" {error.code}" if isinstance(error, aiosmtplib.SMTPResponseException) else ""
    detail = error.message if isinstance(error, aiosmtplib.SMTPException) else str(error)
    return TransportError(f"{type(error).__name__}{code}: {_MAY_BE_A_LINK.sub('(...)', detail)}", for_good=for_good)
