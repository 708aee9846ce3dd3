"""An export is of one moment, whatever is written meanwhile."""

import asyncio
import csv
import io
import json

import pyarrow.parquet
import pytest
from exports_client import Client
from exports_sample import AllThings, Thing, Things, thing
from sqlalchemy import delete, insert, update

from powerstrip import Identity
from powerstrip_database import Database

OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("things:*",)))

ROWS = 3_000


class Writer:
    """Inserts, updates and deletes at both ends and in the middle, as fast as it goes."""

    def __init__(self, database):
        self.turns = 0
        self._database = database
        self._task = asyncio.create_task(self._write())

    async def _write(self):
        while True:
            turn = self.turns + 1
            async with self._database.transaction() as session:
                number = turn * 37 % ROWS
                await session.execute(update(Thing).where(Thing.number == number).values(name=f"changed {turn}"))
                await session.execute(delete(Thing).where(Thing.number == ROWS - turn))
                await session.execute(insert(Thing), [thing(ROWS + turn, name="new"), thing(-turn, name="new")])
            self.turns = turn

    async def goes_on(self, turns):
        wanted = self.turns + turns
        async with asyncio.timeout(60):
            while self.turns < wanted:  # noqa: ASYNC110 - a writer that tells nobody
                await asyncio.sleep(0.01)

    async def stop(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def numbers_and_names(content, kind):
    if kind == "parquet":
        rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    elif kind == "ndjson":
        rows = [json.loads(line) for line in content.splitlines()]
    else:
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    return {int(row["number"]): row["name"] for row in rows}, len(rows)


@pytest.mark.parametrize(
    ("kind", "source"),
    [("csv", Things), ("ndjson", Things), ("parquet", Things), ("csv", AllThings), ("parquet", AllThings)],
)
async def test_no_row_is_lost_none_comes_twice_and_all_values_are_of_one_moment(start, kind, source):
    async with start(extra={"things": source}) as api:
        await assert_consistent(api, kind)


async def assert_consistent(api, kind):
    database = api.services[Database]
    for start in range(0, ROWS, 1_000):
        await api.add(*(thing(n) for n in range(start, start + 1_000)))
    writer = Writer(database)
    moments = []
    for _ in range(2):
        await writer.goes_on(2)
        client = Client(api, f"/exports/things?format={kind}", OWNER)
        await client.read(2)
        assert not client.task.done()
        await writer.goes_on(5)
        await client.read_all()
        moments.append(numbers_and_names(client.body, kind))
    await writer.stop()

    for found, rows in moments:
        assert len(found) == rows, "a row came twice"
        # Turn t has deleted ROWS - t, inserted ROWS + t and -t, and given one row the name of turn t.
        turn = max(n - ROWS for n in found)
        assert set(found) == {*range(-turn, ROWS - turn), *range(ROWS + 1, ROWS + turn + 1)}
        named = {int(name.removeprefix("changed ")) for name in found.values() if name.startswith("changed")}
        assert max(named, default=0) <= turn
        for changed in range(max(1, turn - 20), turn + 1):
            number = changed * 37 % ROWS
            if number < ROWS - turn:
                assert found[number].startswith("changed")
