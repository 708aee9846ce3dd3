"""Puts the running parts together."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from powerstrip import Clock, EventBus, HookCalls, Services
from powerstrip_database import Database
from powerstrip_users.access import AccessChanges
from powerstrip_users.announcements import Announcements
from powerstrip_users.attempts import AttemptLimits
from powerstrip_users.audit import AuditTrail
from powerstrip_users.avatars import running_avatars
from powerstrip_users.bulk import BulkUpdates
from powerstrip_users.changes import AccountChanges
from powerstrip_users.credentials import Credentials
from powerstrip_users.domain import Permission
from powerstrip_users.identity import Identities
from powerstrip_users.interceptors import BearerInterceptor
from powerstrip_users.keys import KeyRing, load_keys
from powerstrip_users.links import Links
from powerstrip_users.mailer import MailHealth, running_mails
from powerstrip_users.pages import Cursors
from powerstrip_users.passwords import PasswordHasher, PasswordPolicy
from powerstrip_users.permissions import Permissions
from powerstrip_users.schemas import UserResponse
from powerstrip_users.seeding import Seeding
from powerstrip_users.service import Accounts
from powerstrip_users.sessions import Sessions
from powerstrip_users.settings import UsersSettings
from powerstrip_users.sign_in import SignIns
from powerstrip_users.statistics import UserStatistic
from powerstrip_users.tokens import AccessTokens, RefreshTokens
from powerstrip_users.upkeep import Upkeep

# The event topics that may tell of dead access tokens.
_TOPICS = ("user.*", "users.*", "session.*")


@asynccontextmanager
async def running_users(
    settings: UsersSettings, services: Services, bearer: BearerInterceptor, mail_health: MailHealth
) -> AsyncGenerator[tuple[object, ...]]:
    """The services of users, from the start of its lifespan to its end."""
    hooks = services[HookCalls]
    ring = await asyncio.to_thread(load_keys, settings)
    permissions = Permissions(_declared(hooks), settings.roles)
    permissions.warn_of_unknown()
    access = AccessChanges(services[Database], settings.tokens, services[Clock])
    tokens = AccessTokens(ring, settings.tokens, services[Clock])
    async with AsyncExitStack() as stack:
        hasher = await stack.enter_async_context(PasswordHasher(settings.passwords))
        await access.read()
        for topic in _TOPICS:
            stack.enter_context(services[EventBus].subscribe(topic, access.on_event))
        identities = Identities(tokens, access, permissions.of_role)
        stack.enter_context(bearer.using(identities))
        announcements = Announcements(services, access.read)
        use_cases = _use_cases(
            settings=settings,
            announcements=announcements,
            services=services,
            ring=ring,
            tokens=tokens,
            hasher=hasher,
            statistics=_statistics(hooks),
        )
        database, clock = services[Database], services[Clock]
        links = Links(ring, settings.tokens, settings.links, clock)
        mails = await stack.enter_async_context(running_mails(database, links, settings.mail, clock, mail_health))
        avatars = await stack.enter_async_context(
            running_avatars(database, services[EventBus], announcements, settings.avatars, clock)
        )
        yield permissions, access, identities, *use_cases, *mails, avatars, AuditTrail(database, clock)


def adapted(provided: tuple[object, ...], hooks: HookCalls) -> Callable[[], None]:
    """What makes running services take over what other plugins contribute now."""
    declared, statistics = _declared(hooks), _statistics(hooks)

    def switch_over() -> None:
        for service in provided:
            if isinstance(service, Permissions):
                service.declare(declared)
            elif isinstance(service, Accounts):
                service.count(statistics)

    return switch_over


def _declared(hooks: HookCalls) -> Sequence[Permission]:
    return [entry for _, entries in hooks.call_each("register_permissions") for entry in entries]


def _statistics(hooks: HookCalls) -> Sequence[UserStatistic]:
    found: dict[str, UserStatistic] = {}
    for plugin, entries in hooks.call_each("register_user_statistics"):
        for entry in entries:
            if entry.name in found or entry.name in UserResponse.model_fields | UserResponse.model_computed_fields:
                raise ValueError(f"plugin '{plugin}' contributes the statistic '{entry.name}', which is there already")
            found[entry.name] = entry
    return list(found.values())


def _use_cases(
    *,
    settings: UsersSettings,
    announcements: Announcements,
    services: Services,
    ring: KeyRing,
    tokens: AccessTokens,
    hasher: PasswordHasher,
    statistics: Sequence[UserStatistic],
) -> tuple[object, ...]:
    database, clock = services[Database], services[Clock]
    policy = PasswordPolicy()
    attempts = AttemptLimits(ring, settings.sign_in)
    links = Links(ring, settings.tokens, settings.links, clock)
    sessions = Sessions(
        database=database,
        access=tokens,
        refresh=RefreshTokens(ring),
        announcements=announcements,
        settings=settings.tokens,
        clock=clock,
    )
    changes = AccountChanges(sessions, announcements, settings.blocked_domains)
    accounts = Accounts(
        database=database,
        hasher=hasher,
        policy=policy,
        changes=changes,
        announcements=announcements,
        statistics=statistics,
        settings=settings,
        clock=clock,
    )
    credentials = Credentials(
        database=database,
        hasher=hasher,
        policy=policy,
        sessions=sessions,
        attempts=attempts,
        links=links,
        announcements=announcements,
        clock=clock,
    )
    return (
        accounts,
        credentials,
        links,
        sessions,
        BulkUpdates(database, changes, announcements, clock),
        Cursors(ring),
        Seeding(database, hasher, clock),
        SignIns(database, hasher, sessions, attempts, clock),
        Upkeep(database, settings, clock),
    )
