"""Names of files in the header, read by its grammar (RFC 6266, RFC 8187); `make browser` asks curl and Chromium."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest

from powerstrip_exports.names import content_disposition, file_name

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"'
EXTENDED = r"UTF-8''(?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})+"
HEADER = re.compile(rf"attachment; filename=({QUOTED})(?:; filename\*=({EXTENDED}))?")


def names_in(header):
    """The name for clients that know only ASCII, and the one that goes before it."""
    found = HEADER.fullmatch(header)
    assert found is not None, header
    plain = re.sub(r"\\(.)", r"\1", found[1][1:-1])
    return plain, unquote(found[2].removeprefix("UTF-8''"), errors="strict") if found[2] else plain


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("users.csv", "users.csv", "users.csv"),
        ('a "quoted" name.csv', "a _quoted_ name.csv", "a _quoted_ name.csv"),
        ("back\\slash.csv", "back_slash.csv", "back_slash.csv"),
        ("two\r\nlines.csv", "two__lines.csv", "two__lines.csv"),
        ("x.csv\r\nSet-Cookie: a=1", "x.csv__Set-Cookie_ a=1", "x.csv__Set-Cookie_ a=1"),
        ("a; filename=b.csv", "a_ filename=b.csv", "a_ filename=b.csv"),
        ("a%41.csv", "a_41.csv", "a_41.csv"),
        ("数据.csv", "__.csv", "数据.csv"),
        ("Zählung naïve.csv", "Zahlung naive.csv", "Zählung naïve.csv"),
        ("пользователи 🎉.csv", "____________ _.csv", "пользователи 🎉.csv"),
        ("it's ~ (1) & [2].csv", "it's ~ (1) & [2].csv", "it's ~ (1) & [2].csv"),
        ("数 it's ~ (1).csv", "_ it's ~ (1).csv", "数 it's ~ (1).csv"),
        ("\u202egnp.csv", "_gnp.csv", "_gnp.csv"),
        ("\uff0fetc\uff1f.csv", "_etc_.csv", "\uff0fetc\uff1f.csv"),
    ],
)
def test_names_survive_the_header(name, plain, whole):
    assert names_in(content_disposition(name)) == (plain, whole)


def test_a_name_holds_nothing_that_a_file_system_minds():
    at = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)

    assert file_name("../../etc/passwd", at, "csv") == "_.._etc_passwd-20261126-083000.csv"
    assert file_name("...", at, "csv") == "export-20261126-083000.csv"
    assert file_name("x" * 500, at, "csv.gz") == f"{'x' * 150}-20261126-083000.csv.gz"
    assert file_name("数" * 500, at, "csv.gz") == f"{'数' * 50}-20261126-083000.csv.gz"
