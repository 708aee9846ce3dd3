"""Every route of every first-party plugin is limited, and so is what no route answers."""

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from powerstrip.testing import ClientFactory
from powerstrip.testing.config import ConfigBuilder

REFUSED = 429


@pytest.fixture
def app(tmp_path):
    """All first-party plugins, as the shipped config has them, without its exemptions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        config = ConfigBuilder(tmp_path)
        plugins = {
            "health": True,
            "tracing": {"access_log": False},
            "edge": True,
            "database": {"url": f"sqlite+aiosqlite:///{tmp_path}/all.db"},
            "users": {"secret_key": "k" * 40},
            "ratelimit": {"default": "1/hour", "admin_role": "admin"},
            "realtime": True,
            "exports": True,
        }
        with ClientFactory(config)(plugins, app={"docs": True}) as client:
            yield client.app


def newcomers(app):
    """Clients that nobody has seen, one after the other."""
    for number in range(1, 60_000):
        address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
        yield TestClient(app, client=(address, 1), raise_server_exceptions=False)


def path_of(template, convertors):
    """A path that the template fits."""
    values = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "1", "path": "x"}
    for name, convertor in convertors.items():
        kind = type(convertor).__name__.removesuffix("Convertor").lower().replace("integer", "int")
        template = template.replace(f"{{{name}:{kind}}}", f"{{{name}}}")
        template = template.replace(f"{{{name}}}", values.get(kind, "x"))
    return template


def is_refused(client, method, path):
    if method == "WEBSOCKET":
        try:
            with client.websocket_connect(path):
                return False
        except WebSocketDisconnect as refused:
            return getattr(refused, "status_code", None) == REFUSED
    return client.request(method, path, headers={"Content-Type": "application/json"}).status_code == REFUSED


def test_every_route_of_every_first_party_plugin_counts(app):
    clients, seen, free = newcomers(app), set(), []
    for entry in app.state.powerstrip.index.routes:
        seen.add(entry.plugin)
        path = path_of(entry.path, entry.route.param_convertors)
        for method in sorted(entry.methods or (["WEBSOCKET"] if entry.is_websocket else ["GET"])):
            client = next(clients)
            if [is_refused(client, method, path) for _ in range(2)] != [False, True]:
                free.append(f"{method} {path} of {entry.plugin}")

    assert seen >= {"health", "users", "ratelimit", "realtime", "exports", "powerstrip"}
    assert free == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("DELETE", "/health"), ("BREW", "/api/v1/users")])
def test_what_no_route_answers_counts_as_well(app, method, path):
    client = next(newcomers(app))

    assert client.request(method, path).status_code in (404, 405)
    assert client.get("/health").status_code == REFUSED


def test_sign_up_has_its_own_limit_of_a_hundred_an_hour(powerstrip_client, tmp_path):
    plugins = {
        "database": {"url": f"sqlite+aiosqlite:///{tmp_path}/all.db"},
        "users": {"secret_key": "k" * 40, "mail": {"folder": str(tmp_path)}, "avatars": {"folder": str(tmp_path)}},
        "ratelimit": {"default": None},
    }

    with powerstrip_client(plugins) as client:
        statuses = [client.post("/api/v1/users/", json={}).status_code for _ in range(101)]

    assert statuses == [422] * 100 + [REFUSED]
