"""Which URLs are understood, and what is said about the others."""

import pytest
from pydantic import ValidationError

from powerstrip_redis.settings import RedisSettings

PASSWORD = "hunter2"


def address(url):
    return RedisSettings(url=url).address


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_server_with_all_parts(scheme):
    found = address(f"{scheme}://ann:p%40ss@cache.example:6380/3")

    assert (found.mode, found.tls) == ("standalone", False)
    assert found.hosts == (("cache.example", 6380),)
    assert (found.username, found.password, found.database) == ("ann", "p@ss", 3)


@pytest.mark.parametrize("scheme", ["rediss", "valkeys", "rediss+sentinel", "rediss+cluster"])
def test_an_s_means_tls(scheme):
    path = "/main" if "sentinel" in scheme else ""

    assert address(f"{scheme}://cache.example{path}").tls


def test_what_is_left_out_has_the_usual_value():
    found = address("redis://cache.example")

    assert (found.hosts, found.database) == ((("cache.example", 6379),), 0)
    assert (found.username, found.password) == (None, None)


def test_a_password_needs_no_user():
    found = address("redis://:secret@cache.example")

    assert (found.username, found.password) == (None, "secret")


def test_a_socket():
    found = address("unix:///run/val%20key.sock?db=2")

    assert (found.mode, found.path, found.database) == ("standalone", "/run/val key.sock", 2)


def test_sentinels_and_their_service():
    found = address("redis+sentinel://ann:secret@one.example,[::1]:26380/main/1")

    assert found.mode == "sentinel"
    assert found.hosts == (("one.example", 26379), ("::1", 26380))
    assert (found.service, found.database, found.password) == ("main", 1, "secret")


def test_some_nodes_of_a_cluster():
    found = address("redis+cluster://one.example,two.example:7000")

    assert (found.mode, found.hosts) == ("cluster", (("one.example", 6379), ("two.example", 7000)))


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "no scheme that is known"),
        ("http://x", "no scheme that is known"),
        ("localhost:6379", "no scheme that is known"),
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://x:99999", "can't be read"),
        ("redis://x:0", "can't be read"),
        ("redis://[::1", "is no URL"),
        ("redis://x/one", "number of a database"),
        ("redis://x/1/2", "too many parts"),
        ("redis://x/0?timeout=3", "stand in the settings"),
        ("redis://x,y", "redis+sentinel:// or redis+cluster://"),
        ("redis+sentinel://x", "name the service"),
        ("redis+cluster://x/1", "a cluster has none but 0"),
        ("unix://run/x.sock", "three slashes"),
        ("unix:///run/x.sock?db=one", "number of a database"),
    ],
)
def test_any_other_is_refused_with_what_is_wrong(url, complaint):
    with pytest.raises(ValidationError) as refusal:
        RedisSettings(url=url)

    [error] = refusal.value.errors()
    assert complaint in error["msg"]


@pytest.mark.parametrize(
    "url", [f"http://ann:{PASSWORD}@x", f"redis://ann:{PASSWORD}@x:99999", f"redis://:{PASSWORD}@[x"]
)
def test_a_complaint_never_repeats_the_password(url):
    with pytest.raises(ValidationError) as refusal:
        RedisSettings(url=url)

    [error] = refusal.value.errors(include_input=False)
    assert PASSWORD not in str(error)


def test_the_password_is_in_no_text_form():
    settings = RedisSettings(url=f"redis://ann:{PASSWORD}@x", sentinel_password=PASSWORD)

    assert PASSWORD not in f"{settings!r} {settings} {settings.address!r} {settings.model_dump_json()}"


def test_a_prefix_that_would_be_a_hash_tag_is_refused():
    with pytest.raises(ValidationError):
        RedisSettings(key_prefix="{all}:")
