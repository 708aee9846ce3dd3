"""An API with accounts, and people who use it, on SQLite and on PostgreSQL."""

from typing import Any

import pytest

PASSWORD = "correct horse battery"
# As cheap as hashing can be: what is tested here is not how slow it is.
USERS = {"passwords": {"memory_kib": 8, "iterations": 1}, "roles": {"moderator": ["social:moderate"]}}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path, monkeypatch):
    """Mails and keys go to `data/` where a process was started."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plugins(database_url) -> dict[str, Any]:
    return {"database": {"url": database_url}, "users": USERS, "social": True}


@pytest.fixture
def client(powerstrip_client, plugins):
    with powerstrip_client(plugins) as client:
        yield client


class Person:
    """Somebody with an account."""

    def __init__(self, client: Any, name: str) -> None:
        account = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
        more = {"confirm_password": PASSWORD, "terms_accepted": True}
        self.id = client.post("/api/v1/users/", json=account | more).json()["id"]
        form = {"username": name, "password": PASSWORD}
        token = client.post("/api/v1/auth/token", data=form).json()["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self._client = client

    def call(self, method: str, path: str, **options: Any) -> Any:
        return self._client.request(method, f"/api/v1{path}", headers=self._headers, **options)

    def write(self, text: str) -> Any:
        return self.call("POST", "/posts", json={"text": text})

    def follow(self, other: "Person") -> Any:
        return self.call("PUT", f"/follows/{other.id}")

    def texts(self, path: str) -> list[str]:
        return [post["text"] for post in self.call("GET", path).json()["items"]]

    def numbers(self) -> dict[str, int]:
        profile = self.call("GET", "/users/me").json()
        return {name: profile[name] for name in ("posts_count", "followers_count", "following_count")}


@pytest.fixture
def ada(client) -> Person:
    return Person(client, "ada")


@pytest.fixture
def grace(client) -> Person:
    return Person(client, "grace")
