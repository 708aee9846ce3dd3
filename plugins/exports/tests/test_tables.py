"""Whole tables: databases write them by a way of their own, and the rows are the same."""

import io
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from datetime import UTC, datetime

import pyarrow.parquet
import pytest
from exports_sample import COLUMNS, AllThings, Thing, all_things, thing
from sqlalchemy import JSON, Column, Integer, MetaData, Table, Text, delete, select, text

from powerstrip import ExportColumn, ExportContext, ExportSource, Identity, Plugin, PluginSettings, hookimpl
from powerstrip_database import Database
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.domain import Format
from powerstrip_exports.reading import Reading, Wanted

OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("things:*",)))
NASTY = [
    'a "quoted" text',
    "two\r\nlines",
    "",
    "=1+1",
    " \t@x",
    "'=1",
    "'x",
    "数",
    "\\u00ff",
    "][",
    "\x1c",
    "ÿþýü",
    "]\n[",
]


class AsBatches(AllThings):
    """Offers the same rows as batches, which Python writes."""

    @hookimpl
    def register_exports(self):
        return [ExportSource("things", COLUMNS, "things:read", batches=self._batches)]

    async def _batches(self, context) -> AsyncIterator[list[tuple]]:
        async with context.services[Database].reading() as session:
            yield [tuple(row) for row in await session.execute(all_things(context))]


class OddTable(Plugin[PluginSettings]):
    """Offers a table that is not made by SQLAlchemy."""

    @hookimpl
    def register_exports(self):
        table = Table("odd", MetaData(), Column("number", Integer), Column("name", Text))
        columns = [ExportColumn("number", "integer"), ExportColumn("name")]
        return [ExportSource("odd", columns, "things:read", query=lambda _context: select(table))]


async def both_ways(start, path, *rows, prepare=None):
    answers = []
    for source in (AllThings, AsBatches):
        async with start(extra={"things": source}) as api:
            if source is AllThings:
                if rows:
                    await api.add(*rows)
                if prepare is not None:
                    async with api.services[Database].transaction() as session:
                        await session.execute(prepare)
            answers.append((await api.get(path, OWNER)).content)
    return answers


def lines(content):
    return sorted(content.split(b"\r\n"))


@pytest.mark.parametrize("columns", ["", "?columns=key,made_at,number", "?columns=name", "?columns=made_at"])
async def test_a_whole_table_is_written_as_python_writes_it(start, columns):
    rows = [thing(n, name=value, secret=value) for n, value in enumerate(NASTY)]
    rows += [thing(n, name=None, key=None, made_at=None, is_new=None, day=None, facts=None) for n in range(100, 400, 2)]
    rows += [thing(n, made_at=datetime(1999, 1, 1, tzinfo=UTC)) for n in range(1_000, 3_000)]

    table, batches = await both_ways(start, f"/exports/things{columns}", *rows)

    assert len(table.splitlines()) > len(rows)
    assert lines(table) == lines(batches)


async def test_a_server_without_arrow_writes_the_same(start_on_sqlite, monkeypatch):
    rows = [thing(n, name=value) for n, value in enumerate(NASTY)]
    with_arrow, batches = await both_ways(start_on_sqlite, "/exports/things", *rows)
    monkeypatch.setattr("powerstrip_exports.encoders.find_spec", lambda _name: None)

    without_arrow, _ = await both_ways(start_on_sqlite, "/exports/things")

    assert with_arrow == without_arrow == batches


async def test_parts_of_json_are_texts_like_any_other(start_on_sqlite):
    """SQLite would put what its JSON functions give into a list of texts as it is."""

    class Parts(AllThings):
        @hookimpl
        def register_exports(self):
            columns = [ExportColumn("number", "integer"), ExportColumn("facts", "json"), ExportColumn("text")]
            parts = (Thing.number, Thing.facts["part"], Thing.facts["text"].as_string())
            return [ExportSource("parts", columns, "things:read", query=lambda _context: select(*parts))]

    facts = [{"part": {"deep": [1, "a"]}, "text": "=1"}, {"part": None, "text": ["x"]}, {"text": "null"}]
    async with start_on_sqlite(extra={"things": Parts}) as api:
        await api.add(*(thing(n, facts=part) for n, part in enumerate(facts)))
        rows = (await api.get("/exports/parts", OWNER)).text.splitlines()[1:]

    assert rows == [
        """0,"{""deep"":[1,""a""]}","'=1\"""",
        """1,,"[""x""]\"""",
        """2,,"null\"""",
    ]


async def test_json_that_is_null_is_missing(start):
    table, batches = await both_ways(start, "/exports/things?columns=facts", thing(1, facts=JSON.NULL))

    assert table == batches == b'"facts"\r\n\r\n'


async def test_a_text_where_a_number_should_be_breaks_the_export_off(start_on_sqlite, caplog):
    """No text is written without quotes and past the guard."""
    async with start_on_sqlite(extra={"things": AllThings}) as api:
        await api.add(*map(thing, range(3)))
        async with api.services[Database].transaction() as session:
            await session.execute(text("UPDATE things SET is_new = '=1+1' WHERE number = 1"))

        answer = await api.get("/exports/things?columns=is_new", OWNER)

    assert answer.status_code == 500
    assert "=1+1" not in answer.text + caplog.text


async def test_gaps_and_the_ends_of_the_numbers_lose_no_row(start):
    numbers = [-(2**31), -5, *range(2_000), *range(10_000, 20_000, 7), 2**31 - 1]

    table, batches = await both_ways(
        start,
        "/exports/things?columns=number",
        *map(thing, numbers),
        prepare=delete(Thing).where(Thing.number % 3 == 1),
    )

    assert lines(table) == lines(batches)


async def test_the_very_ends_of_sqlites_rowids_are_rows_too(start_on_sqlite):
    numbers = [-(2**63), -1, 2**63 - 2, 2**63 - 1]

    table, batches = await both_ways(start_on_sqlite, "/exports/things?columns=number", *map(thing, numbers))

    assert lines(table) == lines(batches)


async def test_an_empty_table_has_a_header(start):
    table, batches = await both_ways(start, "/exports/things?columns=number,key")

    assert table == batches == b'"number","key"\r\n'


async def test_no_text_ends_at_a_nul(start_on_sqlite):
    rows = [thing(1, name="a\0b"), thing(2, name="\0=1")]

    table, batches = await both_ways(start_on_sqlite, "/exports/things?columns=name", *rows)

    assert table == batches == b'"name"\r\n"a\0b"\r\n"\'\0=1"\r\n'


async def test_times_that_the_database_has_written_itself(start_on_sqlite):
    written = text("UPDATE things SET made_at = '2026-11-26 08:30:00' WHERE number = 1")

    table, _ = await both_ways(
        start_on_sqlite, "/exports/things?columns=made_at", *map(thing, range(3)), prepare=written
    )

    assert b'"2026-11-26T08:30:00Z"' in table.splitlines()


async def test_the_first_and_the_last_times_there_are(start):
    """They often stand for never, and PostgreSQL's driver makes infinities of them."""
    ends = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    rows = [thing(n, day=end.date(), made_at=end) for n, end in enumerate(ends)]

    table, batches = await both_ways(start, "/exports/things?columns=made_at,day", *rows)
    async with start(extra={"things": AllThings}) as api:
        parquet = (await api.get("/exports/things?format=parquet&columns=made_at,day", OWNER)).content

    assert table == batches
    assert table.splitlines()[1:] == [
        b'"0001-01-01T00:00:00Z","0001-01-01"',
        b'"9999-12-31T23:59:59.999999Z","9999-12-31"',
    ]
    read = pyarrow.parquet.read_table(io.BytesIO(parquet)).to_pylist()
    assert read == [{"made_at": end, "day": end.date()} for end in ends]


async def test_parquet_of_a_whole_table_keeps_types_and_missing_values(start):
    async with start(extra={"things": AllThings}) as api:
        await api.add(*(thing(n) for n in range(1, 1_500)), thing(0, name=None, key=None, made_at=None, facts=None))
        every = (await api.get("/exports/things?format=parquet", OWNER)).content
        one = (await api.get("/exports/things?format=parquet&columns=name", OWNER)).content

    rows = sorted(pyarrow.parquet.read_table(io.BytesIO(every)).to_pylist(), key=lambda row: row["number"])
    assert [row["number"] for row in rows] == list(range(1_500))
    assert [rows[0][name] for name in ("name", "key", "made_at", "facts")] == [None] * 4
    assert rows[1]["made_at"] == datetime(2026, 11, 26, 8, 30, 1, tzinfo=UTC)
    assert (rows[1]["name"], rows[1]["is_new"]) == ("thing 1", True)
    names = pyarrow.parquet.read_table(io.BytesIO(one)).to_pydict()["name"]
    assert (len(names), names.count(None)) == (1_500, 1)


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE odd (number INTEGER, name TEXT, rowid TEXT)",
        "CREATE TABLE odd (number INTEGER, name TEXT, oid TEXT, _rowid_ TEXT)",
        "CREATE TABLE odd (number INTEGER PRIMARY KEY, name TEXT) WITHOUT ROWID",
    ],
)
async def test_no_row_is_lost_whatever_numbers_rows(start_on_sqlite, made):
    async with start_on_sqlite(plugins={"odd": True}, extra={"odd": OddTable}) as api:
        async with api.services[Database].transaction() as session:
            await session.execute(text(made))
            await session.execute(text("INSERT INTO odd (number, name) VALUES (1, 'one'), (2, NULL)"))
        answer = await api.get("/exports/odd", OWNER)

    assert answer.content == b'"number","name"\r\n1,"one"\r\n2,\r\n'


async def test_integers_have_no_fraction_even_where_the_database_keeps_one(start_on_sqlite):
    """As Python would write them."""
    async with start_on_sqlite(plugins={"odd": True}, extra={"odd": OddTable}) as api:
        async with api.services[Database].transaction() as session:
            await session.execute(text("CREATE TABLE odd (number INTEGER, name TEXT)"))
            await session.execute(text("INSERT INTO odd VALUES (1.5, 'one')"))
        answer = await api.get("/exports/odd", OWNER)

    assert answer.content == b'"number","name"\r\n1,"one"\r\n'


async def test_missing_texts_are_missing_in_a_database_in_utf_16(start_on_sqlite, tmp_path):
    with closing(sqlite3.connect(tmp_path / "powerstrip.db")) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16'")
        connection.execute("CREATE TABLE odd (number INTEGER, name TEXT)")
        connection.execute("INSERT INTO odd VALUES (1, 'ö'), (2, NULL)")
        connection.commit()

    async with start_on_sqlite(plugins={"odd": True}, extra={"odd": OddTable}) as api:
        answer = await api.get("/exports/odd", OWNER)

    assert answer.text == '"number","name"\r\n1,"ö"\r\n2,\r\n'


def pieces_of_things(services, kind=Format.CSV):
    selection = services[Catalog].select(services[Catalog].find("things").source, None, None)
    return services[Reading].pieces(Wanted(selection, ExportContext(services, None, None), kind))


async def test_long_texts_after_short_ones_come_in_small_parts(start_on_sqlite):
    """Pages grow while rows are short, and memory is constant all the same."""
    async with start_on_sqlite(extra={"things": AllThings}) as api:
        await api.add(*map(thing, range(2_100)), *(thing(n, name="x" * 200_000) for n in range(2_100, 2_200)))
        pieces = [piece async for piece in pieces_of_things(api.services)]

    assert sum(piece.rows for piece in pieces) == 2_200
    assert max(len(piece.data) for piece in pieces) < 5_000_000


@pytest.mark.parametrize("kind", [Format.CSV, Format.PARQUET])
async def test_whoever_leaves_at_the_last_rows_holds_no_connection(start, kind):
    """On PostgreSQL, the driver would wait for the end of a COPY until it gives the connection up."""
    async with start(extra={"things": AllThings}) as api:
        await api.add(*map(thing, range(3)))
        async with aclosing(pieces_of_things(api.services, kind)) as pieces:
            await anext(pieces)
            await anext(pieces)

        assert (await api.services[Database].probe())["connections"]["in_use"] == 0


async def test_a_view_is_read_row_by_row(start_on_sqlite):
    view = Table("red_things", MetaData(), Column("number", Integer, primary_key=True), Column("name", Text))

    class View(Plugin[PluginSettings]):
        @hookimpl
        def register_exports(self):
            columns = [ExportColumn("number", "integer"), ExportColumn("name")]
            return [
                ExportSource("view", columns, "things:read", query=lambda _context: select(view.c.number, view.c.name))
            ]

    async with start_on_sqlite(plugins={"view": True}, extra={"view": View}) as api:
        await api.add(*map(thing, range(4)))
        async with api.services[Database].transaction() as session:
            await session.execute(
                text("CREATE VIEW red_things AS SELECT number, name FROM things WHERE colour = 'red'")
            )
        answer = await api.get("/exports/view", OWNER)

    assert answer.content == b'"number","name"\r\n1,"thing 1"\r\n3,"thing 3"\r\n'
