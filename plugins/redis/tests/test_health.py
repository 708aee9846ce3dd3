"""What health shows of the server."""

import pytest

HEALTH = {"cache_ttl": 0}


@pytest.fixture
def client(powerstrip_client, redis_url):
    with powerstrip_client({"health": HEALTH, "redis": {"url": redis_url}}) as client:
        yield client


def facts(client):
    return client.get("/health/detailed").json()["services"]["redis"]["details"]


def test_it_shows_facts(client):
    found = facts(client)

    assert found["mode"] == "standalone"
    assert found["connections"] == {"in_use": 0, "limit": 20}
    assert found["latency_ms"] > 0


def test_a_lost_server_degrades_and_leaves_readiness_alone(client, valkey):
    valkey.stop()

    assert client.get("/health/detailed").json()["status"] == "degraded"
    assert client.get("/health/ready").status_code == 200


def test_where_it_is_critical_readiness_turns_red(powerstrip_client, redis_url, valkey):
    with powerstrip_client({"health": HEALTH, "redis": {"url": redis_url, "critical": True}}) as client:
        valkey.stop()

        assert client.get("/health/ready").status_code == 503


def test_no_secret_is_shown(powerstrip_client, valkey):
    valkey.command("CONFIG", "SET", "requirepass", "hunter2")
    url = valkey.url.replace("redis://", "redis://:hunter2@")
    try:
        with powerstrip_client({"health": HEALTH, "redis": {"url": url}}) as client:
            answer = client.get("/health/detailed")
    finally:
        valkey.stop()

    assert answer.json()["services"]["redis"]["details"]["mode"] == "standalone"
    assert "hunter2" not in answer.text


def test_a_wrong_password_is_no_reason_to_fail(powerstrip_client, valkey, caplog):
    valkey.command("CONFIG", "SET", "requirepass", "hunter2")
    url = valkey.url.replace("redis://", "redis://:letmein@")
    try:
        with powerstrip_client({"health": HEALTH, "redis": {"url": url}}) as client:
            answer = client.get("/health/detailed")
    finally:
        valkey.stop()

    assert answer.json()["status"] == "degraded"
    assert "letmein" not in answer.text + caplog.text
