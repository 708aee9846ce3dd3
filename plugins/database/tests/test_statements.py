"""Statements are timed: for the response, for the log, for whoever wants to know."""

import logging
import re

import pytest
from sqlalchemy import text

from powerstrip import Plugin, PluginSettings, hookimpl
from powerstrip_database import Database, DatabaseUnavailable

TRACING = {"tracing": {"server_timing": True, "access_log": False}}


def spans(answer):
    """The named times of a response, in milliseconds."""
    header = answer.headers.get("server-timing", "")
    return {name: float(duration) for name, duration in re.findall(r"(\w+);dur=([\d.]+)", header)}


def test_server_timing_tells_the_time_of_a_requests_statements(start):
    client = start(plugins=TRACING)

    written = spans(client.post("/notes", params={"title": "one"}))
    assert 0 < written["db"] <= written["total"]


def test_the_times_of_requests_are_kept_apart(start):
    client = start(plugins=TRACING)

    client.post("/notes/slow")
    assert spans(client.post("/notes/slow"))["db"] >= 100
    assert spans(client.get("/notes/count"))["db"] < 100
    assert "db" not in spans(client.get("/nowhere"))


def test_nothing_is_told_while_server_timing_is_off(start):
    answer = start(plugins={"tracing": {"server_timing": False}}).get("/notes/count")

    assert answer.status_code == 200
    assert "server-timing" not in answer.headers


def test_it_works_without_tracing(start):
    assert start().get("/notes/count").status_code == 200


@pytest.fixture
def logged(caplog):
    """The lines of the database about statements."""
    caplog.set_level(logging.INFO, logger="powerstrip_database.statements")
    return lambda: [record for record in caplog.records if record.name == "powerstrip_database.statements"]


def test_a_slow_statement_is_logged_without_values(start, logged):
    client = start({"slow_statement": 0.1})
    client.post("/notes", params={"title": "s3cret"})
    client.post("/notes/slow", params={"title": "s3cret"})

    lines = [line for line in logged() if "notes" in line.sql]
    assert [line.message for line in lines] == ["slow statement"]
    assert lines[0].levelno == logging.WARNING
    assert lines[0].seconds >= 0.1
    assert "s3cret" not in str(vars(lines[0]))


def test_null_logs_no_statement_as_slow(start, logged):
    start({"slow_statement": None}).post("/notes/slow")

    assert logged() == []


def test_echo_logs_every_statement_without_values(start, logged):
    start({"echo": True}).post("/notes", params={"title": "s3cret"})

    assert any(line.sql.startswith("INSERT INTO notes") for line in logged())
    assert "s3cret" not in str([vars(line) for line in logged()])


class Witness:
    def __init__(self):
        self.seen = []

    def observe(self, statement):
        self.seen.append(statement)


class Broken:
    def observe(self, statement):
        raise RuntimeError("no disk for metrics")


def plugin_with(*observers):
    class Observing(Plugin[PluginSettings]):
        """Observes statements."""

        @hookimpl
        def register_statement_observers(self):
            return list(observers)

    return {"extra": {"observing": Observing}, "plugins": {"observing": True}}


async def test_observers_are_told_of_statements_and_of_those_that_fail(running):
    witness = Witness()
    options = plugin_with(witness)
    async with running(**options) as services:
        database = services[Database]
        async with database.reading() as session:
            await session.execute(text("SELECT 17"))
        with pytest.raises(Exception, match="nowhere"):
            async with database.reading() as session:
                await session.execute(text("SELECT * FROM nowhere"))

    told = {statement.sql: statement for statement in witness.seen}
    assert told["SELECT 17"].failed is False
    assert 0 < told["SELECT 17"].seconds < 5
    assert told["SELECT * FROM nowhere"].failed is True


def test_an_observer_that_fails_costs_no_request_and_is_logged(start, caplog):
    client = start(**plugin_with(Broken()))

    assert client.post("/notes", params={"title": "one"}).status_code == 201
    assert "an observer of statements failed" in caplog.messages


async def test_an_error_of_the_pool_is_no_failed_statement(running):
    witness = Witness()
    settings = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
    async with running(settings, **plugin_with(witness)) as services:
        database = services[Database]
        async with database.transaction() as holder:
            await holder.execute(text("SELECT 1"))
            with pytest.raises(DatabaseUnavailable):
                async with database.transaction() as session:
                    await session.execute(text("SELECT 2"))

    assert "SELECT 2" not in [statement.sql for statement in witness.seen]
