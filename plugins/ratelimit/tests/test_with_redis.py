"""Applications whose counters are in Redis: several of them, and while it is away."""

import pytest

from powerstrip import StartError

TWO = {"default": "2/hour", "store_timeout": 5}


def test_applications_share_their_counters(start, redis_url):
    one, other = (start(TWO, plugins={"redis": {"url": redis_url}}) for _ in range(2))
    statuses = [client.get("/api/v1/things").status_code for client in (one, other, one, other)]

    assert statuses == [200, 200, 429, 429]


def test_what_is_counted_outlives_the_application(start, redis_url):
    for _ in range(2):
        start(TWO, plugins={"redis": {"url": redis_url}}).get("/api/v1/things")

    assert start(TWO, plugins={"redis": {"url": redis_url}}).get("/api/v1/things").status_code == 429


def test_a_refusal_tells_the_same_as_in_memory(start, redis_url):
    client = start(TWO, plugins={"redis": {"url": redis_url}})
    for _ in range(2):
        client.get("/api/v1/things")
    refusals = [client.get("/api/v1/things") for _ in range(2)]  # the second without asking

    for refusal in refusals:
        assert refusal.status_code == 429
        assert 3590 <= int(refusal.headers["Retry-After"]) <= 3600
        assert refusal.headers["X-RateLimit-Remaining"] == "0"
        assert refusal.json()["error"]["type"] == "RateLimitExceeded"


def test_counters_stay_in_memory_when_that_is_wanted(start, redis_url):
    settings = {**TWO, "store": "memory"}
    one, other = (start(settings, plugins={"redis": {"url": redis_url}}) for _ in range(2))

    assert [client.get("/api/v1/things").status_code for client in (one, one, other, other)] == [200] * 4


def test_redis_that_is_wanted_and_off_is_said_at_the_start(start):
    with pytest.raises(StartError, match="'store: redis' needs the plugin redis"):
        start({**TWO, "store": "redis"})


@pytest.mark.parametrize(
    ("on_failure", "expected"),
    [("allow", [200, 200, 200, 200]), ("local", [200, 200, 429, 429]), ("deny", [503, 503, 503, 503])],
)
def test_while_it_is_away_the_operator_decides(start, redis_url, valkey, on_failure, expected):
    client = start({**TWO, "on_store_failure": on_failure}, plugins={"redis": {"url": redis_url}})
    valkey.stop()
    answers = [client.get("/api/v1/things") for _ in range(4)]

    assert [answer.status_code for answer in answers] == expected
    if on_failure == "deny":
        assert answers[0].headers["Retry-After"] == "5"
        assert answers[0].json()["error"]["type"] == "ServiceUnavailable"


def test_health_tells_that_it_is_away_and_readiness_stays_green(start, redis_url, valkey):
    plugins = {"redis": {"url": redis_url, "longest_pause": 3600}, "health": {"cache_ttl": 0}}
    client = start({**TWO, "exempt": {"paths": ["/health*"]}}, plugins=plugins)
    healthy = client.get("/health/detailed").json()
    valkey.stop()
    client.get("/api/v1/things")
    degraded = client.get("/health/detailed").json()

    assert healthy["services"]["ratelimit"]["details"] == {"store": "redis"}
    assert (degraded["status"], degraded["services"]["ratelimit"]["status"]) == ("degraded", "unhealthy")
    assert client.get("/health/ready").status_code == 200


def test_all_recovers_without_a_restart(start, redis_url, valkey):
    plugins = {"redis": {"url": redis_url}, "health": {"cache_ttl": 0}}
    client = start({"default": "100000/hour", "exempt": {"paths": ["/health*"]}}, plugins=plugins)
    valkey.stop()
    client.get("/api/v1/things")
    valkey.start()
    while client.get("/health/detailed").json()["status"] != "healthy":
        client.get("/api/v1/things")

    assert client.get("/api/v1/things").status_code == 200
    assert b"sliding:default" in valkey.command("KEYS", "*")
