"""What operators are told about their keys, and what nobody is told."""

import json
import logging

import httpx2
import pytest

from powerstrip import FindingsError
from powerstrip_apikeys.settings import ApiKeysSettings

SECRET = "Zq7-" + "s3cret" * 6


def findings_of(powerstrip_client, **settings):
    with pytest.raises(FindingsError) as refusal:
        powerstrip_client({"apikeys": {"keys": [{"id": "one", "key": SECRET}], **settings}})
    return [(finding.position.line, finding.plugin, finding.message) for finding in refusal.value.findings]


@pytest.fixture
def command(type_line):
    """Runs the command line: `command("check", path)` gives the exit code and all that was printed."""

    def run(*words):
        done = type_line(*words)
        return done.exit_code, done.output

    return run


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], "at least one key"),
        ([{"id": "one", "key": "too short"}], "at least 16"),
        ([{"id": "one", "key": "s" * 513}], "at most 512"),
        ([{"id": "one"}], "'plugins.apikeys.keys.0.key' is missing"),
        ([{"id": "one", "key": "words with spaces in them"}], "no spaces"),
        ([{"id": "one", "key": "ключ" * 8}], "printable ASCII"),
        ([{"id": "one", "key": "sha256:" + "g" * 64}], "64 hexadecimal digits"),
        ([{"id": "one", "key": "sha256:" + "a" * 63}], "64 hexadecimal digits"),
        ([{"id": "One", "key": SECRET}], "apikeys.keys.0.id"),
        ([{"id": "one", "key": SECRET, "roles": "admin"}], "apikeys.keys.0.roles"),
        ([{"id": "one", "key": SECRET, "permissions": ["reports read"]}], "apikeys.keys.0.permissions.0"),
        ([{"id": "one", "key": SECRET}, {"id": "one", "key": f"{SECRET}2"}], "the id 'one' is used twice"),
        ([{"id": "one", "key": SECRET}, {"id": "two", "key": SECRET}], "'one' and 'two' have the same key"),
    ],
)
def test_keys_that_can_not_be_are_a_finding_with_the_reason(powerstrip_client, keys, reason):
    ((_, plugin, message),) = findings_of(powerstrip_client, keys=keys)

    assert plugin == "apikeys"
    assert reason in message


@pytest.mark.parametrize("header", ["Authorization", "cookie", "two words", "X-Key:", ""])
def test_a_header_that_can_not_carry_keys_is_a_finding_at_its_line(powerstrip_client, header):
    assert [line for line, _, _ in findings_of(powerstrip_client, header=header)] == [6]


def test_check_names_this_plugin_when_it_is_installed_and_off(command, tmp_path, monkeypatch):
    (tmp_path / "needy").mkdir()
    (tmp_path / "needy" / "needy.py").write_text(
        "from powerstrip import Plugin, PluginSettings\n\n"
        "class Needy(Plugin[PluginSettings]):\n    requires = ('identity',)\n"
    )
    metadata = tmp_path / "needy" / "needy-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: needy\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[powerstrip.plugins]\nneedy = needy:Needy\n")
    monkeypatch.syspath_prepend(tmp_path / "needy")
    config = tmp_path / "config.yaml"
    config.write_text("plugins:\n  needy: on\n  apikeys: off\n")

    code, output = command("check", "--json", "--config", config)

    (finding,) = json.loads(output)
    assert (code, finding["code"], finding["line"]) == (1, "plugin.missing-requirement", 2)
    assert "'apikeys'" in finding["hint"]


def test_a_short_key_is_refused_by_the_strict_check_only(command, powerstrip_config):
    config = powerstrip_config({"apikeys": {"keys": [{"id": "short", "key": "s" * 31}, {"id": "long", "key": SECRET}]}})

    assert command("check", "--config", config)[0] == 0
    code, output = command("check", "--strict", "--json", "--config", config)

    (finding,) = json.loads(output)
    assert (code, finding["code"], finding["plugin"]) == (1, "apikeys.short-key", "apikeys")
    assert "'short'" in finding["message"]


def test_a_digest_is_no_short_key(command, powerstrip_config):
    config = powerstrip_config({"apikeys": {"keys": [{"id": "one", "key": f"sha256:{'a' * 64}"}]}})

    assert command("check", "--strict", "--config", config)[0] == 0


def test_a_key_can_come_from_a_file_or_the_environment(powerstrip_client, reports, tmp_path):
    (tmp_path / "key").write_text(f"{SECRET}\n")
    keys = [{"id": "file", "key": "${file:key}"}, {"id": "variable", "key": "${KEY}"}]
    environ = {"KEY": f"{SECRET}2"}
    plugins = {"reports": True, "apikeys": {"keys": keys}}

    with powerstrip_client(plugins, extra=reports, environ=environ) as client:
        names = [client.get("/me", headers={"X-API-Key": key}).json()["name"] for key in (SECRET, f"{SECRET}2")]

    assert names == ["file", "variable"]


def test_config_show_tells_who_has_a_key_and_not_which(command, powerstrip_config):
    digest = "abcdef01" * 8
    keys = [{"id": "one", "key": SECRET}, {"id": "two", "key": f"sha256:{digest}"}]

    code, output = command("config", "show", "--config", powerstrip_config({"apikeys": {"keys": keys}}))

    assert code == 0
    assert "one" in output
    assert SECRET not in output
    assert digest not in output


@pytest.mark.parametrize(
    "keys",
    [
        [{"id": "one", "key": f"{SECRET} "}],
        [{"id": "one", "key": f"sha256:{SECRET}"}],
        [{"id": "one", "key": SECRET}, {"id": "two", "key": SECRET}],
        [{"id": "one", "kye": SECRET}],
        [{"id": "one", "key": [SECRET]}],
    ],
    ids=["not allowed", "no digest", "used twice", "mistyped", "of the wrong type"],
)
def test_findings_about_a_key_do_not_quote_it(command, powerstrip_config, keys):
    code, output = command("check", "--config", powerstrip_config({"apikeys": {"keys": keys}}))

    assert code == 1
    assert "plugins.apikeys.keys" in output
    assert SECRET not in output


def test_no_log_line_and_no_answer_holds_a_key(powerstrip_client, reports, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = f"{SECRET}-wrong"
    plugins = {"reports": True, "tracing": {"access_log": True}, "apikeys": {"keys": [{"id": "one", "key": SECRET}]}}

    with powerstrip_client(plugins, extra=reports, app={"debug": True}) as client:
        refused = client.get("/me", headers={"X-API-Key": wrong})
        failed = client.get("/failure", headers={"Authorization": f"Bearer {SECRET}"})

    assert (refused.status_code, failed.status_code) == (401, 500)
    assert "the reports burn" in failed.text
    assert len(caplog.records) > 1
    for said in (refused.text, str(refused.headers), failed.text, caplog.text, str(caplog.records)):
        assert SECRET not in said


def test_a_real_server_logs_no_key(powerstrip_process):
    plugins = {"tracing": {"access_log": True}, "apikeys": {"keys": [{"id": "one", "key": SECRET}]}}

    with powerstrip_process(plugins, logging={"level": "debug"}) as served:
        for headers in ({"X-API-Key": SECRET}, {"Authorization": f"Bearer {SECRET}-wrong"}):
            assert httpx2.get(f"{served.base_url}/nowhere", headers=headers).status_code == 404
        served.stop()

        assert served.log.count("/nowhere") == 2
        assert SECRET not in served.log


def test_the_representation_of_the_settings_holds_no_key():
    settings = ApiKeysSettings.model_validate({"keys": [{"id": "one", "key": SECRET}]}, strict=False)

    assert "one" in repr(settings)
    assert SECRET not in repr(settings)
