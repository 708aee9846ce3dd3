"""Where the key comes from that signs tokens, and which settings are refused or are not for production."""

import asyncio

import pytest

from powerstrip import Finding
from powerstrip_users.keys import KeyFileError, load_keys
from powerstrip_users.settings import UsersSettings


def keys_of(**settings):
    return load_keys(UsersSettings(**settings)).keys("at+jwt")


def test_a_key_is_made_once_and_kept_for_its_owner_only(tmp_path):
    path = tmp_path / "folder" / "users.key"

    first, second = keys_of(key_file=path), keys_of(key_file=path)

    assert first == second
    assert len(path.read_text()) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_every_installation_has_a_key_of_its_own(tmp_path):
    assert keys_of(key_file=tmp_path / "one") != keys_of(key_file=tmp_path / "other")


async def test_of_workers_that_start_at_once_all_have_the_key_of_one(tmp_path):
    path = tmp_path / "users.key"

    found = await asyncio.gather(*(asyncio.to_thread(keys_of, key_file=path) for _ in range(20)))

    assert len({tuple(keys) for keys in found}) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_others_may_read_is_not_used(tmp_path):
    path = tmp_path / "users.key"
    keys_of(key_file=path)
    path.chmod(0o640)

    with pytest.raises(KeyFileError, match="chmod 600"):
        keys_of(key_file=path)


@pytest.mark.parametrize("content", ["", "short", "\xff" * 10])
def test_a_file_that_holds_no_key_is_not_used(tmp_path, content):
    path = tmp_path / "users.key"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(KeyFileError, match="holds no key"):
        keys_of(key_file=path)


def test_a_key_that_can_not_be_kept_is_told_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(KeyFileError, match=r"state users\.secret_key"):
        keys_of(key_file=tmp_path / "file" / "users.key")


async def test_a_token_lives_through_a_restart_with_the_kept_key(start_on_sqlite, tmp_path):
    path = tmp_path / "users.key"
    async with start_on_sqlite(secret_key=None, key_file=str(path)) as api:
        user = await api.user()
    async with start_on_sqlite(secret_key=None, key_file=str(path)) as api:
        assert (await api.get("/users/me", headers=user)).status_code == 200
    path.unlink()
    async with start_on_sqlite(secret_key=None, key_file=str(path)) as api:
        assert (await api.get("/users/me", headers=user)).status_code == 401


async def test_everything_lives_through_a_rotation_of_the_key_and_nothing_its_end(start_on_sqlite):
    async with start_on_sqlite(secret_key="o" * 32) as api:
        await api.sign_up()
        pair = (await api.token("ada")).json()
        link = await api.link("verify", "ada")
    async with start_on_sqlite(secret_key="n" * 32, retired_keys=["o" * 32]) as api:
        assert (await api.get("/users/me", headers=api.bearer(pair["access_token"]))).status_code == 200
        assert (await api.post("/auth/verify-email", {"token": link})).status_code == 204
        pair = (await api.post("/auth/refresh", {"refresh_token": pair["refresh_token"]})).json()
    async with start_on_sqlite(secret_key="n" * 32) as api:
        assert (await api.get("/users/me", headers=api.bearer(pair["access_token"]))).status_code == 200
        assert (await api.post("/auth/verify-email", {"token": link})).status_code == 400


def codes(**settings):
    return {finding.code for finding in UsersSettings(**settings).findings() if isinstance(finding, Finding)}


def test_what_is_not_for_production_is_found():
    smtp = {"transport": "smtp", "smtp": {"host": "localhost"}}

    assert codes() == {"users.no-secret-key", "users.mail-not-sent"}
    assert codes(secret_key="k" * 32, mail=smtp) == set()
    assert codes(secret_key="k" * 32, mail=smtp, passwords={"memory_kib": 1024}) == {"users.weak-hashing"}


@pytest.mark.parametrize(
    "settings",
    [
        {"secret_key": "short"},
        {"retired_keys": ["k" * 32] * 11},
        {"roles": {"god": ["users:read"]}},
        {"roles": {"user": ["Users Read"]}},
        {"blocked_domains": ["x@tempmail.com"]},
        {"passwords": {"memory_kib": 8, "parallelism": 2}},
        {"links": {"verify_url": "https://app.example.com/verify"}},
        {"links": {"reset_url": "javascript:alert('{token}')"}},
        {"tokens": {"access_lifetime": 86_400}},
        {"mail": {"transport": "smtp"}},
        {"mail": {"sender": "nobody"}},
        {"mail": {"lease": 1, "timeout": 2}},
        {"mail": {"smtp": {"host": "x", "username": "only"}}},
        {"mail": {"smtp": {"host": "x", "username": "me", "password": "p", "security": "none"}}},
        {"avatars": {"max_pixels": 10**9}},
    ],
)
def test_settings_that_can_not_work_or_would_not_be_safe_are_refused(settings):
    with pytest.raises(ValueError, match="validation error"):
        UsersSettings(**settings)
