"""What goes in and out of the routes."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_AUTHOR = "Only what this person wrote."
# PostgreSQL stores no NUL.
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Author = Annotated[UUID | None, Query(description=_AUTHOR)]
Before = Annotated[UUID | None, Query(description="The `next` of the page before: posts older than this one.")]
Limit = Annotated[int, Query(ge=1, le=100, description="The most posts on the page.")]


class NewPost(BaseModel):
    """A post to be written."""

    model_config = ConfigDict(extra="forbid")

    text: Text = Field(description="What is said.", examples=["Hello, world!"])


class PostFilters(BaseModel):
    """Which posts: what the list can be asked for, for exports of it."""

    model_config = ConfigDict(extra="forbid")

    author: UUID | None = Field(default=None, description=_AUTHOR)


class PostOut(BaseModel):
    """A post as everybody sees it."""

    model_config = ConfigDict(from_attributes=True, title="Post")

    id: UUID
    author_id: UUID = Field(description="The id of the user who wrote it.")
    text: str = Field(description="What is said.", examples=["Hello, world!"])
    written_at: datetime


class PageOfPosts(BaseModel):
    """Posts, the newest first."""

    items: list[PostOut]
    next: UUID | None = Field(description="Send it as `before` to get the next page; null on the last one.")
