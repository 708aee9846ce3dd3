"""One change for many accounts."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock, NotFound, Problem
from powerstrip_database import Database
from powerstrip_users import audit, outbox, storage
from powerstrip_users.announcements import Announcement, Announcements
from powerstrip_users.changes import AccountChanges, Applied, LockedAccounts
from powerstrip_users.domain import Actor
from powerstrip_users.errors import BulkNotApplied
from powerstrip_users.idempotency import IdempotencyKey
from powerstrip_users.schemas import BulkError, BulkResult, BulkUpdate

Mode = Literal["partial", "atomic"]

# More accounts than this changed at once is something that every admin should hear of.
_NOTICED = 10
_MOST_RECIPIENTS = 100


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """The result, and whether it is that of an earlier request under the same key."""

    result: BulkResult
    replayed: bool = False


class _RolledBackError(Exception):
    """Leaves a transaction without a trace; `result` is what it would have come to."""

    def __init__(self, result: BulkResult) -> None:
        self.result = result
        super().__init__("rolled back")


class BulkUpdates:
    """Changes accounts one by one in one transaction: each on its own, or all or none."""

    def __init__(self, database: Database, changes: AccountChanges, announcements: Announcements, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._announcements = announcements
        self._clock = clock

    async def update(
        self, actor: Actor, wanted: BulkUpdate, mode: Mode, key: IdempotencyKey | None, *, dry_run: bool
    ) -> BulkAnswer:
        """Change what can be changed and say why the rest can't.

        `atomic` raises BulkNotApplied if anything can't; `dry_run` only finds out. With a key the same request
        again gets the same answer and changes nothing; raises IdempotencyKeyReused for another request under it.
        """

        async def work(session: AsyncSession) -> tuple[BulkAnswer, list[Sequence[Announcement]]]:
            earlier = await key.claim(session, self._clock.now()) if key else None
            if earlier is not None:
                return BulkAnswer(BulkResult.model_validate(earlier), replayed=True), []
            result, applied = await self._apply(session, actor, wanted, dry_run=dry_run)
            if dry_run or (mode == "atomic" and result.failed):
                raise _RolledBackError(result)
            await self._note(session, actor, wanted, result)
            if key is not None:
                await key.keep(session, result.model_dump(mode="json"))
            return BulkAnswer(result), self._announce(session, actor, applied)

        try:
            answer, announcements = await self._database.retrying(work)
        except _RolledBackError as outcome:
            if mode == "atomic" and outcome.result.failed:
                details = [error.model_dump(mode="json") for error in outcome.result.errors]
                raise BulkNotApplied(details=details) from None
            return BulkAnswer(outcome.result)
        # At the same time: those who read what has changed can then read once for all.
        await asyncio.gather(*(self._announcements.publish(*some) for some in announcements))
        return answer

    async def _apply(
        self, session: AsyncSession, actor: Actor, wanted: BulkUpdate, *, dry_run: bool
    ) -> tuple[BulkResult, list[Applied]]:
        changes = wanted.update.changes()
        locked = await self._changes.lock(session, wanted.ids, changes)
        problems: dict[UUID, Problem] = {}
        applied = []
        for user_id in wanted.ids:
            with _collecting(problems, user_id):
                applied.append(await self._apply_one(session, actor, user_id, changes, locked))
        errors = [
            BulkError(id=user_id, type=problem.type, message=problem.message)
            for user_id in wanted.ids
            if (problem := problems.get(user_id))
        ]
        return _result(wanted, errors, dry_run=dry_run), applied

    async def _apply_one(
        self, session: AsyncSession, actor: Actor, user_id: UUID, changes: Mapping[str, Any], locked: LockedAccounts
    ) -> Applied:
        user = locked.find(user_id)
        if user is None:
            raise NotFound("There is no such account.")
        return await self._changes.apply(session, user, changes, actor, self._clock.now(), locked=locked)

    async def _note(self, session: AsyncSession, actor: Actor, wanted: BulkUpdate, result: BulkResult) -> None:
        now = self._clock.now()
        fields = sorted(wanted.update.changes())
        counts = {"fields": (None, ", ".join(fields)), "successful": (None, result.successful)}
        audit.record(session, actor, "users.bulk_updated", None, counts, at=now)
        if len(wanted.ids) > _NOTICED:
            data = {"actor": actor.name, "fields": fields, "total": result.total_requested, "failed": result.failed}
            for admin in await storage.active_admins(session, _MOST_RECIPIENTS):
                outbox.enqueue(session, "bulk-updated", admin.email, data, at=now, user_id=admin.id)

    def _announce(self, session: AsyncSession, actor: Actor, applied: list[Applied]) -> list[Sequence[Announcement]]:
        """What is to be told of all, and of each."""
        changed = [entry for entry in applied if entry.is_change]
        if not changed:
            return []
        user_ids = [entry.user_id for entry in changed]
        of_all = self._announcements.users_bulk_updated(session, user_ids, actor.id)
        return [[of_all], *(entry.announcements for entry in changed)]


@contextmanager
def _collecting(problems: dict[UUID, Problem], user_id: UUID) -> Iterator[None]:
    # What makes a change impossible shows before anything of the account is touched, so nothing has to be undone.
    try:
        yield
    except Problem as problem:
        if problem.status >= 500:
            raise
        problems[user_id] = problem


def _result(wanted: BulkUpdate, errors: list[BulkError], *, dry_run: bool) -> BulkResult:
    total = len(wanted.ids)
    successful = total - len(errors)
    return BulkResult(
        total_requested=total,
        successful=successful,
        failed=len(errors),
        errors=errors,
        success_rate=round(100 * successful / total, 2),
        dry_run=dry_run,
    )
