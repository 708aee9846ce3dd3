"""What users brings to the host."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import typer

from powerstrip import (
    BackgroundTask,
    CommandRunner,
    ExportSource,
    Finding,
    HealthCheck,
    HookCalls,
    Interceptor,
    Plugin,
    Routes,
    Services,
    hookimpl,
)
from powerstrip_database import Tables
from powerstrip_users import admin_routes, auth_routes, routes
from powerstrip_users.access import AccessChanges
from powerstrip_users.assembly import adapted, running_users
from powerstrip_users.avatar_routes import avatar_router
from powerstrip_users.avatars import Avatars
from powerstrip_users.commands import users_commands
from powerstrip_users.domain import PERMISSIONS, Permission
from powerstrip_users.exports import export_sources
from powerstrip_users.hooks import UserHooks
from powerstrip_users.interceptors import BearerInterceptor
from powerstrip_users.mail_commands import mail_commands
from powerstrip_users.mailer import Mailer, MailHealth
from powerstrip_users.models import Table
from powerstrip_users.openapi import describe_sign_in
from powerstrip_users.settings import UsersSettings
from powerstrip_users.upkeep import Upkeep


class Users(Plugin[UsersSettings]):
    """Accounts, sign-in, sessions and permissions."""

    requires = ("database",)
    provides = ("identity",)

    def __init__(self, name: str, settings: UsersSettings) -> None:
        super().__init__(name, settings)
        self._bearer = BearerInterceptor()
        self._mail_health = MailHealth(settings.mail)
        self._provided: tuple[object, ...] = ()

    @hookimpl
    def register_hookspecs(self) -> Sequence[type]:
        return [UserHooks]

    @hookimpl
    def register_tables(self) -> Sequence[Tables]:
        return [Tables(Table.metadata, "powerstrip_users.migrations")]

    @hookimpl
    def register_permissions(self) -> Sequence[Permission]:
        return PERMISSIONS

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        avatars = avatar_router(self.settings.avatars)
        v1 = (routes.router, admin_routes.router, auth_routes.router, avatars)
        return [*map(Routes, v1), Routes(admin_routes.router_v2, version="v2")]

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [self._bearer]

    @hookimpl
    def register_health_checks(self) -> Sequence[HealthCheck]:
        return [HealthCheck("mail", self._mail_health.check, critical=False)]

    @hookimpl
    def register_exports(self) -> Sequence[ExportSource]:
        return export_sources()

    @hookimpl
    def register_tasks(self) -> Sequence[BackgroundTask]:
        return [
            BackgroundTask("access changes", lambda services: services[AccessChanges].follow()),
            BackgroundTask("upkeep", lambda services: services[Upkeep].follow()),
            BackgroundTask("mail", lambda services: services[Mailer].follow()),
            BackgroundTask("avatar sweep", lambda services: services[Avatars].follow()),
        ]

    @hookimpl
    def register_findings(self) -> Sequence[Finding]:
        return self.settings.findings()

    @hookimpl
    def customise_openapi(self, document: dict[str, Any]) -> None:
        describe_sign_in(document)

    @hookimpl
    def register_commands(self, runner: CommandRunner) -> Sequence[typer.Typer]:
        return [users_commands(runner), mail_commands(runner)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[tuple[object, ...]]:
        async with running_users(self.settings, services, self._bearer, self._mail_health) as self._provided:
            yield self._provided

    async def adapt(self, services: Services) -> Callable[[], None]:
        return adapted(self._provided, services[HookCalls])
