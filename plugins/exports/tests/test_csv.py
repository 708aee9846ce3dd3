"""CSV: the same bytes whichever way the rows came."""

import csv
import gzip
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import zstandard
from exports_payloads import PAYLOADS
from exports_sample import COLUMNS, Thing, ThingFilters, Things, thing, things
from sqlalchemy import DDL, Enum, cast, func, literal, select

from powerstrip import ExportColumn, ExportSource, Identity, Plugin, PluginSettings, hookimpl
from powerstrip_database import Database
from powerstrip_exports.formulas import is_guarded

OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("things:*",)))


NASTY = [
    'a "quoted" text, with a comma',
    "two\r\nlines",
    "tab\tand \\ backslash \\n \\u001c",
    "",
    " spaces ",
    "null",
    '","',
    '"',
    "][",
    "]\n[",
    "naïve 数 🎉",
    "\x1f\x1e\x1d\x01",
    ",,",
    "a comma,",
    "a line\n",
    "[",
    "2026-11-26 08:30:00.1+00,",
    "\\053",  # how PostgreSQL writes a plus where it is a single byte
    "\x7f=1",
]


ORDERS = ["", *(f"?columns={names}" for names in ("name,secret", "secret,name", "number,name", "name,number", "name"))]


def read_csv(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


class SlowWay(Things):
    """Offers the same rows as batches: what Python writes, where the other is written by the database."""

    @hookimpl
    def register_exports(self):
        return [ExportSource("things", COLUMNS, "things:read", batches=self._batches, filters=ThingFilters)]

    async def _batches(self, context) -> AsyncIterator[list[tuple]]:
        async with context.services[Database].reading() as session:
            yield [tuple(row) for row in await session.execute(things(context))]


async def test_the_database_and_python_write_the_same_bytes(start):
    rows = [thing(n, name=text) for n, text in enumerate(NASTY)]
    rows.append(thing(100, key=None, name=None, is_new=None, made_at=None, day=None, facts=None, secret=None))
    rows.append(thing(101, made_at=datetime(1999, 1, 1, tzinfo=UTC), facts={"deep": [1, "=2", None]}))
    fractions = (1, 10, 100, 1_000, 120_000, 123_450, 123_456, 500_000, 999_999)
    rows += [thing(200 + n, made_at=datetime(2026, 1, 1, 0, 0, 59, n, tzinfo=UTC)) for n in fractions]
    rows.append(thing(-5, name="=1+1"))
    async with start() as api:
        await api.add(*rows)
        fast = [(await api.get(f"/exports/things{columns}", OWNER)).content for columns in ORDERS]
    async with start(extra={"things": SlowWay}) as api:
        slow = [(await api.get(f"/exports/things{columns}", OWNER)).content for columns in ORDERS]

    assert fast == slow
    assert len(read_csv(fast[0])) == len(rows)


async def test_every_value_comes_back_as_it_was(api):
    await api.add(*(thing(n, name=text) for n, text in enumerate(NASTY)))

    read = await api.csv("/exports/things")

    assert [row["name"] for row in read] == NASTY
    assert read[1] == {
        "number": "1",
        "key": "00000000-0000-0000-0000-000000000001",
        "name": "two\r\nlines",
        "colour": "red",
        "is_new": "true",
        "made_at": "2026-11-26T08:30:01Z",
        "day": "2026-11-02",
        "facts": '{"n": 1, "text": "a \\"quoted\\" text"}',
        "secret": "",
    }
    assert read[5]["made_at"] == "2026-11-26T08:30:05.123400Z"


async def test_it_follows_rfc_4180(api):
    await api.add(thing(1))

    answer = await api.get("/exports/things?columns=number,name")

    assert answer.content == b'"number","name"\r\n1,"thing 1"\r\n'
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"


async def test_null_is_empty_and_an_empty_text_is_quoted(api):
    await api.add(thing(1, name=None), thing(2, name=""))

    answer = await api.get("/exports/things?columns=number,name")

    assert answer.content == b'"number","name"\r\n1,\r\n2,""\r\n'


async def test_nothing_matches(api):
    answer = await api.get("/exports/things?columns=number,name&name=nobody")

    assert answer.content == b'"number","name"\r\n'


async def test_a_byte_order_mark_comes_first_where_it_is_asked_for(api):
    await api.add(thing(1))

    answer = await api.get("/exports/things?bom=true&columns=number")

    assert answer.content == b'\xef\xbb\xbf"number"\r\n1\r\n'


@pytest.mark.parametrize(("compression", "unpack"), [("gzip", gzip.decompress), ("zstd", None)])
async def test_a_file_can_be_packed(api_on_sqlite, compression, unpack):
    await api_on_sqlite.add(*(thing(n) for n in range(3_000)))

    plain = await api_on_sqlite.get("/exports/things")
    packed = await api_on_sqlite.get(f"/exports/things?compression={compression}")

    unpack = unpack or zstandard.ZstdDecompressor().decompressobj().decompress
    assert unpack(packed.content) == plain.content
    assert packed.headers["Content-Type"] == f"application/{compression}"
    assert "Content-Encoding" not in packed.headers


async def test_120_injections_are_neutralised_and_round_tripped_in_every_column_and_row(api):
    assert len(PAYLOADS) == 120
    harmless = ["1=1", "a@b.example", "x -1", "'quoted'", "5", "_=", "数="]
    await api.add(*(thing(n, name=text, secret=text) for n, text in enumerate([*PAYLOADS, *harmless])))

    for columns in ("name,number,secret", "number,name,secret"):
        read = await api.csv(f"/exports/things?columns={columns}", OWNER)
        for row, text in zip(read, PAYLOADS, strict=False):
            assert (row["name"], row["secret"]) == (f"'{text}", f"'{text}")
            assert is_guarded(row["name"])
        assert [row["name"] for row in read[len(PAYLOADS) :]] == harmless


async def test_negative_numbers_stay_numbers(api):
    await api.add(thing(-7))

    assert (await api.get("/exports/things?columns=number")).content == b'"number"\r\n-7\r\n'


async def test_headings_are_neutralised_too(start_on_sqlite):
    async def batches(_context):
        yield [("x",)]

    class Odd(Plugin[PluginSettings]):
        @hookimpl
        def register_exports(self):
            return [ExportSource("odd", [ExportColumn("=1+1")], "things:read", batches=batches)]

    async with start_on_sqlite(plugins={"odd": True}, extra={"odd": Odd}) as api:
        answer = await api.get("/exports/odd")

    assert answer.content == b'"\'=1+1"\r\n"x"\r\n'


async def test_a_source_may_compute_its_columns(start):
    """What COPY and SQLite write is an expression like any other."""

    class Sums(Plugin[PluginSettings]):
        @hookimpl
        def register_exports(self):
            columns = [ExportColumn("colour"), ExportColumn("things", "integer"), ExportColumn("note")]
            return [ExportSource("sums", columns, "things:read", query=self._query)]

        def _query(self, _context):
            counted = select(Thing.colour, func.count(Thing.number), literal("50% off $1 'x'"))
            return counted.group_by(Thing.colour).order_by(Thing.colour)

    async with start(plugins={"sums": True}, extra={"sums": Sums}) as api:
        await api.add(*(thing(n) for n in range(5)))
        answer = await api.get("/exports/sums")

    assert answer.text.splitlines()[1:] == ['"blue",3,"50% off $1 \'x\'"', '"red",2,"50% off $1 \'x\'"']


async def test_a_query_may_look_for_one_of_several_values(start):
    class Some(Plugin[PluginSettings]):
        @hookimpl
        def register_exports(self):
            query = select(Thing.number).where(Thing.key.in_([UUID(int=1), UUID(int=3)])).order_by(Thing.number)
            return [ExportSource("some", [ExportColumn("n", "integer")], "things:read", query=lambda _context: query)]

    async with start(plugins={"some": True}, extra={"some": Some}) as api:
        await api.add(*map(thing, range(5)))
        answer = await api.get("/exports/some")

    assert answer.content == b'"n"\r\n1\r\n3\r\n'


async def test_values_of_a_type_of_the_database_are_neutralised_too(start):
    hue = Enum("=red", "blue", name="hue")

    class Hues(Plugin[PluginSettings]):
        @hookimpl
        def register_exports(self):
            query = select(cast(literal("=red"), hue))
            return [ExportSource("hues", [ExportColumn("hue")], "things:read", query=lambda _context: query)]

    async with start(plugins={"hues": True}, extra={"hues": Hues}) as api:
        database = api.services[Database]
        if database.dialect == "postgresql":
            async with database.transaction() as session:
                await session.execute(DDL("CREATE TYPE hue AS ENUM ('=red', 'blue')"))
        answer = await api.get("/exports/hues")

    assert answer.text.splitlines()[1:] == ['"\'=red"']
