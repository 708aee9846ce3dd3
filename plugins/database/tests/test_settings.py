"""Which URLs are taken, and that nobody gets to see what is secret in them."""

import json
import logging

import pytest
from pydantic import ValidationError

from powerstrip import FindingsError, StartError, create_app
from powerstrip_database.settings import DatabaseSettings


def address(url):
    return DatabaseSettings(url=url).address


def test_the_default_is_a_file_in_the_folder_data():
    assert DatabaseSettings().address.render_as_string() == "sqlite+aiosqlite:///data/powerstrip.db"


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///a.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////var/lib/a.db", "sqlite+aiosqlite"),
        ("postgres://ann@db/shop", "postgresql+asyncpg"),
        ("postgresql://ann@db/shop", "postgresql+asyncpg"),
        ("postgresql+asyncpg://ann:hunter2@db:5433/shop", "postgresql+asyncpg"),
    ],
)
def test_urls_work_with_and_without_the_driver(url, driver):
    assert address(url).drivername == driver


def test_sslmode_means_what_it_means_to_other_tools():
    assert address("postgresql://db/shop?sslmode=require").query == {"ssl": "require"}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("hunter2", "is no database URL"),
        ("", "is no database URL"),
        ("postgresql://ann:hunter2@db:port/shop", "is no database URL"),
        ("mysql://ann:hunter2@db/shop", "names a database that is not supported"),
        ("postgresql+psycopg://ann:hunter2@db/shop", "names a database that is not supported"),
        ("postgresql://ann:hunter2@db/shop?hunter=1", "'hunter' is none of application_name, host"),
        ("sqlite://data/hunter2.db", "two slashes where it needs three"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:hunter2?uri=true", "must name a file"),
        ("sqlite:///hunter2.db?timeout=5", "has options after the '?'"),
    ],
)
def test_any_other_url_is_refused_with_a_reason_that_does_not_repeat_it(powerstrip_config, url, reason):
    with pytest.raises(FindingsError) as failure:
        create_app(powerstrip_config({"database": {"url": url}}))

    (finding,) = failure.value.findings
    assert reason in finding.message
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool_size": 0},
        {"max_overflow": -1},
        {"pool_timeout": 0},
        {"statement_timeout": 0},
        {"connect_timeout": 0},
        {"migrate": "always"},
        {"retry_after": 0},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        DatabaseSettings(**wrong)


def test_the_url_is_hidden_wherever_settings_are_shown(powerstrip_config, type_line):
    path = powerstrip_config({"database": {"url": "postgresql://ann:hunter2@db/shop"}})
    shown = [
        type_line("config", "show", "--json", "--config", path).stdout,
        repr(DatabaseSettings(url="postgresql://ann:hunter2@db/shop")),
        json.dumps(DatabaseSettings(url="postgresql://ann:hunter2@db/shop").model_dump(mode="json")),
    ]

    assert all(shown)
    assert "hunter2" not in "".join(shown)


async def test_a_refused_password_is_in_no_log_and_no_error(compose_on, postgresql_url, caplog):
    caplog.set_level(logging.DEBUG)
    url = postgresql_url.replace("postgres:@", "nobody:hunter2@")
    app = compose_on(url)
    with pytest.raises(StartError, match="nobody") as failure:
        async with app.router.lifespan_context(app):
            pass

    assert "hunter2" not in str(failure.value)
    assert "hunter2" not in caplog.text
