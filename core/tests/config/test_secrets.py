"""A secret is shown nowhere: not in values, not in representations, findings or tracebacks."""

import logging

import pytest
from pydantic import Field, Secret, SecretStr, field_validator

from powerstrip import ConfigError, PluginSettings

SECRET = "hunter2-hunter2"


class MailSettings(PluginSettings):
    host: str = "localhost"
    password: SecretStr = SecretStr("")


class Settings(PluginSettings):
    key: SecretStr = SecretStr("default")
    pin: Secret[int] = Secret(0)
    note: str = ""
    url: str = "x://y"
    mail: MailSettings = MailSettings()
    keys: list[SecretStr] = Field(default=[])

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError(f"{url} is no URL")
        return f"{url}/"


TEXT = """\
plugins:
  p:
    key: hunter2-hunter2
    pin: 4711
    note: shown
    url: ${file:url}
    mail: {password: 'hunter2-hunter2'}
    keys: [hunter2-hunter2, 'hunter2-hunter2']
"""


@pytest.fixture
def config(load, folder):
    (folder / "url").write_text(f"db://{SECRET}\n")
    return load(TEXT)


def shown_values(config, types=None):
    return {".".join(map(str, value.path)): (value.value, value.origin) for value in config.values(types)}


def test_secrets_arrive_where_they_are_wanted(config):
    settings = config.settings_of("p", Settings)

    assert settings.key.get_secret_value() == settings.mail.password.get_secret_value() == SECRET
    assert settings.pin.get_secret_value() == 4711
    assert settings.url == f"db://{SECRET}/"


def test_values_redact_secrets_by_type_and_whatever_came_from_a_file(config):
    values = shown_values(config, {"p": Settings})

    assert values["plugins.p.key"] == ("**********", "config.yaml:3:5")
    assert values["plugins.p.pin"] == ("**********", "config.yaml:4:5")
    assert values["plugins.p.note"] == ("shown", "config.yaml:5:5")
    assert values["plugins.p.url"] == ("**********", "config.yaml:6:5")
    assert values["plugins.p.mail.password"] == ("**********", "config.yaml:7:12")
    assert values["plugins.p.keys.1"] == ("**********", "config.yaml:8:29")
    assert SECRET not in str(config.values({"p": Settings}))


def test_values_of_a_plugin_whose_settings_are_not_known_are_all_redacted(config):
    values = shown_values(config)

    assert {value for path, (value, _) in values.items() if path.startswith("plugins.p.")} == {
        "**********", True, None, "abort",
    }  # fmt: skip
    assert values["plugins.p.note"] == ("**********", "config.yaml:5:5")


def test_values_of_a_plugin_that_is_off_are_redacted_and_only_its_switch_shown(load):
    values = shown_values(load("plugins: {p: {enabled: off, prefix: /x, key: hunter2}}"), {"p": Settings})

    assert {path: value for path, value in values.items() if path.startswith("plugins.")} == {
        "plugins.p.enabled": (False, "config.yaml:1:15"),
        "plugins.p.key": ("**********", "config.yaml:1:41"),
    }


def test_representations_hold_no_secret(config):
    settings = config.settings_of("p", Settings)

    assert SECRET not in repr(config) + str(config) + repr(config.plugins["p"])
    assert SECRET not in repr(settings.key) + repr(settings.mail) + repr(settings.keys)


@pytest.mark.parametrize(
    "section",
    [
        "{key: 5, note: [hunter2-hunter2]}",
        "{key: [hunter2-hunter2]}",
        "{pin: hunter2-hunter2}",
        "{unknown: hunter2-hunter2}",
        "{mail: hunter2-hunter2}",
        "{mail: {password: [hunter2-hunter2], host: 1}}",
        "{keys: [{k: hunter2-hunter2}]}",
        "{key: '${SECRET}', pin: '${SECRET}'}",
        "{url: '${SECRET}'}",
        "{url: '${file:key}', pin: '${file:key}'}",
        "{pin: '${SECRET} ${UNSET:-hunter2-hunter2}'}",
    ],
)
def test_no_finding_and_no_traceback_holds_a_secret(load, folder, section, caplog):
    (folder / "key").write_text(SECRET)
    config = load(f"plugins:\n  p: {section}\n", environ={"SECRET": SECRET})

    with pytest.raises(ConfigError) as caught:
        config.settings_of("p", Settings)
    logging.getLogger("test").error("refused", exc_info=caught.value)

    assert SECRET not in caplog.text + repr(caught.value.findings)
    assert "refused" in caplog.text
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        "plugins:\n  p:\n    key: 'hunter2-hunter2\n",
        "plugins:\n  p:\n    key: @hunter2-hunter2\n",
        "plugins:\n  p:\n    key: hunter2-hunter2: hunter2-hunter2\n",
        "plugins:\n  p:\n  \tkey: hunter2-hunter2\n",
        "plugins:\n  p: {key: hunter2-hunter2, note: *none}\n",
        "plugins:\n  p:\n    key: !!binary hunter2-hunter2\n",
        "plugins:\n  p:\n    key: hunter2-hunter2 ${UNSET}\n",
        "plugins:\n  p:\n    key: x\n    key: hunter2-hunter2\n",
        "plugins:\n  p: {[a]: hunter2-hunter2}\n",
        "plugin:\n  p:\n    key: hunter2-hunter2\n",
        "plugins:\n  p:\n    key: *hunter2-hunter2\n",
        "plugins:\n  p:\n  key: hunter2-hunter2\n",
        "plugins:\n  p: {pin: 0815, key: hunter2-hunter2}\nserver: {port: x}\n",
        "key: hunter2-hunter2\n",
        "hunter2-hunter2\n",
        "- hunter2-hunter2\n",
        "server: {secret: hunter2-hunter2}\n",
        "app: {titel: hunter2-hunter2} # hunter2-hunter2\n",
        "app: {debug: perhaps} # hunter2-hunter2\n",
    ],
)
def test_no_finding_about_a_document_holds_what_may_be_a_secret(load, text):
    with pytest.raises(ConfigError) as caught:
        load(text)

    assert SECRET not in repr(caught.value.findings) + str(caught.value)


def test_a_default_that_is_a_secret_object_is_accepted(load):
    assert load("plugins: {p: {note: x}}").settings_of("p", Settings).key.get_secret_value() == "default"
