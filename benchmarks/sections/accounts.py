"""What accounts cost inside the process: the own profile, pages at any depth, and what a refusal tells by its time."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select, text

from benchmarks.asgi_client import call, microseconds, request_scope, running
from benchmarks.measurement import Section, Table, Target, hold, interleave
from benchmarks.peers.accounts import PASSWORD, accounts_by_hand, powerstrip_accounts, token_by_hand
from powerstrip_database import Database
from powerstrip_database.testing import running_postgresql
from powerstrip_users.domain import Actor, Client
from powerstrip_users.models import User
from powerstrip_users.pages import Cursors
from powerstrip_users.schemas import UserFilters
from powerstrip_users.seeding import Seeding
from powerstrip_users.service import Accounts, NewAccount
from powerstrip_users.storage import Order, find_by_name

ACCOUNTS = 1_000_000
PROFILE_ROUNDS, PROFILE_REQUESTS = 61, 40
PAGE_ROUNDS, PAGE_REQUESTS = 31, 5
REFUSAL_ROUNDS = 41
PAGE = 20

BY_HAND = "FastAPI and SQLAlchemy by hand"
POWERSTRIP = "Powerstrip, database + users"
FIRST, DEEP = "first page", f"at depth {ACCOUNTS:,}"
KNOWN, UNKNOWN = "an account's name", "nobody's name"

METHOD = f"""In one process, one request after the other, on SQLite and on PostgreSQL over a Unix socket, in interleaved
rounds. The endpoint by hand verifies a JWT, opens a session, reads the same row and answers the same model; it does
none of what the plugins add: revoked sessions, snapshots, timed and limited statements, ETags. Pages of {PAGE} among
{ACCOUNTS:,} accounts; the deep one is the last. Refusals are those of wrong passwords, at the default cost of hashing,
with the locks out of the way."""

Tables = tuple[list[Table], list[Target]]


def run() -> Section:
    """Measure on both databases."""
    with TemporaryDirectory() as folder, running_postgresql() as server:
        urls = {"SQLite": f"sqlite+aiosqlite:///{folder}/powerstrip.db", "PostgreSQL": server.create_database()}
        for name in urls:
            Path(folder, name).mkdir()
        measured = [asyncio.run(_measure(name, url, Path(folder, name))) for name, url in urls.items()]
    tables = [table for found, _ in measured for table in found]
    targets = [target for _, found in measured for target in found]
    return Section(key="U", title="Accounts, in process", method=METHOD, tables=tables, targets=targets)


async def _measure(name: str, url: str, folder: Path) -> Tables:
    app = powerstrip_accounts(url, folder)
    async with running(app):
        services = app.state.powerstrip.index.services
        await services[Accounts].create_admin(
            NewAccount("root@example.com", "root", PASSWORD), Actor("bench", Client())
        )
        profile = await _profile(name, url, app)
        refusals = await _refusals(name, app)
        await _fill(services)
        pages = [await _pages(name, sort, app) for sort in ("-created_at", "username", "email")]
    return [*profile[0], *refusals[0], *(table for table, _ in pages)], [
        *profile[1],
        *refusals[1],
        *(target for _, target in pages),
    ]


async def _fill(services: Any) -> None:
    await services[Seeding].make(ACCOUNTS, PASSWORD, lambda _done: None)
    async with services[Database].transaction() as session:
        await session.execute(text("ANALYZE"))  # PostgreSQL does so by itself, a minute later


async def _profile(name: str, url: str, app: Any) -> Tables:
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(running(accounts_by_hand(url)))
        async with app.state.powerstrip.index.services[Database].reading() as session:
            user = await find_by_name(session, "root")
        tokens = {BY_HAND: token_by_hand(user.id), POWERSTRIP: await _sign_in(app)}
        applications = {BY_HAND: peer, POWERSTRIP: app}
        trials = {
            variant: partial(
                microseconds, applications[variant], _signed_in("/api/v1/users/me", token), PROFILE_REQUESTS
            )
            for variant, token in tokens.items()
        }
        await interleave(2, trials)  # caches fill and code specialises itself
        series = await interleave(PROFILE_ROUNDS, trials)
    table = Table(title=f"{name}: GET /users/me", unit="µs", series=series, bases=[BY_HAND], digits=0)
    promise = f"{name}: time of GET /users/me beside the same by hand (1.25 is 0.8 of its rate)"
    return [table], [hold(promise, table, POWERSTRIP, BY_HAND, ratio=1.25)]


async def _pages(name: str, sort: str, app: Any) -> tuple[Table, Target]:
    services = app.state.powerstrip.index.services
    cursor = services[Cursors].after(await _user_before_the_last_page(services[Database], sort), UserFilters(sort=sort))
    token = await _sign_in(app)
    trials = {}
    for variant, query in ((FIRST, {}), (DEEP, {"cursor": cursor})):
        scope = _signed_in("/api/v2/users/", token)
        scope["query_string"] = urlencode({"sort": sort, "limit": PAGE, **query}).encode()
        trials[variant] = partial(microseconds, app, scope, PAGE_REQUESTS)
    await interleave(2, trials)
    series = await interleave(PAGE_ROUNDS, trials)
    table = Table(title=f"{name}: GET v2 /users by {sort}", unit="µs", series=series, bases=[FIRST], digits=0)
    promise = f"{name}: page {DEEP} by {sort} beside the first"
    return table, hold(promise, table, DEEP, FIRST, ratio=1.5)


async def _user_before_the_last_page(database: Database, sort: str) -> User:
    async with database.reading() as session:
        last = Order.of(sort.removeprefix("-") if sort.startswith("-") else f"-{sort}")  # the other way round
        found = await session.scalars(last.apply(select(User)).offset(PAGE).limit(1))
        return found.one()


async def _refusals(name: str, app: Any) -> Tables:
    trials = {KNOWN: partial(_refusal, app, "root"), UNKNOWN: partial(_refusal, app, "nobody")}
    await interleave(1, trials)
    series = await interleave(REFUSAL_ROUNDS, trials)
    table = Table(title=f"{name}: a wrong password", unit="ms", series=series, bases=[UNKNOWN], digits=2)
    return [table], [
        hold(f"{name}: time of a refusal, {one} beside {other}", table, one, other, ratio=1.1)
        for one, other in ((KNOWN, UNKNOWN), (UNKNOWN, KNOWN))
    ]


async def _refusal(app: Any, username: str) -> float:
    started = perf_counter()
    status, _ = await _token(app, username, "not the password")
    if status != 401:
        raise RuntimeError(f"a wrong password was answered {status}")
    return (perf_counter() - started) * 1000


async def _sign_in(app: Any) -> str:
    status, body = await _token(app, "root", PASSWORD)
    if status != 200:
        raise RuntimeError(f"the sign-in was answered {status}: {body}")
    return str(body["access_token"])


async def _token(app: Any, username: str, password: str) -> tuple[int, Any]:
    scope = request_scope("POST", "/api/v1/auth/token", {"content-type": "application/x-www-form-urlencoded"})
    answer = await call(app, scope, urlencode({"username": username, "password": password}).encode())
    return answer.status, answer.json()


def _signed_in(path: str, token: str) -> dict[str, Any]:
    return request_scope("GET", path, {"authorization": f"Bearer {token}"})
