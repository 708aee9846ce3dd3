"""What happens beside the requests: when an account is deleted, its posts go too; exports read what the list shows."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select

from powerstrip import Event, ExportColumn, ExportContext, ExportSource
from powerstrip_database import Database
from powerstrip_social import storage
from powerstrip_social.schemas import PostFilters


def posts_for_export() -> ExportSource:
    """The list of posts as a file. Everybody can read the list, so whoever is signed in may have the file."""
    columns = (
        ExportColumn("id", "uuid"),
        ExportColumn("author_id", "uuid", title="Author"),
        ExportColumn("text"),
        ExportColumn("written_at", "datetime", title="Written"),
    )
    return ExportSource("posts", columns, None, query=_posts, filters=PostFilters, path="/posts/export")


def _posts(context: ExportContext) -> Select[Any]:
    filters: PostFilters = context.filters
    return storage.all_posts(filters.author)


class Departures:
    """Removes what people leave behind."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def on_user_deleted(self, event: Event) -> None:
        person = UUID(event.data["user_id"])
        async with self._database.transaction() as session:
            await storage.remove_person(session, person)
