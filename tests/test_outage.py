"""PostgreSQL goes away and comes back while people use a served API with accounts."""

import asyncio
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from itertools import count

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

PASSWORD = "correct horse battery"
PEOPLE = 6
PATIENCE = 60  # seconds, on a machine that does much else
USERS = {
    "passwords": {"memory_kib": 8, "iterations": 1},
    "mail": {"folder": "mail", "poll_interval": 0.2, "first_delay": 0.1, "longest_delay": 0.5},
    "avatars": {"folder": "avatars"},
    "key_file": "users.key",
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def served(powerstrip_process, postgresql_url):
    database = {"url": postgresql_url, "retry_after": 3, "connect_timeout": 2}
    plugins = {"health": {"cache_ttl": 0}, "tracing": True, "database": database, "users": USERS}
    with powerstrip_process(plugins) as process:
        yield process


@pytest.fixture
def outage(postgresql_server):
    """Stops the server, and has it running again after the test, whatever happens."""

    class Outage:
        begin = postgresql_server.stop
        end = postgresql_server.start

    yield Outage
    postgresql_server.start()


class Crowd:
    """People who sign up, sign in and look at their profiles without end, and remember each answer."""

    def __init__(self, client):
        self._client = client
        self._numbers = count()
        self._changed = asyncio.Condition()
        self.answers = []
        self.signed_up = set()
        self.is_leaving = False

    @asynccontextmanager
    async def at_work(self):
        async with asyncio.TaskGroup() as people:
            for _ in range(PEOPLE):
                people.create_task(self._live())
            try:
                yield
            finally:
                self.is_leaving = True

    async def _live(self):
        while not self.is_leaving:
            name = f"person{next(self._numbers)}"
            form = {"email": f"{name}@example.com", "username": name, "password": PASSWORD, "terms_accepted": True}
            answer = await self._ask("POST", "/users/", json={**form, "confirm_password": PASSWORD})
            if answer.status_code == 201:
                self.signed_up.add(name)
                await self._look_at_profile(name)

    async def _look_at_profile(self, name):
        answer = await self._ask("POST", "/auth/token", data={"username": name, "password": PASSWORD})
        if answer.status_code == 200:
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            await self._ask("GET", "/users/me", headers=headers)

    async def _ask(self, method, path, **options):
        answer = await self._client.request(method, f"/api/v1{path}", **options)
        async with self._changed:
            self.answers.append((method, path, answer))
            self._changed.notify_all()
        return answer

    async def until(self, is_enough):
        """Wait until the answers since now are enough; gives them."""
        start = len(self.answers)
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: is_enough(self.answers[start:]))
        return self.answers[start:]


def statuses_by_call(answers):
    found = defaultdict(Counter)
    for method, path, answer in answers:
        found[f"{method} {path}"][answer.status_code] += 1
    return found


def everything_works(answers):
    found = statuses_by_call(answers)
    return found["POST /users/"][201] >= 5 and found["GET /users/me"][200] >= 5


def is_away(answers):
    return sum(answer.status_code == 503 for *_, answer in answers) >= 2 * PEOPLE


async def names_in(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        names = set(await connection.scalars(text("SELECT username FROM users")))
    await engine.dispose()
    return names


async def all_have_mail(names, folder):
    """Wait until there is a mail for everybody whose account was committed."""
    async with asyncio.timeout(PATIENCE):
        while len(list(folder.rglob("*.eml"))) < len(names):  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.1)


async def test_an_outage_under_load_costs_503_meanwhile_and_nothing_after(served, outage, postgresql_url, tmp_path):
    async with httpx2.AsyncClient(base_url=served.base_url, timeout=PATIENCE) as client:
        crowd = Crowd(client)
        ready = []
        async with crowd.at_work():
            await crowd.until(everything_works)
            ready.append((await client.get("/health/ready")).status_code)
            await asyncio.to_thread(outage.begin)
            during = await crowd.until(is_away)
            ready.append((await client.get("/health/ready")).status_code)
            alive = await client.get("/health/live")
            await asyncio.to_thread(outage.end)
            await crowd.until(everything_works)
            ready.append((await client.get("/health/ready")).status_code)

    refusals = [answer for *_, answer in during if answer.status_code == 503]
    assert {answer.json()["error"]["type"] for answer in refusals} == {"DatabaseUnavailable"}
    assert {answer.headers["Retry-After"] for answer in refusals} == {"3"}
    assert {answer.status_code for *_, answer in crowd.answers} == {200, 201, 503}
    assert (ready, alive.status_code) == ([200, 503, 200], 200)
    assert served.process.poll() is None
    names = await names_in(postgresql_url)
    assert crowd.signed_up <= names
    await all_have_mail(names, tmp_path)
