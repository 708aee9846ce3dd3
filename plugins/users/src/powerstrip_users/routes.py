"""What anyone may do, and users with their own accounts."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from powerstrip import Identity, RateLimit, current_identity, public, responses, service
from powerstrip_users.answers import versioned
from powerstrip_users.callers import Acting, FromClient, IfMatch, IfNoneMatch, own_account_id, signed_in_at
from powerstrip_users.errors import (
    EmailNotAllowed,
    EmailTaken,
    InvalidToken,
    PasswordNotAllowed,
    RecentSignInRequired,
    SignInBusy,
    UsernameTaken,
)
from powerstrip_users.permissions import Permissions
from powerstrip_users.preconditions import etag, is_unchanged
from powerstrip_users.schemas import OwnPermissions, PermissionResponse, Profile, ProfileChange, SignUp, UserResponse
from powerstrip_users.service import Accounts, NewAccount

AccountsService = Annotated[Accounts, Depends(service(Accounts))]
Caller = Annotated[Identity, Depends(current_identity)]

router = APIRouter(prefix="/users")


@router.post(
    "/",
    status_code=201,
    summary="Sign up",
    dependencies=[Depends(public), Depends(RateLimit("100/hour", scope="users:sign-up"))],
    responses=versioned(EmailTaken, UsernameTaken, EmailNotAllowed, PasswordNotAllowed, SignInBusy, status=201),
)
async def create(
    form: SignUp, client: FromClient, accounts: AccountsService, request: Request, response: Response
) -> UserResponse:
    """Make an account. Its address gets a mail with a link to confirm it."""
    account = NewAccount(form.email, form.username, form.password.get_secret_value(), form.full_name, form.phone)
    user = await accounts.sign_up(account, client)
    response.headers["ETag"] = etag(user.version)
    response.headers["Location"] = f"{request.url.path.rstrip('/')}/{user.id}"
    return UserResponse.model_validate(user)


@router.get("/me", summary="See the own profile", response_model=Profile, responses=versioned(conditional=True))
async def me(caller: Caller, accounts: AccountsService, response: Response, if_none_match: IfNoneMatch = None) -> Any:
    """The caller's account, with numbers that other plugins contribute."""
    user, numbers = await accounts.profile(own_account_id(caller))
    tag = etag(user.version, numbers)
    if is_unchanged(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return Profile.model_validate({**{name: getattr(user, name) for name in UserResponse.model_fields}, **numbers})


@router.put(
    "/me",
    summary="Change the own profile",
    responses=versioned(EmailTaken, UsernameTaken, EmailNotAllowed, RecentSignInRequired),
)
async def change_me(
    *,
    change: ProfileChange,
    caller: Caller,
    actor: Acting,
    precondition: IfMatch,
    accounts: AccountsService,
    response: Response,
) -> UserResponse:
    """Change what is stated; the rest stays. A new e-mail address has to be confirmed again: it gets a link, and the
    old one is told."""
    user = await accounts.change_own(actor, change.changes(), precondition, signed_in_at(caller))
    response.headers["ETag"] = etag(user.version)
    return UserResponse.model_validate(user)


@router.get("/me/permissions", summary="See the own permissions", responses=responses(InvalidToken))
async def my_permissions(
    caller: Caller, permissions: Annotated[Permissions, Depends(service(Permissions))]
) -> OwnPermissions:
    """What the caller's roles amount to, among the permissions that plugins declare."""
    return OwnPermissions(
        roles=sorted(caller.roles),
        granted=sorted(caller.permissions),
        permissions=[
            PermissionResponse(name=entry.name, title=entry.title)
            for entry in permissions.declared
            if caller.may(entry.name)
        ],
    )
