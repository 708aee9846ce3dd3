"""`powerstrip routes` and `powerstrip openapi`: what the API answers."""

import json

ROUTES = """
router = APIRouter(prefix="/lamps", dependencies=[Depends(public)])

@router.get("/{number}")
async def read_lamp(number: int): ...

@router.put("/{number}", dependencies=[Depends(require("electrician"))])
async def switch_lamp(number: int): ...

@router.websocket("/watch")
async def watch(websocket: WebSocket): ...

silent = APIRouter()

@silent.get("/silent")
async def say_nothing(): ...

class Strange(Plain):
    @hookimpl
    def register_routes(self):
        return [Routes(router), Routes(silent, version=None)]
"""


def test_each_route_has_its_path_methods_plugin_access_and_name_in_order_of_the_path(run, write_config, install):
    install("lamp", ROUTES)
    write_config("plugins: {lamp: on}")

    result = run("routes", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        {
            "path": "/api/v1/lamps/watch",
            "methods": ["WEBSOCKET"],
            "plugin": "lamp",
            "access": "public",
            "name": "watch",
        },
        {
            "path": "/api/v1/lamps/{number}",
            "methods": ["GET"],
            "plugin": "lamp",
            "access": "public",
            "name": "read_lamp",
        },
        {
            "path": "/api/v1/lamps/{number}",
            "methods": ["PUT"],
            "plugin": "lamp",
            "access": "role electrician",
            "name": "switch_lamp",
        },
        {"path": "/silent", "methods": ["GET"], "plugin": "lamp", "access": None, "name": "say_nothing"},
    ]


def test_the_pages_of_the_host_are_its_own_and_a_mount_takes_every_method(run, write_config):
    write_config("app: {docs: on}")

    routes = {route["path"]: route for route in json.loads(run("routes", "--json").stdout)}

    assert routes["/docs"]["plugin"] == "powerstrip"
    assert routes["/docs/assets"]["methods"] == ["*"]


def test_people_see_which_route_does_not_say_who_may_call_it(run, write_config, install):
    install("lamp", ROUTES)
    write_config("plugins: {lamp: on}")

    heading, *lines = [line.split() for line in run("routes").stdout.splitlines()]

    assert heading == ["PATH", "METHODS", "PLUGIN", "ACCESS", "NAME"]
    assert ["/silent", "GET", "lamp", "undeclared", "say_nothing"] in lines


def test_a_broken_config_gives_its_findings_and_no_answer(run, write_config):
    write_config("plugins: {lamp: on}")

    for command in ("routes", "openapi"):
        result = run(command, "--json")

        assert (result.exit_code, result.stdout) == (1, "")
        assert "not installed" in result.stderr


def test_the_openapi_document_is_printed_even_where_the_server_does_not_show_it(run, write_config, install):
    install("lamp", ROUTES)
    write_config("app: {docs: off}\nplugins: {lamp: on}")

    document = json.loads(run("openapi").stdout)

    assert document["paths"]["/api/v1/lamps/{number}"]["get"]["x-plugin"] == "lamp@1.0"


def test_a_plugin_that_breaks_the_document_is_named_without_a_traceback(run, write_config, install):
    code = """
    class Strange(Plain):
        @hookimpl
        def customise_openapi(self, document):
            document["nothing"]
    """
    install("lamp", code)
    write_config("plugins: {lamp: on}")

    result = run("openapi")

    assert result.exit_code == 1
    assert result.stderr == "error: plugin 'lamp' failed at customise_openapi: KeyError: 'nothing'\n"
