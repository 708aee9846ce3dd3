"""What happens beside the requests: when an account is deleted, its posts go too."""

from uuid import UUID

from powerstrip import Event
from powerstrip_database import Database
from powerstrip_social import storage


class Departures:
    """Removes what people leave behind."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def on_user_deleted(self, event: Event) -> None:
        person = UUID(event.data["user_id"])
        async with self._database.transaction() as session:
            await storage.remove_person(session, person)
