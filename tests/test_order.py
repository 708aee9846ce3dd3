"""No order shows through: of installation, of YAML, or of what a hook returns first."""

import json
import random
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from powerstrip import create_app
from powerstrip.host.discovery import Discovery, discover_plugins

PLUGINS = {
    "health": "on",
    "tracing": "{access_log: on}",
    "edge": "{hosts: [testserver], cors: {origins: ['https://a.example']}}",
    "greeter": "on",
}


def outcome(app: FastAPI) -> tuple[object, ...]:
    """What a client and an operator can see of a composition."""
    assembly = app.state.powerstrip
    routes = sorted((entry.plugin, entry.path, *sorted(entry.methods or ())) for entry in assembly.index.routes)
    layers = [(entry.plugin, type(entry.value).__name__, entry.value.stage) for entry in assembly.layers]
    return routes, layers, json.dumps(app.openapi())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers())
def test_shuffling_installation_and_yaml_changes_neither_routes_nor_layers_nor_openapi(tmp_path: Path, seed: int):
    shuffle = random.Random(seed).shuffle
    listed, installed = list(PLUGINS), list(discover_plugins().plugins.items())
    plain = tmp_path / "plain.yaml"
    plain.write_text("plugins:\n" + "".join(f"  {name}: {section}\n" for name, section in PLUGINS.items()))
    shuffle(listed)
    shuffle(installed)
    shuffled = tmp_path / "shuffled.yaml"
    shuffled.write_text("plugins:\n" + "".join(f"  {name}: {PLUGINS[name]}\n" for name in listed))

    expected = outcome(create_app(plain))
    seen = outcome(create_app(shuffled, discovery=Discovery(dict(installed), {})))

    assert expected == seen


@pytest.mark.parametrize("name", ["/health", "/api/v1/greetings/{name}"])
def test_the_comparison_sees_what_it_compares(tmp_path: Path, name: str):
    config = tmp_path / "config.yaml"
    config.write_text("plugins:\n" + "".join(f"  {name}: {section}\n" for name, section in PLUGINS.items()))

    routes, layers, document = outcome(create_app(config))

    assert name in {path for _, path, *_ in routes}
    assert {plugin for plugin, *_ in layers} >= {"edge", "tracing"}
    assert name in json.loads(document)["paths"]
