"""What is in the database, in the files and in the mailboxes, against what people were told."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from benchmarks.crash.load import EXPECTED, Journal
from benchmarks.crash.post_office import PostOffice
from powerstrip_users.models import AuditEntry, Mail, MailStatus, User

DRAIN_LIMIT = 180.0


@dataclass(frozen=True)
class Found:
    """All that is left when the last life has sent its last mail."""

    users: Mapping[str, User]
    entries: Mapping[str, Sequence[AuditEntry]]  # by the user they are about, oldest first
    mails: Mapping[str, Sequence[Mail]]
    files: Mapping[str, bytes]  # by their names below the folder of pictures


async def gather(url: str, pictures: Path) -> Found:
    """Wait until no mail waits any more, and read everything."""
    engine = create_async_engine(url)
    try:
        async with asyncio.timeout(DRAIN_LIMIT):
            while await _waiting(engine):  # noqa: ASYNC110 - a database tells nobody
                await asyncio.sleep(0.2)
        async with AsyncSession(engine) as session:
            users = {str(user.id): user for user in await session.scalars(select(User))}
            entries = _by(
                await session.scalars(select(AuditEntry).order_by(AuditEntry.time, AuditEntry.id)), "target_id"
            )
            mails = _by(await session.scalars(select(Mail).where(Mail.template == "welcome")), "user_id")
    finally:
        await engine.dispose()
    return Found(users, entries, mails, _files(pictures))


async def _waiting(engine: Any) -> int:
    async with AsyncSession(engine) as session:
        queued = select(func.count()).select_from(Mail).where(Mail.status == MailStatus.QUEUED)
        return await session.scalar(queued) or 0


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _by(rows: Any, key: str) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[str(getattr(row, key))].append(row)
    return found


def broken_promises(found: Found, journal: Journal, office: PostOffice) -> list[str]:
    """What was promised and isn't so, a line for each."""
    return [
        *_accounts_lost(found, journal),
        *_mails_lost(found, office),
        *_half_done(found),
        *_pictures_lost(found, journal),
        *(f"an answer {status}" for status in sorted(journal.statuses) if status not in EXPECTED),
    ]


def _accounts_lost(found: Found, journal: Journal) -> Iterator[str]:
    for user_id, name in journal.accounts.items():
        user = found.users.get(user_id)
        if user is None or user.username != name:
            yield f"{name} was told 201, and there is no such account"
    for user_id, full_name in journal.profiles.items():
        if user_id in found.users and found.users[user_id].full_name != full_name:
            yield f"{full_name} was told 200, and the profile says {found.users[user_id].full_name}"


def _mails_lost(found: Found, office: PostOffice) -> Iterator[str]:
    for user in found.users.values():
        if not office.welcomed[user.email]:
            yield f"{user.email} got no mail"
    known = {user.email for user in found.users.values()}
    yield from (f"{address} got a mail for an account that there is not" for address in office.welcomed.keys() - known)


def _half_done(found: Found) -> Iterator[str]:
    """Changes without their line in the audit log or their mail, and lines without their change."""
    for user_id, user in found.users.items():
        entries = found.entries.get(user_id, ())
        if [entry.action for entry in entries].count("user.created") != 1:
            yield f"{user.username} was not created once by the audit log"
        if len(found.mails.get(user_id, ())) != 1:
            yield f"{user.username} has not one mail in the outbox"
        for field in ("full_name", "avatar_key"):
            told = [entry.changes[field]["after"] for entry in entries if field in entry.changes]
            if (told[-1] if told else None) != getattr(user, field):
                yield f"{field} of {user.username} is {getattr(user, field)}, and by the audit log {told}"
    for user_id, entries in found.entries.items():
        if user_id not in found.users:
            yield f"the audit log tells of {entries[0].action} of {user_id}, and there is no such account"


def _pictures_lost(found: Found, journal: Journal) -> Iterator[str]:
    for user_id in journal.pictures:
        if user_id in found.users and found.users[user_id].avatar_key is None:
            yield f"{user_id} was told that the picture is kept, and there is none"
    for user in found.users.values():
        if user.avatar_key is not None and user.avatar_key not in found.files:
            yield f"the picture of {user.username} is named, and not there"
    for name, content in found.files.items():
        if not name.endswith(".part") and not _is_whole(name, content):
            yield f"the picture {name} is not whole"


def _is_whole(name: str, content: bytes) -> bool:
    if name.removesuffix(".webp")[-32:] != sha256(content).hexdigest()[:32]:
        return False
    with Image.open(BytesIO(content), formats=["WEBP"]) as image:
        image.load()
    return True


async def pictures_not_shown(base_url: str, found: Found) -> list[str]:
    """The pictures that the served API does not show as the database names them."""
    missing = []
    async with httpx2.AsyncClient(base_url=f"{base_url}/api/v1/users", timeout=30) as client:
        for user_id, user in found.users.items():
            if user.avatar_key is not None:
                answer = await client.get(f"/{user_id}/avatar")
                if answer.status_code != 200 or answer.content != found.files.get(user.avatar_key):
                    missing.append(f"the picture of {user.username} is answered {answer.status_code}")
    return missing
