"""The endpoints, as probes and people see them."""

import re
from contextlib import asynccontextmanager

import httpx2
import pytest

from powerstrip import HealthCheck, Identity, Plugin, PluginSettings, hookimpl
from powerstrip.testing import signed_in

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
PATHS = ["/health", "/health/live", "/health/ready", "/health/startup", "/health/detailed"]
ADMIN = Identity("1", roles=frozenset(("admin",)))


async def fine():
    return {"latency_ms": 3}


async def refused():
    raise ConnectionRefusedError("postgresql://admin:hunter2@db refused")


DATABASE_DOWN = HealthCheck("database", refused)
CACHE_DOWN = HealthCheck("cache", refused, critical=False)


def test_health_says_that_the_process_serves(start):
    answer = start().get("/health")

    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert RFC_3339.fullmatch(answer.json()["timestamp"])
    assert answer.json().keys() == {"status", "timestamp"}


@pytest.mark.parametrize("path", PATHS)
def test_all_are_healthy_when_all_is_well(start, path):
    answer = start(HealthCheck("database", fine)).get(path)

    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"


@pytest.mark.parametrize("path", PATHS)
def test_nobody_may_keep_an_answer(start, path):
    assert start().get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_without_a_body(start, path):
    answer = start().head(path)

    assert answer.status_code == 200
    assert answer.content == b""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/health/live", 200),
        ("/health/startup", 200),
        ("/health/ready", 503),
        ("/health/detailed", 503),
    ],
)
def test_a_critical_failure_turns_only_readiness_red(start, path, status):
    assert start(DATABASE_DOWN).get(path).status_code == status


def test_readiness_says_why_it_is_red(start):
    answer = start(DATABASE_DOWN, CACHE_DOWN).get("/health/ready")

    assert answer.json()["status"] == "unhealthy"
    assert answer.json()["reasons"] == ["critical check 'database' fails"]
    assert answer.json()["generation"] == 1
    assert answer.headers["retry-after"] == "5"


def test_when_to_ask_again_can_be_set(start):
    assert start(DATABASE_DOWN, settings={"retry_after": 30}).get("/health/ready").headers["retry-after"] == "30"


def test_a_failure_that_is_not_critical_degrades(start):
    client = start(CACHE_DOWN, HealthCheck("database", fine))

    detailed = client.get("/health/detailed")
    assert (detailed.status_code, detailed.json()["status"]) == (200, "degraded")
    assert client.get("/health/ready").status_code == 200


def test_details_show_each_check(start, fake_clock):
    client = start(CACHE_DOWN, HealthCheck("database", fine), clock=fake_clock, app={"version": "1.4.0"})

    body = client.get("/health/detailed").json()

    assert body["version"] == "1.4.0"
    assert body["services"] == {
        "cache": {
            "status": "unhealthy",
            "plugin": "checked",
            "critical": False,
            "checked_at": "2026-01-01T00:00:00Z",
            "duration_ms": 0.0,
            "details": {},
            "error": "ConnectionRefusedError",
        },
        "database": {
            "status": "healthy",
            "plugin": "checked",
            "critical": True,
            "checked_at": "2026-01-01T00:00:00Z",
            "duration_ms": 0.0,
            "details": {"latency_ms": 3},
        },
    }


def test_a_fact_that_json_has_no_word_for_is_null(start):
    async def check():
        return {"ratio": float("nan"), "most": float("inf")}

    services = start(HealthCheck("a", check)).get("/health/detailed").json()["services"]

    assert services["a"]["details"] == {"ratio": None, "most": None}


@pytest.mark.parametrize("accept", ["application/json", "application/health+json"])
def test_messages_of_errors_are_for_developers_only(start, accept):
    def details(**options):
        return start(DATABASE_DOWN, **options).get("/health/detailed", headers={"Accept": accept}).text

    assert "hunter2" not in details()
    assert "hunter2" in details(app={"debug": True})


@pytest.mark.parametrize("path", ["/health/ready", "/health/detailed"])
def test_details_can_be_for_no_one(start, path):
    client = start(DATABASE_DOWN, settings={"details": "never"}, identity=ADMIN)

    answer = client.get(path)

    assert answer.status_code == 503
    assert answer.json().keys() == {"status", "timestamp"}


@pytest.mark.parametrize("path", ["/health/ready", "/health/detailed"])
def test_details_can_be_for_admins(start, path):
    client = start(DATABASE_DOWN, settings={"details": "admin"}, identity=ADMIN)
    user, stranger = signed_in(Identity("2", roles=frozenset(("user",)))), signed_in(None)

    assert "generation" in client.get(path).json()
    assert client.get(path, headers=user).json().keys() == {"status", "timestamp"}
    assert client.get(path, headers=stranger).json().keys() == {"status", "timestamp"}


def test_details_can_be_for_another_role(start):
    operator = Identity("3", roles=frozenset(("operator",)))
    client = start(settings={"details": "admin", "details_role": "operator"}, identity=operator)

    assert "services" in client.get("/health/detailed").json()


def test_equal_names_of_two_plugins_are_kept_apart(start):
    class Other(Plugin[PluginSettings]):
        """Checks the same."""

        @hookimpl
        def register_health_checks(self):
            return [DATABASE_DOWN, HealthCheck("queue", fine)]

    client = start(HealthCheck("database", fine), extra={"other": Other})

    services = client.get("/health/detailed").json()["services"]
    assert {name: service["status"] for name, service in services.items()} == {
        "checked.database": "healthy",
        "other.database": "unhealthy",
        "queue": "healthy",
    }


def test_a_plugin_that_could_not_start_degrades_and_is_named(start):
    class Broken(Plugin[PluginSettings]):
        """Does not start."""

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            raise RuntimeError("no disk")
            yield

    client = start(extra={"broken": Broken}, plugins={"broken": {"on_failure": "skip"}})

    body = client.get("/health/detailed").json()
    assert body["status"] == "degraded"
    assert "no disk" in body["unavailable"]["broken"]
    assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize(
    ("checks", "status"), [([HealthCheck("db", fine)], "pass"), ([CACHE_DOWN], "warn"), ([DATABASE_DOWN], "fail")]
)
def test_clients_can_ask_for_health_json(start, checks, status):
    answer = start(*checks).get("/health/detailed", headers={"Accept": "application/health+json"})

    assert answer.headers["content-type"] == "application/health+json"
    assert answer.json()["status"] == status
    assert answer.headers["vary"] == "Accept"
    ((name, (entry,)),) = answer.json()["checks"].items()
    assert name == f"{checks[0].name}:responseTime"
    assert entry["componentId"] == checks[0].name
    assert (entry["observedUnit"], entry["observedValue"] >= 0) == ("ms", True)
    assert RFC_3339.fullmatch(entry["time"])


@pytest.mark.parametrize(("path", "status"), [("/health", "pass"), ("/health/ready", "fail")])
def test_short_answers_are_health_json_too(start, path, status):
    answer = start(DATABASE_DOWN).get(path, headers={"Accept": "application/health+json"})

    assert answer.headers["content-type"] == "application/health+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/health/live", 200),
        ("/health/ready", 503),
        ("/health/startup", 503),
        ("/health/detailed", 503),
    ],
)
async def test_an_application_that_is_not_started_is_alive_and_not_ready(powerstrip_client, path, status):
    transport = httpx2.ASGITransport(powerstrip_client({"health": True}).app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.get(path)

    assert answer.status_code == status


def test_its_routes_are_documented_with_all_answers(start):
    paths = start().app.openapi()["paths"]

    assert {path for path in paths if path.startswith("/health")} == set(PATHS)
    for path in PATHS:
        answers = paths[path]["get"]["responses"]
        assert set(answers["200"]["content"]) == {"application/json", "application/health+json"}
        assert paths[path]["get"]["summary"]
    for path in ("/health/ready", "/health/startup", "/health/detailed"):
        assert set(paths[path]["get"]["responses"]["503"]["content"]) == {"application/json", "application/health+json"}
        assert "Retry-After" in paths[path]["get"]["responses"]["503"]["headers"]


def test_readiness_goes_red_before_a_real_server_stops(powerstrip_process):
    with powerstrip_process({"health": True}, server={"drain_delay": 1.5}) as served:
        before = httpx2.get(f"{served.base_url}/health/ready")
        served.process.terminate()
        answers = [before]
        while answers[-1].status_code == 200:
            answers.append(httpx2.get(f"{served.base_url}/health/ready"))
        live = httpx2.get(f"{served.base_url}/health/live")

    assert before.status_code == 200
    assert answers[-1].status_code == 503
    assert answers[-1].json()["reasons"] == ["the server is draining"]
    assert live.status_code == 200
