"""Running applications with accounts, on SQLite and PostgreSQL, and people who use them."""

import asyncio
import functools
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import Engine, event, insert, text

from powerstrip import Clock, EventBus, create_app
from powerstrip.testing import ConfigBuilder, FakeClock
from powerstrip_database import Database, new_id
from powerstrip_database.testing import fresh_url
from powerstrip_users.access import AccessChanges
from powerstrip_users.domain import Actor, Client, search_text
from powerstrip_users.links import Links
from powerstrip_users.models import User
from powerstrip_users.service import Accounts, NewAccount
from powerstrip_users.storage import find_by_name

PASSWORD = "correct horse battery"
# As cheap as Argon2 can be: what is tested here is not how slow it is.
CHEAP = {"memory_kib": 8, "iterations": 1, "threads": 2, "queue": 200}
# Nobody is turned away because the machine has much else to do.
PATIENT = {"pool_timeout": 60, "busy_timeout": 60, "connect_timeout": 60}
KEY = "a key for tests that nobody else has"

Headers = dict[str, str]


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path, monkeypatch):
    """Mails, pictures and keys go to `data/` where a process was started."""
    monkeypatch.chdir(tmp_path)


class Api:
    """One running application: requests to it, its database and its services."""

    password = PASSWORD

    def __init__(self, app: Any, client: httpx2.AsyncClient, folder: Path) -> None:
        self.app = app
        self.http = client
        self.folder = folder
        self._listening = ExitStack()

    @property
    def services(self) -> Any:
        return self.app.state.powerstrip.index.services

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.http.get(f"/api/v1{path}", **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.http.post(f"/api/v1{path}", json=json, **options)

    async def put(self, path: str, json: Any, **options: Any) -> httpx2.Response:
        return await self.http.put(f"/api/v1{path}", json=json, **options)

    async def patch(self, path: str, json: Any, **options: Any) -> httpx2.Response:
        return await self.http.patch(f"/api/v1{path}", json=json, **options)

    async def delete(self, path: str, **options: Any) -> httpx2.Response:
        return await self.http.delete(f"/api/v1{path}", **options)

    async def sign_up(self, username: str = "ada", **fields: Any) -> httpx2.Response:
        form = {"email": f"{username.lower()}@example.com", "username": username, "password": PASSWORD, **fields}
        return await self.post("/users/", {"confirm_password": form["password"], "terms_accepted": True, **form})

    async def token(self, name: str, password: str = PASSWORD, **options: Any) -> httpx2.Response:
        form = {"username": name, "password": password}
        return await self.http.post("/api/v1/auth/token", data=form, **options)

    async def sign_in(self, name: str = "ada", password: str = PASSWORD) -> Headers:
        """The headers of somebody who is signed in."""
        answer = await self.token(name, password)
        assert answer.status_code == 200, answer.text
        return bearer(answer.json()["access_token"])

    async def user(self, username: str = "ada", **fields: Any) -> Headers:
        """The headers of a new user."""
        answer = await self.sign_up(username, **fields)
        assert answer.status_code == 201, answer.text
        return await self.sign_in(username)

    async def admin(self, username: str = "root") -> Headers:
        """The headers of a new admin."""
        account = NewAccount(f"{username}@example.com", username, PASSWORD)
        await self.services[Accounts].create_admin(account, Actor("tests", Client()))
        return await self.sign_in(username)

    async def add(self, usernames: Iterable[str]) -> list[str]:
        """Many users of one moment, without the price of signing up, who can't sign in; returns their ids."""
        moment = self.services[Clock].now()
        rows = [
            {
                "id": new_id(),
                "username": name,
                "username_key": name,
                "password_hash": "none",
                "email": f"{name}@example.com",
                "email_key": f"{name}@example.com",
                "search_text": search_text(f"{name}@example.com", name, None),
                "status": "active",
                "role": "user",
                "is_verified": False,
                "created_at": moment,
                "updated_at": moment,
                "version": 1,
                "access_version": 1,
            }
            for name in usernames
        ]
        async with self.services[Database].transaction() as session:
            await session.execute(insert(User), rows)
        return [str(row["id"]) for row in rows]

    async def id_of(self, name: str) -> str:
        async with self.services[Database].reading() as session:
            user = await find_by_name(session, name)
        assert user is not None
        return str(user.id)

    async def link(self, purpose: Any, name: str) -> str:
        """The token that a mail with such a link would hold."""
        async with self.services[Database].reading() as session:
            user = await find_by_name(session, name)
        assert user is not None
        return self.services[Links].token(purpose, user)

    @staticmethod
    def bearer(token: str) -> Headers:
        return bearer(token)

    async def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.services[Database].reading() as session:
            return [tuple(row) for row in await session.execute(text(sql), values)]

    async def execute(self, sql: str, **values: Any) -> None:
        async with self.services[Database].transaction() as session:
            await session.execute(text(sql), values)

    async def read_access_changes(self) -> None:
        """What the background task does every other second."""
        await self.services[AccessChanges].read()

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> Any:
        """Wait for something that a background task brings about; gives what the condition gave."""
        async with asyncio.timeout(60):
            while not (found := await condition()):  # noqa: ASYNC110 - a database tells nobody
                await asyncio.sleep(0.02)
        return found

    def forget(self) -> None:
        """End what tests listen to."""
        self._listening.close()

    async def empty(self) -> None:
        """Take everything out of the database and the folder, as if the application had just been installed."""
        database = self.services[Database]
        async with database.transaction() as session:
            # The audit log can only grow: its triggers have to look away.
            if database.dialect == "postgresql":
                triggers = []
                await session.execute(text("SET LOCAL session_replication_role = replica"))
            else:
                found = await session.execute(text("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"))
                triggers = found.all()
            for name, _ in triggers:
                await session.execute(text(f"DROP TRIGGER {name}"))
            for table in reversed(User.metadata.sorted_tables):
                await session.execute(table.delete())
            for _, sql in triggers:
                await session.execute(text(sql))
        shutil.rmtree(self.folder / "data/avatars", ignore_errors=True)

    @contextmanager
    def noting_statements(self) -> Iterator[list[str]]:
        """The SQL of the requests made inside; that of background tasks, which run beside them, is not theirs."""
        statements: list[str] = []
        mine = ContextVar("noting", default=False)

        def note(_connection: Any, _cursor: Any, sql: str, *_others: Any) -> None:
            if mine.get():
                statements.append(sql)

        mine.set(True)
        event.listen(Engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    def listen(self, topic: str) -> list[Any]:
        """The events of a topic, from now on."""
        heard: list[Any] = []

        async def note(event: Any) -> None:
            heard.append(event)

        self._listening.enter_context(self.services[EventBus].subscribe(topic, note))
        return heard


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


Start = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def start(powerstrip_config, database_url) -> Start:
    """Starts applications that share one database: `async with start(verification_required=True) as api: ...`."""
    return starter(powerstrip_config, database_url)


@pytest.fixture
def start_on_sqlite(powerstrip_config, sqlite_url) -> Start:
    """The same, for what the database has no part in."""
    return starter(powerstrip_config, sqlite_url)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def start_shared(request, tmp_path_factory) -> Iterator[Start]:
    """The same for all tests of a module: for many questions that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    for url in fresh_url(request.param, request, folder):
        yield starter(ConfigBuilder(folder), url, folder)


@pytest.fixture(scope="module")
def start_shared_on_sqlite(request, tmp_path_factory) -> Start:
    """The same on SQLite, each with a database of its own."""

    @asynccontextmanager
    async def running(**settings: Any) -> AsyncGenerator[Api]:
        folder = tmp_path_factory.mktemp("shared")
        for url in fresh_url("sqlite", request, folder):
            async with starter(ConfigBuilder(folder), url, folder)(**settings) as api:
                yield api

    return running


@pytest.fixture(scope="module")
async def shared_on_sqlite(start_shared_on_sqlite) -> AsyncGenerator[Api]:
    """An application for all tests of a module, for what is refused and so changes nothing."""
    async with start_shared_on_sqlite() as api:
        yield api


@pytest.fixture(scope="module")
async def emptied_on_sqlite(start_shared_on_sqlite) -> AsyncGenerator[Api]:
    """Another one, that is emptied for each test."""
    async with start_shared_on_sqlite() as api:
        yield api


def starter(config: ConfigBuilder, database_url: str, folder: Path = Path()) -> Start:
    @asynccontextmanager
    async def running(
        *,
        clock: Clock | None = None,
        plugins: dict[str, Any] | None = None,
        discovery: Any = None,
        client: tuple[str, int] = ("192.0.2.1", 1234),
        app: dict[str, Any] | None = None,
        **settings: Any,
    ) -> AsyncGenerator[Api]:
        mail = {"folder": folder / "data/mail", **settings.pop("mail", {})}
        avatars = {"folder": folder / "data/avatars", **settings.pop("avatars", {})}
        users = {"secret_key": KEY, "passwords": CHEAP, "mail": mail, "avatars": avatars, **settings}
        sections = {
            "tracing": {"access_log": False},
            "database": {"url": database_url, **PATIENT},
            "users": users,
            **(plugins or {}),
        }
        path = config(sections, app={"docs": True, **(app or {})})
        application = create_app(path, environ={}, clock=clock, discovery=discovery)
        transport = httpx2.ASGITransport(app=application, raise_app_exceptions=False, client=client)
        async with (
            application.router.lifespan_context(application),
            httpx2.AsyncClient(transport=transport, base_url="http://api.example") as http,
        ):
            api = Api(application, http, folder)
            yield api
            api.forget()

    return running


@pytest.fixture(scope="module")
async def shared(start_shared) -> AsyncGenerator[Api]:
    """An application with default settings, save for the cost of hashing."""
    async with start_shared() as running:
        yield running


@pytest.fixture
async def api(shared) -> AsyncGenerator[Api]:
    """The same, as empty as it was: starting one for each test would take most of the time."""
    await shared.empty()
    yield shared
    shared.forget()


@pytest.fixture
async def api_on_sqlite(emptied_on_sqlite) -> AsyncGenerator[Api]:
    """The same, for what the database has no part in."""
    await emptied_on_sqlite.empty()
    yield emptied_on_sqlite
    emptied_on_sqlite.forget()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))


class PostOffice:
    """A real mail server on loopback that keeps what it takes, and misbehaves when it is told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusals: list[str] = []  # answers to the next recipients
        self.mischief: list[Callable[[Any], Awaitable[str | None]]] = []  # instead of taking the next mails
        self.port = 0
        self._changed = asyncio.Event()

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.mischief and (answer := await self.mischief.pop(0)(server)) is not None:
            return answer
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        self._changed.set()
        return "250 OK"

    def settings(self, **changed: Any) -> dict[str, Any]:
        """The settings of mail that lead here; failures are tried again at once."""
        smtp = {"host": "127.0.0.1", "port": self.port, "security": "none"}
        quick = {"first_delay": 0.01, "longest_delay": 0.02, "poll_interval": 0.05}
        return {"transport": "smtp", "smtp": smtp, "sender": "Site <no-reply@site.example>", **quick, **changed}

    def to(self, username: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == f"{username}@example.com"]

    async def has_taken(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.mails) < count:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def open_post_office(**options: Any) -> AsyncGenerator[PostOffice]:
    office = PostOffice()
    factory = functools.partial(SMTP, office, hostname="office.example", **options)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    office.port = server.sockets[0].getsockname()[1]
    async with server:
        yield office


@pytest.fixture
async def post_office() -> AsyncGenerator[PostOffice]:
    async with open_post_office() as office:
        yield office


@pytest.fixture
def open_office() -> Callable[..., AbstractAsyncContextManager[PostOffice]]:
    """Opens mail servers with options of aiosmtpd's: TLS, sign-in."""
    return open_post_office
