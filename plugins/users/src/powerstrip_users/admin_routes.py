"""What admins do with any account, and users may with their own."""

import json
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from powerstrip import (
    Forbidden,
    Identity,
    NotFound,
    PreconditionFailed,
    current_identity,
    require,
    responses,
    service,
)
from powerstrip_users.answers import versioned
from powerstrip_users.bulk import BulkUpdates, Mode
from powerstrip_users.callers import Acting, IfMatch, IfNoneMatch, account_id
from powerstrip_users.domain import BULK_UPDATE_USERS, DELETE_USERS, READ_AUDIT, READ_USERS, WRITE_USERS
from powerstrip_users.errors import (
    AdminNotDeletable,
    BulkNotApplied,
    CursorNotValid,
    EmailNotAllowed,
    EmailTaken,
    IdempotencyKeyReused,
    LastAdmin,
    UsernameTaken,
)
from powerstrip_users.idempotency import IdempotencyKey
from powerstrip_users.pages import Cursors, numbered_page
from powerstrip_users.preconditions import etag, is_unchanged
from powerstrip_users.routes import AccountsService
from powerstrip_users.schemas import (
    AccountChange,
    AuditPageRequest,
    AuditResponse,
    BulkResult,
    BulkUpdate,
    CursorPage,
    Page,
    UserCursorRequest,
    UserPageRequest,
    UserResponse,
)

router = APIRouter(prefix="/users")
router_v2 = APIRouter(prefix="/users")

CursorsService = Annotated[Cursors, Depends(service(Cursors))]
BulkService = Annotated[BulkUpdates, Depends(service(BulkUpdates))]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="The same request under the same key is done once.",
    ),
]


@router.get("/", summary="List accounts", dependencies=[Depends(require(permission=READ_USERS))])
async def users(wanted: Annotated[UserPageRequest, Query()], accounts: AccountsService) -> Page[UserResponse]:
    """A page of the accounts that match every stated filter."""
    found, total = await accounts.page(wanted, wanted.page, wanted.size)
    return numbered_page([UserResponse.model_validate(user) for user in found], total, wanted)


@router_v2.get(
    "/",
    summary="List accounts by cursor",
    dependencies=[Depends(require(permission=READ_USERS))],
    responses=responses(CursorNotValid),
)
async def users_by_cursor(
    wanted: Annotated[UserCursorRequest, Query()],
    accounts: AccountsService,
    cursors: CursorsService,
    request: Request,
    response: Response,
) -> CursorPage[UserResponse]:
    """The same at the same cost at any depth, and without skips or repeats when accounts come and go meanwhile:
    follow `next`."""
    filters = wanted.filters()
    position = cursors.read(wanted.cursor, filters) if wanted.cursor is not None else None
    found = await accounts.after(filters, position, wanted.limit)
    items = found[: wanted.limit]
    following = None
    if len(found) > wanted.limit:
        address = request.url.include_query_params(cursor=cursors.after(items[-1], filters))
        following = str(address.replace(scheme="", netloc=""))
        response.headers["Link"] = f'<{following}>; rel="next"'
    return CursorPage(items=[UserResponse.model_validate(user) for user in items], limit=wanted.limit, next=following)


@router.get("/audit", summary="See who changed what", dependencies=[Depends(require(permission=READ_AUDIT))])
async def audit_log(wanted: Annotated[AuditPageRequest, Query()], accounts: AccountsService) -> Page[AuditResponse]:
    """The newest entries first. Nothing is ever changed in this log or removed from it."""
    found, total = await accounts.audit_page(wanted)
    return numbered_page([AuditResponse.model_validate(entry) for entry in found], total, wanted)


@router.post(
    "/bulk-update",
    summary="Change many accounts",
    responses=responses(BulkNotApplied, IdempotencyKeyReused),
)
async def bulk_update(
    *,
    wanted: BulkUpdate,
    caller: Annotated[Identity, Depends(require(permission=BULK_UPDATE_USERS))],
    actor: Acting,
    bulk: BulkService,
    response: Response,
    mode: Annotated[Mode, Query(description="`atomic`: all or none.")] = "partial",
    dry_run: Annotated[bool, Query(description="Only find out what would happen.")] = False,
    key: Key = None,
) -> BulkResult:
    """One change for 1 to 100 accounts. Each succeeds or fails on its own, unless `mode=atomic`."""
    claim = key and IdempotencyKey(caller.id, key, _request_hash(wanted, mode, dry_run=dry_run))
    answer = await bulk.update(actor, wanted, mode, claim or None, dry_run=dry_run)
    if answer.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return answer.result


@router.get(
    "/{user_id}",
    summary="See an account",
    response_model=UserResponse,
    responses=versioned(Forbidden, NotFound, conditional=True),
)
async def user(
    user_id: UUID,
    caller: Annotated[Identity, Depends(current_identity)],
    accounts: AccountsService,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """For admins, and for the user. Anyone else is refused whether or not there is such an account."""
    if not caller.may(READ_USERS) and account_id(caller) != user_id:
        raise Forbidden
    found = await accounts.get(user_id)
    tag = etag(found.version)
    if is_unchanged(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return UserResponse.model_validate(found)


@router.patch(
    "/{user_id}",
    summary="Change an account",
    dependencies=[Depends(require(permission=WRITE_USERS))],
    responses=versioned(NotFound, EmailTaken, UsernameTaken, LastAdmin, EmailNotAllowed, PreconditionFailed),
)
async def change(
    *,
    user_id: UUID,
    wanted: AccountChange,
    actor: Acting,
    precondition: IfMatch,
    accounts: AccountsService,
    response: Response,
) -> UserResponse:
    """Change what is stated; the rest stays. Losing the role or the status ends what the user may do at once."""
    changed = await accounts.change(actor, user_id, wanted.changes(), precondition)
    response.headers["ETag"] = etag(changed.version)
    return UserResponse.model_validate(changed)


@router.delete(
    "/{user_id}",
    status_code=204,
    summary="Delete an account",
    dependencies=[Depends(require(permission=DELETE_USERS))],
    responses=responses(NotFound, AdminNotDeletable, PreconditionFailed),
)
async def delete(user_id: UUID, actor: Acting, precondition: IfMatch, accounts: AccountsService) -> None:
    """Delete an account with its sessions. The audit log keeps who did it."""
    await accounts.delete(actor, user_id, precondition)


def _request_hash(wanted: BulkUpdate, mode: Mode, *, dry_run: bool) -> bytes:
    stated = wanted.model_dump(mode="json", exclude_unset=True)
    return sha256(json.dumps([stated, mode, dry_run], sort_keys=True).encode()).digest()
