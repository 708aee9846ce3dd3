"""Files that are missing, unreadable, binary, huge or malicious: findings, quickly, and never another error."""

import os
import time

import pytest

from powerstrip import ConfigError
from powerstrip.host.config.config import load_config
from powerstrip.host.config.document import MAX_NODES
from powerstrip.host.config.interpolation import MAX_NAMED_FILE_SIZE
from powerstrip.host.config.source import MAX_FILE_SIZE


def refusal(load, text, **options):
    with pytest.raises(ConfigError) as caught:
        load(text, **options)
    return [(finding.code, finding.position and finding.position.line) for finding in caught.value.findings]


def test_a_missing_file_is_a_finding(folder):
    with pytest.raises(ConfigError, match=r"there is no file 'none\.yaml'"):
        load_config(["none.yaml"])


def test_every_missing_file_is_a_finding(folder):
    with pytest.raises(ConfigError) as caught:
        load_config(["none.yaml", "nil.yaml"])

    assert [finding.position.file for finding in caught.value.findings] == ["none.yaml", "nil.yaml"]


@pytest.mark.parametrize("name", [".", "a\0b", "x" * 5000, "config.yaml/x"])
def test_what_is_no_readable_file_is_a_finding(folder, name):
    (folder / "config.yaml").touch()

    with pytest.raises(ConfigError) as caught:
        load_config([name], environ={})

    assert caught.value.findings[0].code == "config.file-unreadable"


def test_what_is_not_utf_8_is_a_finding_at_the_first_wrong_byte(load):
    assert refusal(load, b"app:\n  title: \xff\n") == [("config.encoding", 2)]
    assert refusal(load, "app: {}".encode("utf-16")) == [("config.encoding", 1)]
    assert refusal(load, os.urandom(4000) + b"\xff") in ([("config.encoding", line)] for line in range(1, 200))


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x7f", "\x1b", "\ufffe"])
def test_a_control_character_is_a_finding(load, character):
    assert refusal(load, f"app:\n  title: a{character}b\n") == [("config.encoding", 2)]


def test_a_huge_file_is_not_read(load):
    assert refusal(load, b"#" * (MAX_FILE_SIZE + 1)) == [("config.too-large", 1)]


def test_the_largest_file_is_read(load):
    assert load(b"#" * MAX_FILE_SIZE).server.port == 8000


def test_an_endless_file_is_not_read_to_its_end(folder):
    with pytest.raises(ConfigError) as caught:
        load_config(["/dev/zero"], environ={})

    assert [finding.code for finding in caught.value.findings] == ["config.too-large"]


def test_a_huge_file_named_in_a_template_is_a_finding(load, folder):
    (folder / "big").write_bytes(b"x" * (MAX_NAMED_FILE_SIZE + 1))

    assert refusal(load, "app:\n  title: ${file:big}\n") == [("config.too-large", 2)]


def test_templates_can_not_multiply_a_value_without_limit(load):
    text = "app:\n  title: '" + "${A}" * 100_000 + "'\n"

    assert refusal(load, text, environ={"A": "x" * 100_000}) == [("config.too-large", 2)]


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
        "a0: &a0 {k: x}\n" + "".join(f"a{n}: &a{n} {{b: *a{n - 1}, c: *a{n - 1}}}\n" for n in range(1, 30)),
        "a: &a [" + "x," * 1000 + "]\nb: [" + "*a," * 200 + "]\n",
        "a: [" + "x," * (MAX_NODES + 1) + "]\n",
    ],
    ids=["lists", "mappings", "flat", "nothing but nodes"],
)
def test_aliases_can_not_blow_a_document_up(load, text):
    assert [code for code, _ in refusal(load, text)] == ["config.too-large"]


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 500_000,
        "a: " + "{a: " * 100_000,
        "- " * 200_000,
        "a: &a0 [x]\n" + "".join(f"b{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100)),
    ],
    ids=["lists", "mappings", "blocks", "aliases"],
)
def test_a_document_can_not_be_nested_without_limit(load, text):
    assert [code for code, _ in refusal(load, text)] == ["config.too-deep"]


@pytest.mark.parametrize(
    "text",
    [
        "server: {" + ", ".join(f"k{n}: 1" for n in range(20_000)) + "}",
        "server:\n" + "".join(f"  k{n}: 1\n" for n in range(20_000)),
        "app:\n  title: " + "${" * 50_000,
        "app:\n  title: " + "${X}" * 25_000,
        "".join("\ta: 1\n" for _ in range(50_000)),
    ],
    ids=["one line", "lines", "unclosed templates", "unset variables", "tabs"],
)
def test_no_file_makes_findings_without_end(load, text):
    started = time.monotonic()

    found = refusal(load, text)

    assert len(found) == 101
    assert found[-1] == ("config.too-many", None)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("number", ["9" * 5000, "1e999", ".inf", "-.INF", ".nan", "0" * 5000])
def test_a_number_that_can_not_be_held_is_a_finding(load, number):
    assert refusal(load, f"server:\n  port: {number}\n") == [("config.number", 2)]
