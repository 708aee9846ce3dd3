"""Excel, Parquet, NDJSON and JSON, read back by those who read them."""

import io
import json
import sys
import zipfile
from datetime import UTC, date, datetime

import openpyxl
import polars as pl
import pyarrow.parquet
import pytest
from exports_payloads import PAYLOADS
from exports_sample import COLUMNS, thing
from openpyxl.utils.escape import unescape

from powerstrip import ExportColumn
from powerstrip_exports.excel import ExcelEncoder

NAMES = [column.name for column in COLUMNS]


def workbook(content):
    return openpyxl.load_workbook(io.BytesIO(content))


async def test_excel_keeps_types(api):
    await api.add(
        thing(1, made_at=datetime(2026, 11, 26, 18, 30, 15, tzinfo=UTC)),
        thing(2, key=None, name=None, is_new=None, made_at=None, day=None, facts=None),
    )

    answer = await api.get("/exports/things?format=excel")

    sheet = workbook(answer.content).active
    heads, first, second = ([cell.value for cell in row] for row in sheet.iter_rows())
    assert heads == ["number", "key", "name", "colour", "New", "made_at", "day", "facts", "secret"]
    key, facts = "00000000-0000-0000-0000-000000000001", '{"n": 1, "text": "a \\"quoted\\" text"}'
    made_at, day = datetime(2026, 11, 26, 18, 30, 15), datetime(2026, 11, 2)  # noqa: DTZ001 - Excel has no zones
    assert first == [1, key, "thing 1", "red", True, made_at, day, facts, None]
    assert second == [2, None, None, "blue", None, None, None, None, None]
    assert (sheet["F2"].number_format, sheet["G2"].number_format) == ("yyyy\\-mm\\-dd\\ hh:mm:ss", "yyyy\\-mm\\-dd")
    assert sheet["A1"].font.bold


async def test_excel_freezes_the_header_and_filters_all_rows(api_on_sqlite):
    await api_on_sqlite.add(*(thing(n) for n in range(1_200)))

    answer = await api_on_sqlite.get("/exports/things?format=excel")

    book = workbook(answer.content)
    assert (book.active.freeze_panes, book.active.auto_filter.ref) == ("A2", "A1:I1201")
    assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "http://example.com", "mailto:a@b.example", "0012", "TRUE", "1e5", " x ", "a\nb", "{=1}"]
)
async def test_excel_takes_text_for_nothing_but_text(api_on_sqlite, text):
    await api_on_sqlite.add(thing(1, name=text))

    answer = await api_on_sqlite.get("/exports/things?format=excel&columns=name")

    cell = workbook(answer.content).active["A2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s" if cell.data_type == "s" else "inlineStr", None)


async def test_120_injections_are_only_text_in_excel(api):
    await api.add(*(thing(n, name=text) for n, text in enumerate(PAYLOADS)))

    answer = await api.get("/exports/things?format=excel&columns=name")

    cells = [cell for (cell,) in workbook(answer.content).active.iter_rows(min_row=2)]
    assert len(cells) == 120
    assert {cell.data_type for cell in cells} == {"s"}
    assert [unescape(cell.value) for cell in cells] == PAYLOADS


async def test_excel_writes_what_xml_has_no_character_for(api_on_sqlite):
    await api_on_sqlite.add(thing(1, name="bell\x07 <&> _x0041_ \x1f\ufffe"))

    answer = await api_on_sqlite.get("/exports/things?format=excel&columns=name")

    written = zipfile.ZipFile(io.BytesIO(answer.content)).read("xl/worksheets/sheet1.xml").decode()
    assert "bell_x0007_ &lt;&amp;&gt; _x005F_x0041_ _x001F__xFFFE_" in written
    assert workbook(answer.content).active.max_row == 2


@pytest.mark.parametrize("odd", ["a & b", "<b>", " ¦", "¦ ", "\t", " x", "x ", "two\nlines", "_x0041_", "%s", "", None])
def test_texts_of_a_batch_do_not_touch_each_other_in_excel(odd):
    texts = ["first", odd, "¦", "last"]
    encoder = ExcelEncoder([ExportColumn("t"), ExportColumn("u")], "texts")

    content = encoder.begin() + encoder.rows([(text, "%") for text in texts]) + encoder.end()

    rows = [(cell.value, other.value) for cell, other in workbook(content).active.iter_rows(min_row=2)]
    assert [(text and unescape(text), other) for text, other in rows] == [(text, "%") for text in texts]


async def test_excel_numbers_and_texts_at_their_limits():
    columns = [ExportColumn("n", "integer"), ExportColumn("x", "number"), ExportColumn("t")]
    encoder = ExcelEncoder(columns, "limits")
    rows = [(10**15 - 1, 0.1, "a" * 40_000), (10**15, float("inf"), "b"), (-(10**18), float("nan"), "\ud800")]

    content = encoder.begin() + encoder.rows(rows) + encoder.end()

    _, first, second, third = ([cell.value for cell in row] for row in workbook(content).active.iter_rows())
    assert first[:2] == [10**15 - 1, 0.1]
    assert (len(first[2]), first[2][-6:]) == (32_767, "…(cut)")
    assert second == ["1000000000000000", "inf", "b"]
    assert third == ["-1000000000000000000", "nan", "?"]


async def test_days_that_excel_has_not_are_text():
    columns = [ExportColumn("d", "date"), ExportColumn("t", "datetime")]
    encoder = ExcelEncoder(columns, "old")
    rows = [
        (date(1899, 12, 31), datetime(1900, 2, 28, tzinfo=UTC)),
        (date(1900, 3, 1), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ]

    content = encoder.begin() + encoder.rows(rows) + encoder.end()

    _, first, second = ([cell.value for cell in row] for row in workbook(content).active.iter_rows())
    assert first == ["1899-12-31", "1900-02-28T00:00:00Z"]
    assert [str(value) for value in second] == ["1900-03-01 00:00:00", "9999-12-31 23:59:59"]


async def test_excel_goes_on_on_another_sheet():
    encoder = ExcelEncoder([ExportColumn("n", "integer")], "a [long] title that no sheet may have", rows_per_sheet=100)

    content = encoder.begin() + b"".join(encoder.rows([(n,)]) for n in range(150)) + encoder.end()

    book = workbook(content)
    assert book.sheetnames == ["a  long  title that no she", "a  long  title that no she 2"]
    assert [sheet.max_row for sheet in book] == [100, 52]
    values = [cell.value for sheet in book for (cell,) in sheet.iter_rows(min_row=2)]
    assert values == list(range(150))
    assert all(sheet["A1"].value == "n" for sheet in book)


async def test_parquet_keeps_types(api):
    await api.add(thing(1), thing(2, key=None, name=None, is_new=None, made_at=None, day=None, facts=None))

    answer = await api.get("/exports/things?format=parquet")

    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    first, second = table.to_pylist()
    assert table.column_names == NAMES
    assert (first["number"], first["is_new"], first["day"]) == (1, True, date(2026, 11, 2))
    assert first["made_at"] == datetime(2026, 11, 26, 8, 30, 1, tzinfo=UTC)
    assert first["key"] == "00000000-0000-0000-0000-000000000001"
    assert [second[name] for name in ("key", "name", "is_new", "made_at", "day", "facts")] == [None] * 6
    assert pl.read_parquet(io.BytesIO(answer.content)).shape == (2, 9)


async def test_ndjson_is_an_object_a_line(api):
    await api.add(thing(1), thing(5, name="two\nlines", facts=None))

    answer = await api.get("/exports/things?format=ndjson")

    first, second = map(json.loads, answer.text.splitlines())
    assert first == {
        "number": 1,
        "key": "00000000-0000-0000-0000-000000000001",
        "name": "thing 1",
        "colour": "red",
        "is_new": True,
        "made_at": "2026-11-26T08:30:01Z",
        "day": "2026-11-02",
        "facts": {"n": 1, "text": 'a "quoted" text'},
        "secret": None,
    }
    assert (second["name"], second["facts"], second["made_at"]) == ("two\nlines", None, "2026-11-26T08:30:05.123400Z")


@pytest.mark.parametrize("rows", [0, 1, 1_700])
async def test_json_is_one_array(api_on_sqlite, rows):
    if rows:
        await api_on_sqlite.add(*(thing(n) for n in range(rows)))

    answer = await api_on_sqlite.get("/exports/things?format=json&columns=number")

    assert answer.json() == [{"number": n} for n in range(rows)]


async def test_numbers_of_batches_in_every_format(api_on_sqlite):
    csv = await api_on_sqlite.csv("/exports/count?rows=3")
    ndjson = await api_on_sqlite.get("/exports/count?rows=3&format=ndjson")
    excel = await api_on_sqlite.get("/exports/count?rows=3&format=excel")
    parquet = await api_on_sqlite.get("/exports/count?rows=3&format=parquet")

    assert csv[2] == {"n": "2", "quarter": "0.5", "eighth": "0.25", "label": "row 2"}
    assert json.loads(ndjson.text.splitlines()[2])["quarter"] == 0.5
    assert [cell.value for cell in workbook(excel.content).active[4]] == [2, 0.5, 0.25, "row 2"]
    last = pyarrow.parquet.read_table(io.BytesIO(parquet.content)).to_pylist()[2]
    assert last == {"n": 2, "quarter": 0.5, "eighth": 0.25, "label": "row 2"}


async def test_a_heading_of_any_kind_is_only_text(api_on_sqlite):
    answer = await api_on_sqlite.get("/exports/count?rows=1&format=excel")

    assert workbook(answer.content).sheetnames == ["Zählung  1 2   数"]


async def test_libraries_are_loaded_before_the_first_export_that_needs_them(start_on_sqlite, monkeypatch):
    monkeypatch.delitem(sys.modules, "powerstrip_exports.parquet", raising=False)

    async with start_on_sqlite():
        pass  # it waits for them at its end, if it must

    assert "powerstrip_exports.parquet" in sys.modules
