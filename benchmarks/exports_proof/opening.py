"""Opens files with what people open them with, each in a process of its own, and counts the rows."""

import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

LIMIT = 3_600.0  # seconds
# Comma, double quote, UTF-8, and the last one: all sheets, each into a file of its own.
_CSV_OF_ALL_SHEETS = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"


@dataclass(frozen=True)
class Found:
    """What a reader finds: how many rows, and the sum of their ids, which tells whether they are the same rows."""

    rows: int
    sum_of_ids: int


@dataclass(frozen=True)
class Reader:
    """A library that gives the ids of the file at `path`, and where it is; the one without ids is LibreOffice."""

    name: str
    kind: str
    ids: str
    install: str
    python: str = sys.executable


_DEV = "pip install -r requirements-dev.txt"
_PANDAS = "name an interpreter that has it, and pyarrow, by --pandas"
_SHEETS = "openpyxl.load_workbook(path, read_only=True)"
_CELLS = f"(row[0] for sheet in {_SHEETS} for row in sheet.iter_rows(min_row=2, values_only=True))"


def readers(pandas: str) -> Sequence[Reader]:
    """All of them. `pandas` is the interpreter that has that library: the one that serves must not, since Arrow loads
    it where it can, and its memory would be measured too."""
    return (
        Reader("polars", "csv", "polars.read_csv(path)['id']", _DEV),
        Reader("pandas", "csv", "pandas.read_csv(path)['id']", _PANDAS, pandas),
        Reader("polars", "parquet", "polars.read_parquet(path)['id']", _DEV),
        Reader("pandas", "parquet", "pandas.read_parquet(path)['id']", _PANDAS, pandas),
        Reader("openpyxl", "excel", _CELLS, _DEV),
        Reader("LibreOffice", "excel", "", "apt-get install --no-install-recommends libreoffice-calc"),
    )


def open_with(reader: Reader, file: Path) -> Found | None:
    """What the reader finds in a file; None when it is not installed."""
    if not reader.ids:
        return _open_with_libreoffice(file)
    if _ended(reader.python, "-c", f"import {reader.name}").returncode:
        return None
    program = (
        f"import sys, {reader.name}\nfrom benchmarks.exports_proof.opening import found_in\npath = sys.argv[1]\n"
        f"found = found_in({reader.ids})\nprint(found.rows, found.sum_of_ids)"
    )
    rows, sum_of_ids = _output(reader.python, "-c", program, str(file)).split()
    return Found(int(rows), int(sum_of_ids))


def found_in(ids: Iterable[str]) -> Found:
    """Count ids, and add them up."""
    rows = sum_of_ids = 0
    for text in ids:
        rows += 1
        sum_of_ids += UUID(text).int
    return Found(rows, sum_of_ids)


def _open_with_libreoffice(file: Path) -> Found | None:
    binary = shutil.which("soffice") or shutil.which("libreoffice")
    if binary is None:
        return None
    with tempfile.TemporaryDirectory(prefix="powerstrip-libreoffice-") as folder:
        profile = f"-env:UserInstallation=file://{folder}/profile"
        _output(binary, profile, "--headless", "--convert-to", _CSV_OF_ALL_SHEETS, "--outdir", folder, str(file))
        return found_in(_ids_of_sheets(sorted(Path(folder).glob("*.csv"))))


def _ids_of_sheets(sheets: Iterable[Path]) -> Iterable[str]:
    for sheet in sheets:
        with sheet.open(newline="", encoding="utf-8") as lines:
            yield from (row["id"] for row in csv.DictReader(lines))


def _output(*command: str) -> str:
    ended = _ended(*command)
    if ended.returncode:
        raise RuntimeError(f"{command[0]} ended with {ended.returncode}: {ended.stderr[-2_000:]}")
    return ended.stdout


def _ended(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
