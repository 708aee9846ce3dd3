"""`powerstrip plugins`: what is installed, and why each is on, off or skipped."""

import json
import sys

import pytest

BROKEN = 'raise RuntimeError("burnt out")'
REQUIRING = """
class Strange(Plain):
    requires = ("mains",)
    wants = ("dimmer",)
    provides = ("light",)
"""


@pytest.fixture
def states(run):
    """The answer of `powerstrip plugins --json`, by name."""

    def ask(*line: str) -> dict:
        return {state["name"]: state for state in json.loads(run("plugins", "--json", *line).stdout)}

    return ask


def test_a_plugin_that_is_on_says_where_and_what_it_requires_wants_and_provides(states, write_config, install):
    install("lamp", REQUIRING)
    install("mains")
    write_config("plugins:\n  mains: on\n  lamp: on\n")

    assert states()["lamp"] == {
        "name": "lamp",
        "distribution": "strange-lamp",
        "version": "1.0",
        "state": "on",
        "reason": "listed at config/config.yaml:3:9",
        "requires": ["mains"],
        "wants": ["dimmer"],
        "provides": ["light"],
    }


def test_a_plugin_that_is_not_listed_is_off_and_never_imported(states, write_config, install):
    install("lamp", BROKEN)
    write_config("plugins: {}")

    assert states()["lamp"] == {
        "name": "lamp",
        "distribution": "strange-lamp",
        "version": "1.0",
        "state": "off",
        "reason": "not listed in config/config.yaml",
        "requires": None,
        "wants": None,
        "provides": None,
    }
    assert "strange_lamp" not in sys.modules


@pytest.mark.parametrize(
    ("config", "place"), [("plugins:\n  lamp: off\n", "2:9"), ("plugins:\n  lamp:\n    enabled: false\n", "3:5")]
)
def test_a_plugin_that_is_switched_off_says_where(states, write_config, install, config, place):
    install("lamp", BROKEN)
    write_config(config)

    lamp = states()["lamp"]

    assert (lamp["state"], lamp["reason"]) == ("off", f"switched off at config/config.yaml:{place}")
    assert "strange_lamp" not in sys.modules


def test_a_plugin_switched_off_by_an_option_or_the_environment_names_it(states, write_config, install, monkeypatch):
    install("lamp")
    write_config("plugins: {lamp: on}")

    by_option = states("--set", "plugins.lamp.enabled=false")["lamp"]
    monkeypatch.setenv("POWERSTRIP__PLUGINS__LAMP__ENABLED", "off")
    by_variable = states()["lamp"]

    assert by_option["reason"] == "switched off by --set plugins.lamp.enabled"
    assert by_variable["reason"] == "switched off by environment variable POWERSTRIP__PLUGINS__LAMP__ENABLED"


def test_a_plugin_that_may_be_skipped_says_why_it_is(states, write_config, install):
    install("lamp", BROKEN)
    write_config("plugins: {lamp: {on_failure: skip}}")

    lamp = states()["lamp"]

    assert lamp["state"] == "skipped"
    assert lamp["reason"].startswith("skipped: plugin 'lamp' can't be imported: RuntimeError: burnt out")


def test_what_requires_a_skipped_plugin_is_skipped_with_it(states, write_config, install):
    install("mains", BROKEN)
    install("lamp", REQUIRING)
    write_config("plugins: {mains: {on_failure: skip}, lamp: on}")

    lamp = states()["lamp"]

    assert (lamp["state"], lamp["requires"]) == ("skipped", ["mains"])
    assert "'mains'" in lamp["reason"]


def test_what_keeps_the_whole_config_from_being_used_is_told_of_its_plugin_and_on_stderr(run, write_config, install):
    install("lamp", REQUIRING)
    install("torch")
    write_config("plugins: {lamp: on, torch: on}")

    result = run("plugins", "--json")
    states = {state["name"]: state for state in json.loads(result.stdout)}

    assert result.exit_code == 1
    assert "error: plugin 'lamp' requires 'mains', which nothing provides" in result.stderr
    assert states["lamp"]["state"] == "skipped"
    assert states["lamp"]["reason"].startswith("refused: plugin 'lamp' requires 'mains', which nothing provides (")
    assert states["torch"]["state"] == "on"


def test_a_listed_plugin_that_is_not_installed_is_in_the_list(run, write_config):
    write_config("plugins: {lamp: off, torch: on}")

    result = run("plugins", "--json")
    states = {state["name"]: state for state in json.loads(result.stdout)}

    assert (states["lamp"]["state"], states["lamp"]["distribution"], states["lamp"]["version"]) == ("off", None, None)
    assert "not installed (pip install powerstrip-torch)" in states["torch"]["reason"]
    assert result.exit_code == 1


def test_a_name_that_two_distributions_claim_is_refused_with_both(states, write_config, install):
    install("lamp")
    install("lamp", distribution="other-lamp")
    write_config("plugins: {lamp: on}")

    lamp = states()["lamp"]

    assert lamp["state"] == "skipped"
    assert "other-lamp 1.0 and strange-lamp 1.0" in lamp["reason"]


def test_the_list_is_in_the_order_of_the_names_whatever_the_order_in_the_file(run, write_config, install):
    for name in ("torch", "lamp"):
        install(name)
    write_config("plugins: {torch: on, lamp: on}")

    names = [state["name"] for state in json.loads(run("plugins", "--json").stdout)]

    assert names == sorted(names)


def test_people_get_a_line_per_plugin_in_aligned_columns(run, write_config, install):
    install("lamp")
    write_config("plugins: {lamp: on}")

    heading, *lines = run("plugins").stdout.splitlines()
    line = next(line for line in lines if line.startswith("lamp "))

    assert heading.split() == ["NAME", "STATE", "VERSION", "REASON"]
    assert line.index("on ") == heading.index("STATE")
    assert line.endswith("listed at config/config.yaml:1:17")


def test_a_config_that_can_not_be_loaded_gives_its_findings_on_stderr_only(run, write_config):
    write_config("plugins: [lamp]")

    result = run("plugins", "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "config/config.yaml:1:10: error:" in result.stderr
