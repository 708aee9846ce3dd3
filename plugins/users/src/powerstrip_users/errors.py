"""What users refuses, as answers.

Problem
├── BadRequest 400
│   ├── EmailTaken
│   ├── UsernameTaken
│   ├── AdminNotDeletable
│   ├── LastAdmin
│   ├── CurrentPasswordWrong
│   ├── AvatarNotValid
│   ├── CursorNotValid
│   └── LinkNotValid
├── Unauthorized 401
│   ├── InvalidCredentials
│   ├── InvalidToken
│   └── InvalidRefreshToken
├── Forbidden 403
│   └── RecentSignInRequired
├── UploadTooSlow 408
├── Conflict 409
│   └── BulkNotApplied
├── PayloadTooLarge 413
│   └── AvatarTooLarge
├── ValidationError 422
│   ├── EmailNotAllowed
│   ├── PasswordNotAllowed
│   └── IdempotencyKeyReused
├── RateLimitExceeded 429
│   └── TooManySignIns
└── ServiceUnavailable 503
    ├── SignInBusy
    ├── UploadBusy
    ├── PicturesUnavailable
    └── SessionsUnknown
"""

from powerstrip import (
    BadRequest,
    Conflict,
    Forbidden,
    PayloadTooLarge,
    Problem,
    RateLimitExceeded,
    ServiceUnavailable,
    Unauthorized,
    ValidationError,
)

REALM = "api"


class EmailTaken(BadRequest):
    message = "Another account has this e-mail address."


class UsernameTaken(BadRequest):
    message = "Another account has this username."


class AdminNotDeletable(BadRequest):
    """An admin has to lose the role first: one mistaken call can't remove whoever could repair it."""

    message = "Admins can't be deleted: change the role first."


class LastAdmin(BadRequest):
    message = "This is the last active admin: make another one first."


class CurrentPasswordWrong(BadRequest):
    """No 401: the access token is fine, a new one would not help."""

    message = "The current password is wrong, or was given wrong too often."


class AvatarNotValid(BadRequest):
    message = "This is not a picture that can be used: send a JPEG, PNG or WebP file."


class CursorNotValid(BadRequest):
    """The cursor was made up, or made for other filters."""

    message = "The cursor is not valid for this list: begin again without one."


class LinkNotValid(BadRequest):
    """A link sent by mail was made up, has expired, was used, or the account has changed since."""

    message = "The link is not valid any more: ask for a new one."


class InvalidCredentials(Unauthorized):
    """One answer for an unknown name, a wrong password, and an account that is locked or not active:
    a stranger learns nothing of which accounts exist."""

    message = "The name or the password is wrong, or the account can't sign in at the moment."


class InvalidToken(Unauthorized):
    """The access token is malformed, forged, expired, or was issued before the account's access changed."""

    message = "The access token is not valid any more: refresh it, or sign in again."

    def __init__(self, description: str = "The access token is not valid.") -> None:
        # RFC 6750, 3: the challenge tells a client that it needs a new token, not other rights.
        challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="{description}"'
        super().__init__(headers={"WWW-Authenticate": challenge})


class InvalidRefreshToken(Unauthorized):
    message = "The refresh token is not valid any more: sign in again."


class RecentSignInRequired(Forbidden):
    """A stolen access token alone may not move an account to another address (ASVS 5.0, 7.5.1)."""

    message = "The sign-in is too long ago for this change: sign in again."


class UploadTooSlow(Problem):
    status = 408
    message = "The file took too long to arrive."


class BulkNotApplied(Conflict):
    """`mode=atomic`: `details` say which accounts could not be changed, so that none was."""

    message = "Nothing was changed, because some of the accounts can't be."


class AvatarTooLarge(PayloadTooLarge):
    message = "The file of the picture is too large."

    def __init__(self, most: int) -> None:
        super().__init__(extra={"max_bytes": most})


class EmailNotAllowed(ValidationError):
    message = "Addresses of this domain are not accepted."

    def __init__(self) -> None:
        super().__init__(details=[{"location": ["body", "email"], "message": self.message, "code": "email_domain"}])


class PasswordNotAllowed(ValidationError):
    message = "The password is too easy to guess."

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(
            reason, details=[{"location": ["body", field], "message": reason, "code": "password_guessable"}]
        )


class IdempotencyKeyReused(ValidationError):
    message = "This Idempotency-Key was sent with another request before."


class TooManySignIns(RateLimitExceeded):
    message = "Too many failed attempts to sign in from this address."

    def __init__(self, retry_after: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after)}, extra={"retry_after": retry_after})


class SignInBusy(ServiceUnavailable):
    """More passwords wait to be checked than the machine can check in reasonable time."""

    message = "Too many sign-ins at the moment: try again shortly."

    def __init__(self, retry_after: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after)})


class UploadBusy(ServiceUnavailable):
    """As many files arrive as the process has memory for."""

    message = "Too many files arrive at the moment: try again shortly."

    def __init__(self, retry_after: int = 5) -> None:
        super().__init__(headers={"Retry-After": str(retry_after)})


class PicturesUnavailable(ServiceUnavailable):
    """Where pictures are kept doesn't answer, or takes no more."""

    message = "Pictures can't be kept or shown at the moment."

    def __init__(self, retry_after: int = 5) -> None:
        super().__init__(headers={"Retry-After": str(retry_after)})


class SessionsUnknown(ServiceUnavailable):
    """Which sessions were revoked can't be read for too long, so no token is believed."""

    message = "Sign-ins can't be checked at the moment."

    def __init__(self, retry_after: int = 5) -> None:
        super().__init__(headers={"Retry-After": str(retry_after)})
