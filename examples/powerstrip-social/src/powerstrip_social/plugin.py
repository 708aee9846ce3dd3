"""What social brings to the host."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from powerstrip import EventBus, ExportSource, Plugin, PluginSettings, Routes, Services, hookimpl
from powerstrip_database import Database, Tables
from powerstrip_social import storage
from powerstrip_social.domain import MODERATE
from powerstrip_social.models import Table
from powerstrip_social.routes import router
from powerstrip_social.service import Departures, posts_for_export
from powerstrip_users import Permission, UserStatistic


class Social(Plugin[PluginSettings]):
    """Posts, and people who follow one another."""

    requires = ("database", "users")

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(router)]

    @hookimpl
    def register_tables(self) -> Sequence[Tables]:
        return [Tables(Table.metadata, "powerstrip_social.migrations")]

    @hookimpl
    def register_permissions(self) -> Sequence[Permission]:
        return [Permission(MODERATE, "Delete anybody's posts")]

    @hookimpl
    def register_user_statistics(self) -> Sequence[UserStatistic]:
        return [
            UserStatistic("posts_count", storage.count_posts),
            UserStatistic("followers_count", storage.count_followers),
            UserStatistic("following_count", storage.count_following),
        ]

    @hookimpl
    def register_exports(self) -> Sequence[ExportSource]:
        return [posts_for_export()]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[None]:
        departures = Departures(services[Database])
        with services[EventBus].subscribe("user.deleted", departures.on_user_deleted):
            yield
