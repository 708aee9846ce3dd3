"""`powerstrip explain`: which plugin answers, through which chain; why a plugin is on, off or at its position."""

import json

import pytest

LAMP = """
from starlette.responses import Response

router = APIRouter(prefix="/lamps", dependencies=[Depends(public)])

@router.get("/{number}")
async def read_lamp(number: int): ...

@router.get("/{name}.json")
async def read_file(name: str): ...

@router.get("/{rest:path}")
async def read_rest(rest: str): ...

@router.put("/{number}")
async def switch_lamp(number: int): ...

@router.websocket("/{number}")
async def watch(websocket: WebSocket, number: int): ...

class Guard(Interceptor):
    stage = Stage.GUARD
    reads = frozenset({"identity"})

class Observer(Interceptor):
    stage = Stage.OBSERVE
    writes = frozenset({"seen"})

class Body:
    def __init__(self, app): ...

    async def __call__(self, scope, receive, send): ...

async def check(): ...

async def blink(services): ...

class Strange(Plain):
    '''Gives light.'''
    requires = ("mains",)
    wants = ("dimmer",)

    @hookimpl
    def register_routes(self):
        return [Routes(router)]

    @hookimpl
    def register_interceptors(self):
        return [Guard(), Observer()]

    @hookimpl
    def register_middleware(self):
        return [Middleware(Body, Stage.EDGE)]

    @hookimpl
    def register_health_checks(self):
        return [HealthCheck("filament", check)]

    @hookimpl
    def register_tasks(self):
        return [BackgroundTask("blink", blink)]
"""


@pytest.fixture
def lamp(write_config, install):
    """A config with a lamp, what it requires and what it wants."""
    for name in ("mains", "dimmer"):
        install(name)
    install("lamp", LAMP)
    return write_config("plugins:\n  dimmer: on\n  lamp: on\n  mains: on\n")


@pytest.fixture
def explain(run):
    def ask(*line: str) -> dict:
        result = run("explain", "--json", *line)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return ask


def answers(explanation: dict) -> dict[str, str]:
    return {answer["method"]: answer["route"] and answer["route"]["name"] for answer in explanation["answers"]}


def test_a_path_has_an_answer_for_each_method_that_a_route_declares(lamp, explain):
    assert answers(explain("/api/v1/lamps/7")) == {"GET": "read_lamp", "PUT": "switch_lamp", "WEBSOCKET": "watch"}


def test_the_answer_names_owner_route_source_access_and_parameters(lamp, explain):
    (answer,) = explain("/api/v1/lamps/7", "--method", "put")["answers"]

    source = answer["route"].pop("source")
    assert answer["route"] == {
        "path": "/api/v1/lamps/{number}",
        "methods": ["PUT"],
        "plugin": "lamp",
        "access": "public",
        "name": "switch_lamp",
        "params": {"number": "7"},
    }
    assert "strange_lamp.py:" in source
    assert answer["problem"] is None


def test_what_else_would_match_comes_with_the_most_specific(lamp, explain):
    (answer,) = explain("/api/v1/lamps/7.json", "--method", "GET")["answers"]

    assert answer["route"]["name"] == "read_file"
    assert [other["name"] for other in answer["also_matches"]] == ["read_lamp", "read_rest"]


def test_a_head_request_is_answered_by_the_route_for_get(lamp, explain):
    assert answers(explain("/api/v1/lamps/7", "--method", "HEAD")) == {"HEAD": "read_lamp"}


def test_the_path_may_be_copied_from_an_address_bar(lamp, explain):
    explanation = explain("/api/v1/lamps/%37/?colour=red", "--method", "GET")

    assert explanation["path"] == "/api/v1/lamps/7/"
    assert explanation["answers"][0]["route"]["params"] == {"number": "7"}


def test_the_chain_is_in_the_order_of_the_stages_with_owner_and_state_keys(lamp, explain):
    chain = explain("/api/v1/lamps/7")["chain"]

    assert [(layer["stage"], layer["kind"], layer["name"], layer["plugin"]) for layer in chain] == [
        ("OBSERVE", "interceptor", "Observer", "lamp"),
        ("EDGE", "middleware", "Body", "lamp"),
        ("GUARD", "interceptor", "Guard", "lamp"),
    ]
    assert (chain[0]["writes"], chain[2]["reads"]) == (["seen"], ["identity"])


def test_a_path_that_nothing_answers_is_explained_as_not_found(lamp, explain):
    (answer,) = explain("/nowhere")["answers"]

    assert answer["route"] is None
    assert (answer["problem"]["type"], answer["problem"]["status_code"]) == ("NotFound", 404)


def test_a_method_that_no_route_takes_is_explained_as_not_allowed(lamp, explain):
    (answer,) = explain("/api/v1/lamps/7", "--method", "DELETE")["answers"]

    assert answer["problem"]["type"] == "MethodNotAllowed"


def test_the_path_of_a_skipped_plugin_says_that_it_is_not_available_and_why(run, write_config, install):
    install("lamp", LAMP)
    write_config("plugins: {lamp: {on_failure: skip}}")

    explanation = json.loads(run("explain", "/api/v1/lamps/7", "--json", "--method", "GET").stdout)
    (answer,) = explanation["answers"]

    assert (answer["problem"]["type"], answer["problem"]["status_code"]) == ("PluginUnavailable", 503)
    assert "'mains'" in answer["problem"]["message"]


def test_people_read_the_same_of_a_path(lamp, run):
    lines = run("explain", "/api/v1/lamps/7", "--method", "GET").stdout.splitlines()

    assert lines[:2] == ["GET /api/v1/lamps/7", "  plugin  lamp"]
    assert any(line.startswith("  route   /api/v1/lamps/{number} (read_lamp, ") for line in lines)
    assert "  access  public" in lines
    assert "  params  number=7" in lines
    assert "  would also match: GET /api/v1/lamps/{rest:path} of lamp (public)" in lines
    assert [line.split()[0] for line in lines[lines.index("passes, outermost first") + 1 :]] == [
        "OBSERVE",
        "EDGE",
        "GUARD",
    ]


def test_people_read_of_a_problem_what_it_answers(lamp, run):
    lines = run("explain", "/nowhere").stdout.splitlines()

    assert lines[:2] == ["GET /nowhere", "  answer  404 NotFound: There is nothing here."]


def test_people_read_that_nothing_stands_in_front_when_nothing_does(write_config, run):
    write_config("plugins: {}")

    assert run("explain", "/").stdout.endswith("passes, outermost first\n  no interceptor and no middleware\n")


def test_a_plugin_that_is_on_has_its_position_and_what_put_it_there(lamp, explain):
    explanation = explain("lamp")

    assert (explanation["state"], explanation["reason"]) == ("on", "listed at config/config.yaml:3:9")
    assert (explanation["position"], explanation["of"]) == (3, 3)
    assert explanation["after"] == [
        {"plugin": "mains", "because": "requires 'mains'"},
        {"plugin": "dimmer", "because": "wants 'dimmer'"},
    ]
    assert explain("mains")["before"] == [{"plugin": "lamp", "because": "requires 'mains'"}]


def test_a_plugin_that_is_on_has_its_routes_layers_checks_and_tasks(lamp, explain):
    explanation = explain("lamp")

    assert len(explanation["routes"]) == 5
    assert [layer["name"] for layer in explanation["layers"]] == ["Observer", "Body", "Guard"]
    assert (explanation["checks"], explanation["tasks"], explanation["exports"]) == (["filament"], ["blink"], [])


def test_people_read_the_same_of_a_plugin(lamp, run):
    lines = run("explain", "lamp").stdout.splitlines()

    assert lines[:3] == [
        "lamp is on: listed at config/config.yaml:3:9",
        "  from strange-lamp 1.0",
        "  starts 3 of 3",
    ]
    assert "    after mains: lamp requires 'mains'" in lines
    assert "    PUT /api/v1/lamps/{number} of lamp (public)" in lines
    assert lines[-4:] == ["  checks", "    filament", "  tasks", "    blink"]


def test_a_plugin_that_is_off_has_only_the_reason(run, write_config, install):
    install("lamp", "raise RuntimeError")
    write_config("plugins: {lamp: off}")

    result = run("explain", "lamp")

    assert result.stdout == "lamp is off: switched off at config/config.yaml:1:17\n  from strange-lamp 1.0\n"
    assert result.exit_code == 0


def test_a_plugin_that_keeps_the_config_from_being_used_is_explained_with_the_findings(run, write_config, install):
    install("lamp", LAMP)
    write_config("plugins: {lamp: on}")

    result = run("explain", "lamp")

    assert result.exit_code == 1
    assert result.stdout.startswith("lamp is skipped: refused: plugin 'lamp' requires 'mains'")
    assert "config/config.yaml:1:11: error:" in result.stderr


def test_a_plugin_that_is_nowhere_is_a_failure_with_the_closest_name(lamp, run):
    result = run("explain", "lmap")

    assert result.exit_code == 1
    assert result.stderr == "error: no plugin 'lmap' is installed or listed: did you mean 'lamp'?\n"


def test_a_method_makes_no_sense_for_a_plugin(lamp, run):
    assert run("explain", "lamp", "--method", "GET").exit_code == 2
