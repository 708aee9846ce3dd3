"""What does a file cost, beside the tools of the databases, ADBC, the ORM and xlsxwriter?"""

import asyncio
import csv
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import xlsxwriter
from pyarrow import parquet
from sqlalchemy import select

from benchmarks.measurement import Section, Series, Table, hold, interleave
from powerstrip import ExportContext, create_app
from powerstrip.testing.config import ConfigBuilder
from powerstrip_database import Database
from powerstrip_database.testing import running_postgresql
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.domain import Format, Tally
from powerstrip_exports.pipeline import chunks
from powerstrip_exports.reading import Reading, Wanted
from powerstrip_exports.settings import Budget
from powerstrip_exports.threads import Threads
from powerstrip_users.models import User
from powerstrip_users.schemas import UserFilters
from powerstrip_users.seeding import Seeding

ROWS = 200_000
ROUNDS = 5
COLUMNS = (
    *("id", "email", "username", "full_name", "phone", "status", "role", "is_verified", "last_login", "created_at"),
    *("updated_at", "profile_completion"),
)
STORED = (*COLUMNS[:-1], "version")
_SQL = f"SELECT {', '.join(STORED)} FROM users"

TOOL, COPY, ORM, ADBC, XLSXWRITER = "sqlite3 tool", "psql", "ORM and csv.writer", "ADBC", "xlsxwriter"
CSV, EXCEL, PARQUET = "exports, CSV", "exports, Excel", "exports, Parquet"

METHOD = f"""{ROWS:,} made-up users, 12 columns, {ROUNDS} interleaved rounds. `exports` runs as behind a request, its
chunks thrown away; formulas are guarded, ids and times are written as the API writes them. The tools of the databases
write what is stored: 32 digits for a UUID on SQLite, 0 and 1, times with a space. The ORM makes an object of each row
and writes it with `csv.writer`; xlsxwriter is in constant-memory mode; ADBC hands Arrow to pyarrow."""

Work = Callable[[], Awaitable[None]]


def run() -> Section:
    """Measure on both databases."""
    tables = []
    with TemporaryDirectory() as folder, running_postgresql() as server:
        sqlite_url = f"sqlite+aiosqlite:///{folder}/powerstrip.db"
        tables.append(asyncio.run(_measure(Path(folder), sqlite_url)))
        tables.append(asyncio.run(_measure(Path(folder), server.create_database())))
    on_sqlite, on_postgresql = tables
    targets = [
        hold("CSV from SQLite at 0.8 of the sqlite3 tool's speed", on_sqlite, CSV, TOOL, ratio=1 / 0.8),
        hold("CSV from PostgreSQL at 0.8 of psql's", on_postgresql, CSV, COPY, ratio=1 / 0.8),
        hold("CSV from SQLite 8 times as fast as ORM objects", on_sqlite, CSV, ORM, ratio=1 / 8),
        hold("CSV from PostgreSQL 8 times as fast as ORM objects", on_postgresql, CSV, ORM, ratio=1 / 8),
        hold("Excel 6 times as fast as xlsxwriter", on_sqlite, EXCEL, XLSXWRITER, ratio=1 / 6),
        hold("Parquet from SQLite at 0.8 of ADBC's speed", on_sqlite, PARQUET, ADBC, ratio=1 / 0.8),
        hold("Parquet from PostgreSQL at 0.8 of ADBC's speed", on_postgresql, PARQUET, ADBC, ratio=1 / 0.8),
    ]
    return Section(key="G", title="Exports", method=METHOD, tables=tables, targets=targets)


async def _measure(folder: Path, url: str) -> Table:
    kind = url.partition("+")[0]
    async with _application(folder, url) as services:
        await services[Seeding].make(ROWS, "correct horse battery", lambda _done: None)
        works: dict[str, Work] = {
            **(_sqlite_peers(folder) if kind == "sqlite" else _postgresql_peers(folder, url)),
            ORM: partial(_by_orm, services[Database], folder / "orm.csv"),
            CSV: partial(_by_exports, services, Format.CSV),
            EXCEL: partial(_by_exports, services, Format.EXCEL),
            PARQUET: partial(_by_exports, services, Format.PARQUET),
        }
        for name in (CSV, EXCEL, PARQUET):
            await works[name]()  # imports and caches
        series = await interleave(ROUNDS, {name: partial(_microseconds, work) for name, work in works.items()})
    base = TOOL if kind == "sqlite" else COPY
    return _table(f"From {'SQLite' if kind == 'sqlite' else 'PostgreSQL'}: time for a row", series, base)


def _table(title: str, series: list[Series], base: str) -> Table:
    return Table(title=title, unit="µs", series=series, bases=[base], digits=2)


@asynccontextmanager
async def _application(folder: Path, url: str) -> AsyncIterator[Any]:
    users = {"secret_key": "a key that nobody else has, for this", "passwords": {"memory_kib": 8, "iterations": 1}}
    plugins = {"database": {"url": url, "statement_timeout": 600}, "users": users, "exports": True}
    application = create_app(ConfigBuilder(folder)(plugins), environ={})
    async with application.router.lifespan_context(application):
        yield application.state.powerstrip.index.services


async def _microseconds(work: Work) -> float:
    started = perf_counter()
    await work()
    return (perf_counter() - started) / ROWS * 1_000_000


async def _by_exports(services: Any, kind: Format) -> None:
    offered = services[Catalog].find("users")
    selection = services[Catalog].select(offered.source, COLUMNS, None)
    wanted = Wanted(selection, ExportContext(services, UserFilters(), None), kind)
    tally = Tally()
    body = chunks(services[Reading].pieces(wanted), None, services[Threads], tally, Budget())
    async with aclosing(body):
        async for _ in body:
            pass
    if tally.rows != ROWS:
        raise RuntimeError(f"{tally.rows} rows instead of {ROWS}")


async def _by_orm(database: Database, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        async with database.reading() as session:
            users = await session.stream_scalars(select(User).execution_options(yield_per=500))
            async for user in users:
                writer.writerow([getattr(user, name) for name in STORED])


def _sqlite_peers(folder: Path) -> dict[str, Work]:
    database = folder / "powerstrip.db"
    tool = shutil.which("sqlite3")
    if tool is None:
        raise RuntimeError("the command sqlite3 is not installed")
    return {
        TOOL: partial(_by_tool, [tool, "-csv", str(database), _SQL]),
        ADBC: partial(asyncio.to_thread, _by_adbc, "sqlite", str(database), folder / "adbc.parquet"),
        XLSXWRITER: partial(asyncio.to_thread, _by_xlsxwriter, database, folder / "x.xlsx"),
    }


def _postgresql_peers(folder: Path, url: str) -> dict[str, Work]:
    address = url.replace("+asyncpg", "")
    psql = shutil.which("psql")
    if psql is None:
        raise RuntimeError("the command psql is not installed")
    copy = f"\\copy ({_SQL}) TO '/dev/null' CSV HEADER"
    return {
        COPY: partial(_by_tool, [psql, address, "-qc", copy]),
        ADBC: partial(asyncio.to_thread, _by_adbc, "postgresql", address, folder / "adbc.parquet"),
    }


async def _by_tool(command: list[str]) -> None:
    await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)


def _by_adbc(kind: str, address: str, path: Path) -> None:
    dbapi = import_module(f"adbc_driver_{kind}.dbapi")
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(_SQL.replace("SELECT id", "SELECT id::text") if kind == "postgresql" else _SQL)
        reader = cursor.fetch_record_batch()
        with parquet.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)


def _by_xlsxwriter(database: Path, path: Path) -> None:
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(str(path), options)
    sheet = book.add_worksheet()
    style = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    connection = sqlite3.connect(database)
    for number, row in enumerate(connection.execute(_SQL)):
        for column, value in enumerate(row):
            if column in (9, 10):
                sheet.write_datetime(number, column, datetime.fromisoformat(value), style)
            else:
                sheet.write(number, column, value)
    book.close()
    connection.close()
