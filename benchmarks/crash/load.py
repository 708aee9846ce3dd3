"""People who sign up, change their profiles and upload pictures, and remember what they were told."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from random import Random

import httpx2
from PIL import Image

PASSWORD = "correct horse battery"
PEOPLE = 12
TIMEOUT = 30.0
# An answer that is no mistake of the server's: it may be busy.
EXPECTED = frozenset((200, 201, 204, 503))


@dataclass
class Journal:
    """What was answered, over all lives of the server."""

    accounts: dict[str, str] = field(default_factory=dict)  # id: name
    profiles: dict[str, str] = field(default_factory=dict)  # id: full name that was answered 200
    pictures: dict[str, str] = field(default_factory=dict)  # id: ETag that was answered 204
    statuses: Counter[int] = field(default_factory=Counter)
    cut_off: int = 0
    _numbers: Iterator[int] = field(default_factory=count)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def next_name(self) -> str:
        return f"person{next(self._numbers)}"

    def note(self, answer: httpx2.Response) -> bool:
        """Remember an answer; whether it says that the thing was done."""
        self.statuses[answer.status_code] += 1
        self._more.set()
        return answer.is_success

    def note_cut(self) -> None:
        """Remember a request that will never be answered."""
        self.cut_off += 1
        self._more.set()

    async def has_accounts(self, number: int) -> None:
        """Wait until so many were told 201."""
        while len(self.accounts) < number:
            self._more.clear()
            await self._more.wait()


async def live(base_url: str, journal: Journal, seed: int) -> None:
    """All people at once, each with one thing after the other, until the server is gone."""
    limits = httpx2.Limits(max_connections=PEOPLE * 2)
    async with httpx2.AsyncClient(base_url=f"{base_url}/api/v1", timeout=TIMEOUT, limits=limits) as client:
        await asyncio.gather(*(_Person(client, journal, Random(f"{seed}-{n}")).live() for n in range(PEOPLE)))


class _Person:
    def __init__(self, client: httpx2.AsyncClient, journal: Journal, chance: Random) -> None:
        self._client = client
        self._journal = journal
        self._chance = chance

    async def live(self) -> None:
        try:
            while True:
                await self._come()
        except httpx2.TransportError:
            self._journal.note_cut()

    async def _come(self) -> None:
        name = self._journal.next_name()
        form = {"email": f"{name}@example.com", "username": name, "password": PASSWORD, "terms_accepted": True}
        answer = await self._client.post("/users/", json={**form, "confirm_password": PASSWORD})
        if not self._journal.note(answer):
            return
        user_id = answer.json()["id"]
        self._journal.accounts[user_id] = name
        if self._chance.random() < 0.5:
            await self._settle_in(user_id, name)

    async def _settle_in(self, user_id: str, name: str) -> None:
        answer = await self._client.post("/auth/token", data={"username": name, "password": PASSWORD})
        if not self._journal.note(answer):
            return
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        full_name = f"{name.title()} of the Crash"
        answer = await self._client.put("/users/me", json={"full_name": full_name}, headers=headers)
        if self._journal.note(answer):
            self._journal.profiles[user_id] = full_name
        for _ in range(self._chance.randint(1, 3)):
            files = {"file": ("me.png", _picture(self._chance))}
            answer = await self._client.post("/users/me/avatar", files=files, headers=headers)
            if self._journal.note(answer):
                self._journal.pictures[user_id] = answer.headers["ETag"]


def _picture(chance: Random) -> bytes:
    """A picture like no other: noise, so that it is large enough to be cut in the middle."""
    target = BytesIO()
    Image.frombytes("RGB", (128, 128), chance.randbytes(128 * 128 * 3)).save(target, "PNG")
    return target.getvalue()
