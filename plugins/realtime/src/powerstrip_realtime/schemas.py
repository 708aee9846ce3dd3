"""Bodies of requests and answers, and the data of events."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

UserId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
RoleName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4_000)]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,49}$")]

_LARGEST_DATA = 16_384


class NewNotification(BaseModel):
    """A notification and who gets it: some users, those with a role, or everybody."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"title": "Maintenance", "message": "Tonight at ten.", "everyone": True}]},
    )

    title: Title
    message: Text = ""
    kind: Kind = Field(default="notice", description="What it is, for programs: `notice`, `order.shipped`.")
    data: dict[str, Any] = Field(default_factory=dict, description="Anything a client can use; at most 16 KiB.")
    user_ids: list[UserId] | None = Field(default=None, min_length=1, max_length=1_000)
    role: RoleName | None = None
    everyone: Literal[True] | None = None

    @model_validator(mode="after")
    def _says_who_gets_it(self) -> Self:
        if sum(stated is not None for stated in (self.user_ids, self.role, self.everyone)) != 1:
            raise ValueError("state one of user_ids, role and everyone")
        if len(str(self.data)) > _LARGEST_DATA:
            raise ValueError("data is larger than 16 KiB")
        return self


class Notification(BaseModel):
    """Something that people should know."""

    id: UUID
    kind: str = Field(examples=["notice"])
    title: str = Field(examples=["Maintenance"])
    message: str = Field(examples=["Tonight at ten."])
    data: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime


class InboxEntry(Notification):
    """A notification in somebody's inbox."""

    is_read: bool


class Sent(BaseModel):
    """What became of a notification."""

    ids: list[UUID] = Field(description="One for each user, or a single one for a role or everybody.")
    stored: bool = Field(description="Whether those who are not connected find it in their inbox.")


class Inbox(BaseModel):
    """A page of an inbox, the newest first."""

    items: list[InboxEntry]
    unread: int = Field(description="How many are not read, on all pages.")
    next: UUID | None = Field(description="Send it as `before` to get the next page.")


class Unread(BaseModel):
    """How many notifications are not read."""

    unread: int


class Ticket(BaseModel):
    """A one-time ticket."""

    ticket: str = Field(description="Use it once: `/ws?ticket=...` or `/api/v1/events/stream?ticket=...`.")
    expires_in: float = Field(description="Seconds.", examples=[30.0])
