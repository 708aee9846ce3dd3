"""What goes in and out."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    MISSING,
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from powerstrip_users.domain import Role, Status, profile_completion

ItemT = TypeVar("ItemT")

# What clients are told of what `printable` takes; the second is what isn't blank either.
_SHOWN = r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029]"
_SOLID = r"[^\s\u0000-\u001f\u007f-\u009f\u2028\u2029]"
NOT_BLANK = f"^{_SHOWN}*{_SOLID}{_SHOWN}*$"


def _address(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, strict=True).normalized
    except EmailNotValidError as error:
        # The reason names parts of the address: it was the sender's own.
        raise PydanticCustomError(
            "email", "This is not a valid e-mail address: {reason}", {"reason": str(error)}
        ) from None


def printable(text: str) -> str:
    """The text, if it has no control characters."""
    # Control characters have no place in names, PostgreSQL stores no NUL, and UTF-8 has no lone surrogates.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise PydanticCustomError("control_character", "Control characters and line breaks are not allowed")
    return text


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _only_boolean(value: Any) -> Any:
    """Pydantic takes 1 for true, even where only `true` will do."""
    return value if isinstance(value, bool) else None


def _no_number(value: Any) -> Any:
    """Pydantic takes seconds since 1970 for times. This API takes times as it gives them (RFC 3339)."""
    if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d", value.strip()):
        raise PydanticCustomError("datetime_format", "This is not a time like 2026-06-01T12:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    """A time without an offset is UTC, as everything this API says is."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_range", "The time is out of range") from None


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254),
    AfterValidator(_address),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Username = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=50, pattern=r"^[A-Za-z0-9_]+$")
]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200),
    AfterValidator(printable),
    Field(json_schema_extra={"pattern": f"^{_SHOWN}*$"}),
]
Action = Annotated[
    str,
    StringConstraints(max_length=50),
    AfterValidator(printable),
    Field(json_schema_extra={"pattern": f"^{_SHOWN}*$"}),
]
FullName = Annotated[Text | None, BeforeValidator(_blank_is_none)]
Phone = Annotated[
    Annotated[
        str,
        StringConstraints(strip_whitespace=True, pattern=r"^\+?[1-9][0-9]{1,14}$"),
        Field(json_schema_extra={"pattern": r"^(\+?[1-9][0-9]{1,14})?$"}),
    ]
    | None,
    BeforeValidator(_blank_is_none),
]
NewPassword = Annotated[SecretStr, Field(min_length=8, max_length=100)]
Query = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=2, max_length=100),
    AfterValidator(printable),
    Field(json_schema_extra={"pattern": rf"^{_SOLID}({_SHOWN}*{_SOLID})$"}),
]
Moment = Annotated[datetime, BeforeValidator(_no_number), AfterValidator(_in_utc)]

Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "username", "-username", "email", "-email"]


class Body(BaseModel):
    """A request's body: unknown fields are refused, so that no field that is none of the caller's business is set."""

    model_config = ConfigDict(extra="forbid")


class SignUp(Body):
    """A new account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "ada@example.com",
                    "username": "ada",
                    "full_name": "Ada Lovelace",
                    "password": "correct horse battery",
                    "confirm_password": "correct horse battery",
                    "terms_accepted": True,
                }
            ]
        }
    )

    email: Email
    username: Username
    full_name: FullName = None
    phone: Phone = None
    password: NewPassword
    confirm_password: SecretStr
    terms_accepted: Annotated[Literal[True], BeforeValidator(_only_boolean)]

    @field_validator("confirm_password")
    @classmethod
    def _matches(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        password = info.data.get("password")
        if password is not None and value.get_secret_value() != password.get_secret_value():
            raise PydanticCustomError("password_mismatch", "The passwords do not match")
        return value


class _Change(Body):
    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("no_change", "State at least one field to change")
        return self

    def changes(self) -> dict[str, Any]:
        """The stated fields."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ProfileChange(_Change):
    """What a user may change of the own account. Fields that aren't stated stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"full_name": "Ada King", "phone": "+441234567890"}],
            "minProperties": 1,
        }
    )

    email: Email | MISSING = MISSING
    username: Username | MISSING = MISSING
    full_name: FullName | MISSING = MISSING
    phone: Phone | MISSING = MISSING


class AccountChange(ProfileChange):
    """What an admin may change of any account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "suspended"}], "minProperties": 1})

    status: Status | MISSING = MISSING
    role: Role | MISSING = MISSING
    is_verified: StrictBool | MISSING = MISSING


class BulkChange(_Change):
    """What may be changed of many accounts at once: all that is not unique to one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    full_name: FullName | MISSING = MISSING
    phone: Phone | MISSING = MISSING
    status: Status | MISSING = MISSING
    role: Role | MISSING = MISSING
    is_verified: StrictBool | MISSING = MISSING


class BulkUpdate(Body):
    """One change for many accounts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ids": ["018f3b1e-7a00-7000-8000-000000000001"], "update": {"status": "inactive"}}]
        }
    )

    ids: Annotated[list[UUID], Field(min_length=1, max_length=100, json_schema_extra={"uniqueItems": True})]
    update: BulkChange

    @field_validator("ids")
    @classmethod
    def _each_once(cls, ids: list[UUID]) -> list[UUID]:
        if len(set(ids)) < len(ids):
            raise PydanticCustomError("duplicate_ids", "Each id may stand in the list once")
        return ids


class BulkError(BaseModel):
    """Why one account was not changed."""

    id: UUID
    type: str = Field(examples=["NotFound"])
    message: str


class BulkResult(BaseModel):
    """What became of each account."""

    total_requested: int
    successful: int
    failed: int
    errors: list[BulkError]
    success_rate: float = Field(description="Share of the accounts that were changed, 0 to 100.")
    dry_run: bool = Field(description="Whether nothing was changed, because only the outcome was asked for.")


class UserResponse(BaseModel):
    """An account, as others see it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str = Field(examples=["ada@example.com"])
    username: str = Field(examples=["ada"])
    full_name: str | None
    phone: str | None
    status: Status
    role: Role
    is_verified: bool
    last_login: datetime | None
    created_at: datetime
    updated_at: datetime

    @computed_field
    def is_active(self) -> bool:
        """Whether the account may be used: its status is active."""
        return self.status is Status.ACTIVE

    @computed_field
    def profile_completion(self) -> int:
        """0, 50 or 100: how many of full name and phone are set."""
        return profile_completion(self.full_name, self.phone)


class Profile(UserResponse):
    """The caller's own account, with numbers that other plugins contribute."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]

    posts_count: int = 0
    followers_count: int = 0
    following_count: int = 0


class PermissionResponse(BaseModel):
    """A permission that a plugin declares."""

    name: str = Field(examples=["users:read"])
    title: str


class OwnPermissions(BaseModel):
    """What the caller may do."""

    roles: list[str]
    granted: list[str] = Field(description="As configured: `users:*` stands for a group, `*` for all.")
    permissions: list[PermissionResponse] = Field(description="The declared ones that this amounts to.")


class UserFilters(BaseModel):
    """Which accounts, in which order."""

    model_config = ConfigDict(extra="forbid")

    q: Query | None = Field(default=None, description="Part of the username, e-mail address or full name.")
    role: Role | None = None
    status: Status | None = None
    verified_only: bool = False
    created_after: Moment | None = None
    created_before: Moment | None = None
    sort: Sort = Field(default="-created_at", description="A `-` in front turns the order round.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.created_after and self.created_before and self.created_after > self.created_before:
            raise PydanticCustomError("time_order", "created_after must not be later than created_before")
        return self


class PageRequest(BaseModel):
    """Which page."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    size: Annotated[int, Field(ge=1, le=100)] = 20


class UserPageRequest(PageRequest, UserFilters):
    """A page of the accounts."""


class UserCursorRequest(UserFilters):
    """The accounts after a cursor."""

    cursor: Annotated[str, Field(max_length=1_000)] | None = Field(
        default=None, description="From the `next` link of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=100)] = 20

    def filters(self) -> UserFilters:
        return UserFilters.model_construct(**{name: getattr(self, name) for name in UserFilters.model_fields})


class AuditPageRequest(PageRequest):
    """A page of the audit log."""

    model_config = ConfigDict(extra="forbid")

    actor_id: UUID | None = None
    target_id: UUID | None = None
    action: Action | None = None


class Page(BaseModel, Generic[ItemT]):
    """A page, and where it is."""

    items: list[ItemT]
    total: int
    page: int
    size: int
    pages: int
    has_next: bool
    has_prev: bool


class CursorPage(BaseModel, Generic[ItemT]):
    """Some items, and the way to those after them."""

    items: list[ItemT]
    limit: int
    next: str | None = Field(description="Address of the next page; null on the last one.")


class AuditResponse(BaseModel):
    """One entry of the audit log."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    time: datetime
    action: str = Field(examples=["user.updated"])
    actor_id: UUID | None
    actor: str
    target_id: UUID | None
    changes: dict[str, Any] = Field(description="Fields with their values before and after; secrets redacted.")
    request_id: str | None
    client_address: str
