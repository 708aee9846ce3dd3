"""Which route answers a path, through which layers, and what else would have matched."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from powerstrip.cli.layers import describe_layer, layer_line
from powerstrip.cli.routes import ANY_METHOD, describe_route, methods_of, route_line
from powerstrip.contract.problems import PluginUnavailable, Problem
from powerstrip.host.application import Assembly
from powerstrip.host.routes import WEBSOCKET, OwnedRoute


def explain_path(assembly: Assembly, path: str, method: str | None = None) -> dict[str, Any]:
    """What a request for `path` meets: by `method`, or by each method that a route declares.

    Each of `answers` has a route or a problem; `chain` are the layers in front, outermost first.
    """
    path = unquote(path.partition("?")[0])
    methods = [method.upper()] if method else _methods(assembly, path)
    return {
        "path": path,
        "answers": [_answer(assembly, path, one) for one in methods],
        "chain": [describe_layer(layer) for layer in assembly.layers],
    }


def path_lines(explanation: dict[str, Any]) -> Iterator[str]:
    """The explanation for people."""
    for answer in explanation["answers"]:
        yield f"{answer['method']} {explanation['path']}"
        if answer["problem"]:
            yield "  answer  {status_code} {type}: {message}".format(**answer["problem"])
        if answer["route"]:
            yield from _route_lines(answer["route"])
        for other in answer["also_matches"]:
            yield f"  would also match: {route_line(other)}"
    yield "passes, outermost first"
    for layer in explanation["chain"]:
        yield f"  {layer_line(layer)}"
    if not explanation["chain"]:
        yield "  no interceptor and no middleware"


def _route_lines(route: dict[str, Any]) -> Iterator[str]:
    yield f"  plugin  {route['plugin']}"
    yield f"  route   {route['path']} ({route['name']}, {route['source']})"
    yield f"  access  {route['access'] or 'undeclared'}"
    if route["params"]:
        yield f"  params  {', '.join(f'{name}={value}' for name, value in route['params'].items())}"


def _methods(assembly: Assembly, path: str) -> list[str]:
    entries = [entry for kind in ("http", "websocket") for entry, _ in assembly.index.matching(kind, path)]
    return sorted({method for entry in entries for method in methods_of(entry)}) or ["GET"]


def _answer(assembly: Assembly, path: str, method: str) -> dict[str, Any]:
    kind = "websocket" if method == WEBSOCKET else "http"
    try:
        entry, params = assembly.index.find(kind, method, path)
    except Problem as problem:
        return {"method": method, "route": None, "problem": _described(problem), "also_matches": []}
    matching = [other for other, _ in assembly.index.matching(kind, path)]
    others = [other for other in matching if other is not entry and _takes(other, method)]
    return {
        "method": method,
        "route": describe_route(entry)
        | {"source": entry.source, "params": {name: str(value) for name, value in params.items()}},
        "problem": _unavailable(assembly, entry),
        "also_matches": [describe_route(other) | {"source": other.source} for other in others],
    }


def _takes(entry: OwnedRoute, method: str) -> bool:
    methods = methods_of(entry)
    return method in methods or ANY_METHOD in methods or (method == "HEAD" and "GET" in methods)


def _unavailable(assembly: Assembly, entry: OwnedRoute) -> dict[str, Any] | None:
    skipped = assembly.composition.skipped.get(entry.plugin)
    if skipped is None:
        return None
    return _described(PluginUnavailable(f"'{entry.plugin}' was skipped: {skipped.reason}"))


def _described(problem: Problem) -> dict[str, Any]:
    return {"type": problem.type, "status_code": problem.status, "message": problem.message}
