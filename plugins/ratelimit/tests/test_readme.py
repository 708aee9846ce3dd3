"""The README tells what the plugin takes, and its examples work."""

import re
from pathlib import Path

import pytest
import yaml

from powerstrip_ratelimit.settings import PolicySettings, RatelimitSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def names(model=RatelimitSettings, prefix=""):
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from names(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize("setting", sorted({*names(), *names(PolicySettings)}))
def test_each_setting_stands_in_a_table(setting):
    assert re.search(rf"^\|[^|]*`{setting}`", README, re.MULTILINE)


def test_the_example_is_a_config_that_starts_and_limits(powerstrip_client, tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    plugins = yaml.safe_load(example)["plugins"]
    plugins["database"] = {"url": f"sqlite+aiosqlite:///{tmp_path}/readme.db"}
    plugins["users"] = {"secret_key": "k" * 40}

    with powerstrip_client(plugins) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/nowhere").headers["ratelimit-policy"] == '"default";q=60;w=60'


def test_the_example_for_authors_is_a_plugin_that_starts(powerstrip_client):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    scope = {"__name__": "billing"}
    exec(example, scope)
    plugins = {"billing": True, "ratelimit": {"policies": {"tenants": {"rate": "5/minute", "key": "tenant"}}}}

    with powerstrip_client(plugins, extra={"billing": scope["Billing"]}) as client:
        assert client.get("/nowhere").status_code == 404
