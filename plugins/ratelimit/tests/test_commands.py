"""`powerstrip ratelimit`, on counters that servers share with it."""

import json

import pytest

ADDRESS = "192.0.2.1"
SETTINGS = {"default": "5/hour", "policies": {"smooth": {"rate": "10/hour", "algorithm": "gcra", "burst": 3}}}


@pytest.fixture
def client(start, redis_url):
    return start({**SETTINGS, "store_timeout": 10}, address=ADDRESS, plugins={"redis": {"url": redis_url}})


@pytest.fixture
def ratelimit(type_line, tmp_path, redis_url):
    """Types `powerstrip ratelimit ...`; gives exit code and output."""
    config = tmp_path / "commands.json"
    limits = {**SETTINGS, "store_timeout": 10}
    config.write_text(json.dumps({"plugins": {"ratelimit": limits, "redis": {"url": redis_url}}}))

    def do(*line):
        done = type_line("ratelimit", *line, "--config", config)
        return done.exit_code, done.output

    return do


def test_show_tells_what_a_client_has_left(client, ratelimit):
    for _ in range(2):
        client.get("/api/v1/things")
    code, told = ratelimit("show", ADDRESS)

    assert code == 0
    assert "default  5 in 3600 s  3 of 5 left" in told
    assert "smooth  10 in 3600 s  1 of 3 left" in told


def test_show_tells_programs_the_same(client, ratelimit):
    client.get("/api/v1/things")
    code, told = ratelimit("show", ADDRESS, "--json")

    assert code == 0
    assert {entry["name"]: entry["remaining"] for entry in json.loads(told)["policies"]} == {"default": 4, "smooth": 2}


def test_show_counts_nothing_and_tells_apart_clients(client, ratelimit):
    client.get("/api/v1/things")
    ratelimit("show", ADDRESS)

    assert "4 of 5 left" in ratelimit("show", ADDRESS)[1]
    assert "default  5 in 3600 s  unused" in ratelimit("show", "192.0.2.9")[1]


def test_reset_lets_a_client_begin_anew(client, ratelimit):
    for _ in range(3):
        client.get("/api/v1/things")
    assert ratelimit("reset", ADDRESS) == (0, f"{ADDRESS}: forgotten under 2 policies\n")

    assert "default  5 in 3600 s  unused" in ratelimit("show", ADDRESS)[1]
    assert client.get("/api/v1/things").status_code == 200


@pytest.mark.parametrize("command", ["show", "reset"])
def test_while_redis_is_away_nothing_is_made_up(client, ratelimit, valkey, command):
    client.get("/api/v1/things")
    valkey.stop()
    code, told = ratelimit(command, ADDRESS)

    assert code == 1
    assert "error: " in told
    assert "left" not in told
    assert "forgotten" not in told
