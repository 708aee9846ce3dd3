"""`powerstrip check`: everything that is wrong, where, and what to do; nothing of a plugin runs."""

import json
import os
from pathlib import Path

OPEN_ROUTE = """
router = APIRouter(prefix="/" + PATH)

@router.get("")
async def undeclared(): ...

class Strange(Plain):
    @hookimpl
    def register_routes(self):
        return [Routes(router)]
"""


def test_a_fine_config_is_said_to_be_fine_with_what_it_switches_on(run, write_config, install):
    install("lamp")
    write_config("plugins: {lamp: on}")

    result = run("check")

    assert result.exit_code == 0
    assert result.stdout.startswith("config/config.yaml: fine. Plugins on: lamp.")


def test_each_finding_is_shown_with_its_place_its_line_a_caret_and_what_to_do(run, write_config):
    write_config("logging:\n  levle: info\n")

    result = run("check")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "config/config.yaml:2:3: error: unknown key 'levle' in 'logging' [config.unknown-key]",
        "  |   levle: **********",
        "  |   ^^^^^",
        "  = did you mean 'level'?",
        "1 error",
    ]
    assert not result.stderr


def test_what_is_wrong_with_the_core_and_with_each_plugin_is_reported_at_once(run, write_config, install):
    install("lamp")
    write_config("plugins:\n  lamp: {colour: red}\n  lampe: on\n")

    findings = json.loads(run("check", "--json").stdout)

    assert [(finding["line"], finding["code"]) for finding in findings] == [
        (2, "config.unknown-key"),
        (3, "plugin.not-installed"),
    ]


def test_json_is_a_list_of_flat_findings_in_the_order_of_the_file(run, write_config):
    write_config("server: {prot: 80}\nlogging: {level: loud}\n")

    result = run("check", "--json")

    assert result.exit_code == 1
    findings = json.loads(result.stdout)
    assert [list(finding) for finding in findings] == [
        ["code", "level", "message", "hint", "file", "line", "column", "plugin"]
    ] * 2
    assert [(finding["file"], finding["line"], finding["column"]) for finding in findings] == [
        ("config/config.yaml", 1, 10),
        ("config/config.yaml", 2, 18),
    ]


def test_json_of_a_fine_config_is_an_empty_list(run, write_config):
    write_config("plugins: {}")

    result = run("check", "--json")

    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_a_route_that_does_not_say_who_may_call_it_is_refused_only_when_strict(run, write_config, install):
    install("lamp", OPEN_ROUTE)
    write_config("plugins: {lamp: on}")

    assert run("check").exit_code == 0
    strict = run("check", "--strict", "--json")

    assert strict.exit_code == 1
    (finding,) = json.loads(strict.stdout)
    assert (finding["code"], finding["level"], finding["plugin"]) == ("route.access-undeclared", "warning", "lamp")


def test_a_warning_is_shown_and_refused_only_when_strict(run, write_config, install):
    install("lamp", 'raise RuntimeError("burnt out")')
    write_config("plugins: {lamp: {on_failure: skip}}")

    relaxed, strict = run("check"), run("check", "--strict")

    assert (relaxed.exit_code, strict.exit_code) == (0, 1)
    assert "warning: plugin 'lamp' can't be imported: RuntimeError: burnt out" in relaxed.stdout
    assert relaxed.stdout.endswith("1 warning\n")


def test_an_openapi_document_that_a_plugin_breaks_is_found_when_strict(run, write_config, install):
    code = """
    class Strange(Plain):
        @hookimpl
        def customise_openapi(self, document):
            raise KeyError("paths")
    """
    install("lamp", code)
    write_config("plugins: {lamp: on}")

    (finding,) = json.loads(run("check", "--strict", "--json").stdout)

    assert (finding["code"], finding["plugin"]) == ("openapi.failed", "lamp")
    assert "customise_openapi" in finding["message"]


def test_a_finding_of_the_build_comes_with_the_warnings_before_it(run, write_config, install):
    for name in ("lamp", "torch"):
        install(name, OPEN_ROUTE.replace("PATH", "'light'"))
    install("fuse", 'raise RuntimeError("blown")')
    write_config("plugins: {lamp: on, torch: on, fuse: {on_failure: skip}}")

    findings = json.loads(run("check", "--json").stdout)

    assert {finding["code"] for finding in findings} == {"route.conflict", "plugin.import-failed"}


def test_no_lifespan_is_entered(run, write_config, install, folder: Path):
    code = """
    class Strange(Plain):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            open("started", "w").close()
            yield
    """
    install("lamp", code)
    write_config("plugins: {lamp: on}")

    assert run("check", "--strict").exit_code == 0
    assert not (folder / "started").exists()


def test_a_file_that_is_not_there_is_a_finding(run):
    result = run("check", "--config", "nowhere.yaml")

    assert result.exit_code == 1
    assert "nowhere.yaml:1:1: error: there is no file 'nowhere.yaml'" in result.stdout


def test_later_files_win_and_an_override_wins_over_all(run, write_config):
    write_config("server: {port: 1}", "one.yaml")
    write_config("server: {port: two}", "two.yaml")
    layered = ("--config", "one.yaml", "--config", "two.yaml")

    assert run("check", "--config", "two.yaml", "--config", "one.yaml").exit_code == 0
    assert run("check", *layered).exit_code == 1
    assert run("check", *layered, "--set", "server.port=3").exit_code == 0


def test_the_environment_names_the_files_unless_the_command_does(run, write_config, monkeypatch):
    write_config("server: {port: 1}", "one.yaml")
    write_config("server: {port: two}", "two.yaml")
    monkeypatch.setenv("POWERSTRIP_CONFIG", os.pathsep.join(["one.yaml", "two.yaml"]))

    assert run("check").exit_code == 1
    assert run("check", "--config", "one.yaml").exit_code == 0


def test_an_override_without_a_key_is_a_finding_that_names_the_option(run, write_config):
    write_config("plugins: {}")

    result = run("check", "--set", "nonsense")

    assert result.exit_code == 1
    assert "--set nonsense: error:" in result.stdout


def test_wrong_usage_exits_with_2(run):
    assert run("check", "--no-such-option").exit_code == 2
    assert run("check", "--config").exit_code == 2
