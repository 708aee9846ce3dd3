"""What goes in and out when people sign in, and about their sessions and passwords."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictBool, StringConstraints

from powerstrip_users.schemas import NOT_BLANK, Body, Email, NewPassword, printable

# Longer than any password may be: it can't fit, but it is not for a form to say so.
AnyPassword = Annotated[SecretStr, Field(min_length=1, max_length=1_000)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=254),
    AfterValidator(printable),
    Field(description="The e-mail address or the username.", json_schema_extra={"pattern": NOT_BLANK}),
]
Token = Annotated[SecretStr, Field(min_length=1, max_length=2_048)]


class SignIn(BaseModel):
    """The form of OAuth2's password grant, as far as it is used here; other fields of that form are ignored."""

    grant_type: Literal["password"] = "password"
    username: Name
    password: AnyPassword


class TokenResponse(BaseModel):
    """What a sign-in gives (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="Seconds for which the access token is valid.")
    refresh_token: str = Field(description="Valid once: each refresh gives a new one.")


class Refresh(Body):
    """A refresh token."""

    refresh_token: Token


class Logout(Body):
    """Which sessions to end."""

    all_sessions: StrictBool = Field(default=False, description="End every session of the account, not only this one.")


class PasswordChange(Body):
    """A new password, and the current one as proof."""

    current_password: AnyPassword
    new_password: NewPassword


class ForgottenPassword(Body):
    """Where to send a link."""

    email: Email


class PasswordReset(Body):
    """A new password, and the token from the mail."""

    token: Token
    new_password: NewPassword


class EmailVerification(Body):
    """The token from the mail."""

    token: Token


class SessionResponse(BaseModel):
    """A sign-in that has not ended."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    client_address: str
    user_agent: str
    current: bool = Field(description="Whether this request was made in it.")
