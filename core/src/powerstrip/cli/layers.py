"""Interceptors and middleware, as the commands show them."""

from typing import Any

from powerstrip.contract.interceptors import Interceptor, Middleware
from powerstrip.host.application import source_of_layer
from powerstrip.host.interception import Layer


def describe_layer(layer: Layer) -> dict[str, Any]:
    """A layer as `--json` prints it."""
    thing = layer.value
    return {
        "stage": thing.stage.name,
        "kind": "middleware" if isinstance(thing, Middleware) else "interceptor",
        "name": _name(thing),
        "plugin": layer.plugin,
        "source": source_of_layer(layer),
        "reads": sorted(thing.reads),
        "writes": sorted(thing.writes),
    }


def layer_line(layer: dict[str, Any]) -> str:
    """A described layer for people."""
    return f"{layer['stage']:<8}  {layer['name']} ({layer['kind']} of {layer['plugin']}, {layer['source']})"


def _name(thing: Interceptor | Middleware) -> str:
    made_by = thing.cls if isinstance(thing, Middleware) else type(thing)
    return str(getattr(made_by, "__name__", made_by))
