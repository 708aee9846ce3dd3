"""Pictures of users: kept as files, known by the rows of their accounts."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock, Event, EventBus, NotFound
from powerstrip_database import Database, new_id
from powerstrip_users import audit, storage
from powerstrip_users.announcements import Announcement, Announcements
from powerstrip_users.buckets import BucketFiles
from powerstrip_users.domain import Actor, Status
from powerstrip_users.errors import InvalidToken, PicturesUnavailable
from powerstrip_users.files import FileStorage, LocalFiles
from powerstrip_users.models import User
from powerstrip_users.pictures import MEDIA_TYPE, Pictures
from powerstrip_users.settings import AvatarSettings
from powerstrip_users.uploads import UploadSlots, read_file

logger = logging.getLogger(__name__)

SWEEP_INTERVAL = 3_600.0

# A file is written a moment before its row. One without a row for this long never gets one.
_UNCLAIMED = timedelta(hours=1)
_AT_ONCE = 500
_SHARDS = tuple(f"{number:02x}" for number in range(256))
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}-[0-9a-f]{32}-([0-9a-f]{32})\.webp(\.[0-9a-f]+\.part)?")


@dataclass(frozen=True, slots=True)
class Avatar:
    """A picture as it is shown. `digest` is that of its content."""

    content: bytes
    digest: str


class Avatars:
    """The use cases of pictures.

    A file is written first, then the row that names it, in one transaction with its trace in the audit log; the file
    that it replaces goes after that. Whatever crashes in between leaves a file too many, never one too few, and
    `sweep` removes it. Each upload has a name of its own, so nobody else needs a file that is removed.
    """

    def __init__(
        self,
        *,
        database: Database,
        files: FileStorage,
        pictures: Pictures,
        announcements: Announcements,
        settings: AvatarSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._files = files
        self._pictures = pictures
        self._announcements = announcements
        self._settings = settings
        self._clock = clock
        self._slots = UploadSlots(settings.uploads, settings.upload_timeout)

    async def receive(
        self, actor: Actor, user_id: UUID, headers: Mapping[str, str], body: AsyncIterable[bytes]
    ) -> Avatar:
        """Make the file in a form the user's picture.

        Raises AvatarNotValid, AvatarTooLarge, UnsupportedMediaType, UploadTooSlow, UploadBusy, PicturesUnavailable,
        and InvalidToken when the account is gone or not active.
        """
        with self._slots.slot():
            async with self._slots.in_time():
                content = await read_file(headers, body, self._settings.max_bytes)
            picture = await self._pictures.remake(content)
            digest = sha256(picture.content).hexdigest()[:32]
            key = f"{_owned_by(user_id)}{new_id().hex}-{digest}.webp"
            with _storage_errors():
                await self._files.save(key, picture.content)
        await self._replace(actor, user_id, key)
        return Avatar(picture.content, digest)

    async def remove(self, actor: Actor, user_id: UUID) -> None:
        """Take the user's picture away, if there is one. Raises InvalidToken."""
        await self._replace(actor, user_id, None)

    async def _replace(self, actor: Actor, user_id: UUID, key: str | None) -> None:
        async def work(session: AsyncSession) -> tuple[str | None, list[Announcement]]:
            user = await storage.find_user(session, user_id, lock=True)
            if user is None or user.status is not Status.ACTIVE:
                raise InvalidToken("The account is not active.")
            replaced = user.avatar_key
            if replaced == key:
                return None, []
            now = self._clock.now()
            user.avatar_key, user.avatar_type = key, MEDIA_TYPE if key else None
            user.updated_at = now
            audit.record(session, actor, "user.avatar_changed", user.id, {"avatar_key": (replaced, key)}, at=now)
            return replaced, [self._announcements.user_updated(session, user_id, ["avatar"], access_changed=False)]

        replaced, updated = await self._database.retrying(work)
        if replaced is not None:
            await self._discard(replaced)
        await self._announcements.publish(*updated)

    async def find(self, user_id: UUID) -> Avatar:
        """The user's picture. Raises NotFound, whether there is no picture or no user, and PicturesUnavailable."""
        for _ in range(2):  # the second time when it was replaced between the row and the file
            async with self._database.reading() as session:
                key = await session.scalar(select(User.avatar_key).where(User.id == user_id))
            if key is None:
                break
            with _storage_errors():
                content = await self._files.read(key)
            if content is not None:
                return Avatar(content, _digest_of(key))
        raise NotFound

    async def on_user_deleted(self, event: Event) -> None:
        """Remove the files of an account that is gone."""
        for key in await self._files.keys(_owned_by(UUID(event.data["user_id"]))):
            await self._discard(key)

    async def follow(self) -> None:
        """Sweep now and then, for ever. Every process does, whichever comes first."""
        while True:
            await self.sweep()
            await asyncio.sleep(SWEEP_INTERVAL)

    async def sweep(self) -> None:
        """Remove the files that no account names: those of crashed uploads and of deleted accounts."""
        before = self._clock.now() - _UNCLAIMED
        for shard in _SHARDS:  # piece by piece: no list of all files is ever in memory
            await self._sweep(shard, before)

    async def _sweep(self, shard: str, before: datetime) -> None:
        keys = await self._files.keys(f"{shard}/", saved_before=before.timestamp())
        ours = [key for key in keys if _KEY.fullmatch(key)]
        for start in range(0, len(ours), _AT_ONCE):
            some = ours[start : start + _AT_ONCE]
            owners = select(User.avatar_key).where(User.id.in_({_owner_of(key) for key in some}))
            async with self._database.reading() as session:
                named = set(await session.scalars(owners))
            for key in set(some) - named:
                await self._discard(key)

    async def _discard(self, key: str) -> None:
        try:
            await self._files.delete(key)
        except OSError:
            logger.exception("the file of a picture can't be removed; the sweep tries again")


@asynccontextmanager
async def running_avatars(
    database: Database, bus: EventBus, announcements: Announcements, settings: AvatarSettings, clock: Clock
) -> AsyncGenerator[Avatars]:
    """The service, with its threads, from start to end."""
    async with Pictures.running(settings.threads, settings.max_pixels, settings.edge) as pictures:
        avatars = Avatars(
            database=database,
            files=BucketFiles.of(settings.s3) if settings.s3 else LocalFiles(settings.folder),
            pictures=pictures,
            announcements=announcements,
            settings=settings,
            clock=clock,
        )
        with bus.subscribe("user.deleted", avatars.on_user_deleted):
            yield avatars


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.exception("pictures can't be kept or read")
        raise PicturesUnavailable from error


def _owned_by(user_id: UUID) -> str:
    """What the keys of a user's files begin with. The last digits of an id are random, so the shards are even."""
    return f"{user_id.hex[-2:]}/{user_id.hex}-"


def _owner_of(key: str) -> UUID:
    return UUID(key[3:35])


def _digest_of(key: str) -> str:
    known = _KEY.fullmatch(key)
    return known[1] if known else sha256(key.encode()).hexdigest()[:32]
