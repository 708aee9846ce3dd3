"""`powerstrip routes`: what the API answers, whose it is and who may call it."""

from typing import Any

from starlette.routing import WebSocketRoute

from powerstrip.cli.arguments import AsJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.output import print_json, print_table
from powerstrip.cli.steps import assembly_of, build
from powerstrip.host.routes import WEBSOCKET, OwnedRoute

ANY_METHOD = "*"


def routes(config: ConfigFiles = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """List every route with its owner and who may call it."""
    index = assembly_of(build(ConfigArguments.of(config, overrides).read())).index
    entries = sorted((describe_route(entry) for entry in index.routes), key=lambda entry: list(entry.values())[:3])
    if as_json:
        print_json(entries)
        return
    rows = [(e["path"], ",".join(e["methods"]), e["plugin"], e["access"] or "undeclared", e["name"]) for e in entries]
    print_table(("PATH", "METHODS", "PLUGIN", "ACCESS", "NAME"), rows)


def describe_route(entry: OwnedRoute) -> dict[str, Any]:
    """The route as `--json` prints it: path, methods, plugin, access, name."""
    return {
        "path": entry.path,
        "methods": methods_of(entry),
        "plugin": entry.plugin,
        "access": str(entry.access) if entry.access else None,
        "name": entry.name,
    }


def methods_of(entry: OwnedRoute) -> list[str]:
    """The methods of a route, `WEBSOCKET` of a WebSocket's, `*` where it takes all, as a mount does."""
    if isinstance(entry.route, WebSocketRoute):
        return [WEBSOCKET]
    return sorted(entry.methods) if entry.methods else [ANY_METHOD]


def route_line(route: dict[str, Any]) -> str:
    """A described route for people."""
    return f"{','.join(route['methods'])} {route['path']} of {route['plugin']} ({route['access'] or 'undeclared'})"
