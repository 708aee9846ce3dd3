"""Signing in and out, sessions, passwords and addresses."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Response, params

from powerstrip import Identity, NotFound, RateLimit, current_identity, public, responses, service
from powerstrip_users.auth_schemas import (
    EmailVerification,
    ForgottenPassword,
    Logout,
    PasswordChange,
    PasswordReset,
    Refresh,
    SessionResponse,
    SignIn,
    TokenResponse,
)
from powerstrip_users.callers import Acting, FromClient, own_account_id, session_id
from powerstrip_users.credentials import Credentials
from powerstrip_users.errors import (
    CurrentPasswordWrong,
    InvalidCredentials,
    InvalidRefreshToken,
    LinkNotValid,
    PasswordNotAllowed,
    SignInBusy,
    TooManySignIns,
)
from powerstrip_users.sessions import Sessions, TokenPair
from powerstrip_users.sign_in import SignIns

router = APIRouter(prefix="/auth")

SignInsService = Annotated[SignIns, Depends(service(SignIns))]
SessionsService = Annotated[Sessions, Depends(service(Sessions))]
CredentialsService = Annotated[Credentials, Depends(service(Credentials))]
Caller = Annotated[Identity, Depends(current_identity)]


async def no_store(response: Response) -> None:
    """Keep what is answered out of caches: it opens accounts (RFC 6749, 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"


_SECRET: Sequence[params.Depends] = (Depends(public), Depends(no_store))


@router.post(
    "/token",
    summary="Sign in",
    dependencies=_SECRET,
    responses=responses(InvalidCredentials, TooManySignIns, SignInBusy),
)
async def token(form: Annotated[SignIn, Form()], client: FromClient, sign_ins: SignInsService) -> TokenResponse:
    """Trade an e-mail address or username and the password for tokens.

    A wrong name, a wrong password, and an account that is locked or not active answer alike.
    """
    return _answer(await sign_ins.sign_in(form.username, form.password.get_secret_value(), client))


@router.post("/refresh", summary="Refresh tokens", dependencies=_SECRET, responses=responses(InvalidRefreshToken))
async def refresh(body: Refresh, client: FromClient, sessions: SessionsService) -> TokenResponse:
    """Trade a refresh token, once, for new tokens. The second use of one ends its session, save within seconds."""
    return _answer(await sessions.refresh(body.refresh_token.get_secret_value(), client))


@router.post("/logout", status_code=204, summary="Sign out")
async def logout(caller: Caller, actor: Acting, sessions: SessionsService, body: Logout | None = None) -> None:
    """End this session, or all of the account."""
    user_id = own_account_id(caller)
    current = session_id(caller)
    if body is not None and body.all_sessions:
        await sessions.end_all(actor, user_id)
    elif current is not None:
        await sessions.end(actor, user_id, current)


@router.get("/sessions", summary="List the own sessions", dependencies=[Depends(no_store)])
async def sessions(caller: Caller, found: SessionsService) -> list[SessionResponse]:
    """Where the caller is signed in, the last used first."""
    current = session_id(caller)
    return [
        SessionResponse(
            id=entry.id,
            created_at=entry.created_at,
            last_used_at=entry.last_used_at,
            expires_at=entry.expires_at,
            client_address=entry.client_address,
            user_agent=entry.user_agent,
            current=entry.id == current,
        )
        for entry in await found.of_user(own_account_id(caller))
    ]


@router.delete("/sessions", status_code=204, summary="End the other sessions")
async def end_other_sessions(caller: Caller, actor: Acting, sessions: SessionsService) -> None:
    """Sign out everywhere else."""
    await sessions.end_others(actor, own_account_id(caller), session_id(caller))


@router.delete("/sessions/{session}", status_code=204, summary="End a session", responses=responses(NotFound))
async def end_session(session: UUID, caller: Caller, actor: Acting, sessions: SessionsService) -> None:
    """Sign out on one device. The session of somebody else is as unknown as none."""
    await sessions.end(actor, own_account_id(caller), session)


@router.post(
    "/change-password",
    status_code=204,
    summary="Change the password",
    responses=responses(CurrentPasswordWrong, PasswordNotAllowed, SignInBusy),
)
async def change_password(body: PasswordChange, caller: Caller, actor: Acting, credentials: CredentialsService) -> None:
    """Set a new password; every other session ends."""
    current, new = body.current_password.get_secret_value(), body.new_password.get_secret_value()
    await credentials.change_password(actor, session_id(caller), current, new)


@router.post(
    "/forgot-password",
    status_code=202,
    response_class=Response,
    summary="Ask for a link to set a new password",
    dependencies=[Depends(public), Depends(RateLimit("20/hour", scope="users:forgot-password"))],
)
async def forgot_password(body: ForgottenPassword, client: FromClient, credentials: CredentialsService) -> Response:
    """Whether there is such an account is told to its address alone."""
    await credentials.forgot_password(body.email, client)
    return Response(status_code=202)


@router.post(
    "/reset-password",
    status_code=204,
    summary="Set a new password",
    dependencies=_SECRET,
    responses=responses(LinkNotValid, PasswordNotAllowed, SignInBusy),
)
async def reset_password(body: PasswordReset, client: FromClient, credentials: CredentialsService) -> None:
    """With the token of a mail. Every session ends, and the address counts as confirmed."""
    token, new = body.token.get_secret_value(), body.new_password.get_secret_value()
    await credentials.reset_password(token, new, client)


@router.post(
    "/verify-email",
    status_code=204,
    summary="Confirm the e-mail address",
    dependencies=[Depends(public)],
    responses=responses(LinkNotValid),
)
async def verify_email(body: EmailVerification, client: FromClient, credentials: CredentialsService) -> None:
    """With the token of a mail. Doing so again changes nothing."""
    await credentials.verify_email(body.token.get_secret_value(), client)


@router.post(
    "/resend-verification",
    status_code=202,
    response_class=Response,
    summary="Ask for another link to confirm the address",
)
async def resend_verification(_caller: Caller, actor: Acting, credentials: CredentialsService) -> Response:
    """Nothing is sent when the address is confirmed, or when links were sent a moment ago."""
    await credentials.resend_verification(actor)
    return Response(status_code=202)


def _answer(pair: TokenPair) -> TokenResponse:
    return TokenResponse(access_token=pair.access_token, expires_in=pair.expires_in, refresh_token=pair.refresh_token)
