"""From a stored mail to the message that is sent."""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from importlib import resources
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID

from powerstrip import Clock, PowerstripError
from powerstrip_database import Database
from powerstrip_users import storage
from powerstrip_users.addresses import deliverable, parse_address
from powerstrip_users.domain import email_key
from powerstrip_users.links import LinkPurpose, Links
from powerstrip_users.models import Mail
from powerstrip_users.settings import MailSettings

# What each text may speak of, beside `site`.
_VALUES = MappingProxyType(
    {
        "welcome": {"username", "full_name", "link"},
        "verify-email": {"username", "link"},
        "email-changed": {"username", "new_email"},
        "reset-password": {"username", "client_address", "link"},
        "reset-password-unknown": {"client_address"},
        "password-changed": {"username", "client_address"},
        "bulk-updated": {"actor", "fields", "total", "failed"},
    }
)
_SUBJECT = re.compile(r"Subject: *(\S.*)\n\s*\n")


class TemplateError(PowerstripError):
    """The text of a mail can't be used."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way, and the id of the stored mail that it was made from."""

    id: UUID
    recipient: str
    message: EmailMessage


class LetterTemplate:
    """The text of one kind of mail, and its form in HTML where there is one.

    Values are data, never text of the template: in HTML they are escaped, in the subject they stay on one line.
    """

    def __init__(self, name: str, text: str, markup: str | None = None) -> None:
        """Raises TemplateError for a text without a subject, or one that speaks of what isn't known."""
        parts = _SUBJECT.match(text)
        if parts is None:
            raise TemplateError(f"the mail '{name}' must begin with a line 'Subject: ...' and an empty line")
        self._subject = _template(name, parts[1])
        self._text = _template(name, text[parts.end() :])
        self._markup = _template(name, markup) if markup is not None else None

    def fill(self, message: EmailMessage, values: Mapping[str, str]) -> None:
        """Write subject and body."""
        message["Subject"] = " ".join(self._subject.substitute(values).split())
        message.set_content(self._text.substitute(values))
        if self._markup is not None:
            escaped = {name: html.escape(value) for name, value in values.items()}
            message.add_alternative(self._markup.substitute(escaped), subtype="html")


def load_templates(folder: Path | None) -> Mapping[str, LetterTemplate]:
    """The texts that come with this package, each replaced by the folder's where that has one.

    Raises TemplateError for a folder that can't be read, and for files in it that are no mail's.
    """
    shipped = resources.files("powerstrip_users.templates")
    texts = {f"{name}.txt": (shipped / f"{name}.txt").read_text(encoding="utf-8") for name in _VALUES}
    if folder is not None:
        texts |= _own_texts(folder)
    return {name: LetterTemplate(name, texts[f"{name}.txt"], texts.get(f"{name}.html")) for name in _VALUES}


def _own_texts(folder: Path) -> Mapping[str, str]:
    known = {f"{name}{suffix}" for name in _VALUES for suffix in (".txt", ".html")}
    try:
        texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.is_file()}
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"the folder of mail texts {folder} can't be read: {error}") from error
    for name in texts:
        if name not in known:
            raise TemplateError(f"{folder / name} is no mail's text: there are {', '.join(sorted(known))}")
    return texts


def _template(name: str, text: str) -> Template:
    template = Template(text)
    if not template.is_valid():
        raise TemplateError(f"the mail '{name}' has a $ that begins no name: write $$ for the sign itself")
    known = _VALUES[name] | {"site"}
    for wanted in template.get_identifiers():
        if wanted not in known:
            raise TemplateError(f"the mail '{name}' speaks of ${wanted}: there are {', '.join(sorted(known))}")
    return template


class Letters:
    """Writes the messages."""

    def __init__(
        self,
        database: Database,
        links: Links,
        templates: Mapping[str, LetterTemplate],
        settings: MailSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._links = links
        self._templates = templates
        self._settings = settings
        self._clock = clock

    async def write(self, mail: Mail) -> Letter | None:
        """The message, or None when nobody waits for it any more: the account is gone, or has another address.

        A link is for the account as it is now. So it must not go to an address that the account had before.
        """
        link = None
        if mail.link is not None:
            link = await self._link(mail)
            if link is None:
                return None
        return Letter(mail.id, mail.recipient, self._message(mail, link, self._clock.now()))

    async def _link(self, mail: Mail) -> str | None:
        if mail.user_id is None:
            return None
        async with self._database.reading() as session:
            user = await storage.find_user(session, mail.user_id)
        if user is None or user.email_key != email_key(mail.recipient):
            return None
        return self._links.address(cast("LinkPurpose", mail.link), user)

    def _message(self, mail: Mail, link: str | None, now: datetime) -> EmailMessage:
        sender = parse_address(self._settings.sender)
        message = EmailMessage(policy=SMTP)
        message["From"] = sender
        message["To"] = deliverable(mail.recipient)
        message["Date"] = now
        # The same each time: a mail that is sent twice shows as one where that is looked at.
        message["Message-ID"] = f"<{mail.id}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from machines
        values = {name: _shown(value) for name, value in mail.data.items()}
        self._templates[mail.template].fill(message, {**values, "site": self._settings.site, "link": link or ""})
        return message


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, Iterable) else "" if value is None else str(value)
