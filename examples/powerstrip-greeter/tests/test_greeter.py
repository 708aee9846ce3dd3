"""What the greeter says, and to whom."""

from datetime import UTC, datetime
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Depends

from powerstrip import FindingsError, HostStatus, Plugin, PluginSettings, Routes, hookimpl, public, service
from powerstrip.testing import FakeClock


def at(hour: int) -> FakeClock:
    return FakeClock(datetime(2026, 6, 1, hour, tzinfo=UTC))


@pytest.mark.parametrize(
    ("hour", "language", "message"),
    [
        (8, "en", "Good morning, Ada!"),
        (13, "en", "Good afternoon, Ada!"),
        (21, "en", "Good evening, Ada!"),
        (13, "fr", "Bonjour, Ada!"),
        (8, "de", "Guten Morgen, Ada!"),
    ],
)
def test_the_greeting_fits_the_time_of_day_and_the_language(powerstrip_client, hour, language, message):
    with powerstrip_client({"greeter": True}, clock=at(hour)) as client:
        answer = client.get("/api/v1/greetings/Ada", params={"language": language})

    assert answer.json() == {"message": message, "language": language}
    assert answer.headers["Content-Language"] == language


def test_the_time_of_day_is_that_of_the_configured_time_zone(powerstrip_client):
    with powerstrip_client({"greeter": {"time_zone": "Asia/Tokyo"}}, clock=at(12)) as client:
        assert client.get("/api/v1/greetings/Ada").json()["message"] == "Good evening, Ada!"


def test_the_configured_language_is_for_those_who_ask_for_none(powerstrip_client, fake_clock):
    with powerstrip_client({"greeter": {"language": "de"}}, clock=fake_clock) as client:
        assert client.get("/api/v1/greetings/Ada").json()["language"] == "de"
        assert client.get("/api/v1/greetings/Ada?language=fr").json()["language"] == "fr"


def test_an_unknown_language_is_not_found_by_its_name(powerstrip_client):
    with powerstrip_client({"greeter": True}) as client:
        answer = client.get("/api/v1/greetings/Ada?language=xx")

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "LanguageUnknown"
    assert answer.json()["error"]["details"] == [{"language": "xx"}]


def test_the_greeted_are_counted(powerstrip_client):
    with powerstrip_client({"greeter": True}) as client:
        for name in ("Ada", "Grace"):
            client.get(f"/api/v1/greetings/{name}")

        assert client.get("/api/v1/greetings").json() == {"languages": ["en", "fr", "de"], "greeted": 2}


def test_a_name_that_is_too_long_is_refused(powerstrip_client):
    with powerstrip_client({"greeter": True}) as client:
        assert client.get(f"/api/v1/greetings/{'a' * 101}").status_code == 422


def test_every_response_is_signed_when_a_signature_is_configured(powerstrip_client):
    with powerstrip_client({"greeter": {"signature": "the greeter"}}) as client:
        assert client.get("/api/v1/greetings/Ada").headers["X-Greeter"] == "the greeter"
        assert client.get("/nowhere").headers["X-Greeter"] == "the greeter"


def test_nothing_is_signed_otherwise(powerstrip_client):
    with powerstrip_client({"greeter": True}) as client:
        assert "X-Greeter" not in client.get("/api/v1/greetings/Ada").headers


@pytest.mark.parametrize(
    "setting",
    [{"language": "xx"}, {"time_zone": "Middle/Earth"}, {"time_zone": "../etc"}, {"signature": "two\nlines"}],
)
def test_a_setting_that_can_not_be_is_a_finding_at_its_line(powerstrip_client, setting):
    with pytest.raises(FindingsError) as refusal:
        powerstrip_client({"greeter": setting})

    (finding,) = refusal.value.findings
    assert (finding.plugin, finding.position.line) == ("greeter", 3)


def test_it_answers_over_a_real_connection(powerstrip_served, fake_clock):
    with powerstrip_served({"greeter": True}, clock=fake_clock) as base_url:
        answer = httpx2.get(f"{base_url}/api/v1/greetings/Ada")

    assert answer.json()["message"] == "Good morning, Ada!"


class Doctor(Plugin[PluginSettings]):
    """Asks every health check, as a plugin that serves them would."""

    requires = ("greetings",)

    @hookimpl
    def register_routes(self):
        router = APIRouter(dependencies=[Depends(public)])

        @router.get("/doctor")
        async def ask(status: Annotated[HostStatus, Depends(service(HostStatus))]) -> dict[str, Any]:
            return {owned.check.name: await owned.check.check() for owned in status.checks}

        return [Routes(router, version=None)]


def test_the_health_check_tells_how_many_were_greeted(powerstrip_client):
    with powerstrip_client({"doctor": True, "greeter": True}, extra={"doctor": Doctor}) as client:
        client.get("/api/v1/greetings/Ada")

        assert client.get("/doctor").json() == {"greetings": {"greeted": 1}}
