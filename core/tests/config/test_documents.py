"""What a YAML document means, and where its parts stand."""

import pytest

from powerstrip import ConfigError, Position


def data_of(load, value: str):
    return load(f"plugins:\n  p:\n    value: {value}\n").plugins["p"].data["value"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", True), ("Off", False), ("YES", True), ("no", False), ("true", True), ("FALSE", False),
        ("oN", "oN"), ("y", "y"), ("n", "n"),
        ("012", 12), ("0o14", 12), ("0x1F", 31), ("-7", -7), ("+7", 7),
        ("1.5", 1.5), ("1e3", 1000.0), ("1E-2", 0.01), (".5", 0.5), ("5.", 5.0),
        ("1:30", "1:30"), ("1_000", "1_000"), ("2026-01-01", "2026-01-01"), ("1.2.3", "1.2.3"), ("0b1", "0b1"),
        ("~", None), ("null", None), ("", None), ("nUll", "nUll"),
        ("'on'", "on"), ('"12"', "12"), ("'$${'", "${"), ("|\n      12", "12\n"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_scalar_means_what_an_operator_sees(load, written, meant):
    found = data_of(load, written)

    assert found == meant
    assert type(found) is type(meant)


def test_keys_are_text_whatever_they_look_like(load):
    data = load("plugins:\n  p:\n    on: 1\n    12: 2\n    null: 3\n    1.0: 4\n").plugins["p"].data

    assert dict(data) == {"on": 1, "12": 2, "null": 3, "1.0": 4}


def test_a_merge_key_brings_in_what_the_mapping_does_not_say_itself(load):
    text = "plugins:\n  a: &a {x: 1, y: {z: 2}}\n  b: &b {x: 3, w: 4}\n  c:\n    <<: [*a, *b]\n    w: 5\n"

    data = load(text).plugins["c"].data

    assert dict(data) == {"x": 1, "y": {"z": 2}, "w": 5}


def test_an_alias_stands_for_the_value_of_its_anchor(load):
    data = load("plugins:\n  p: {first: &list [1, 2], second: *list}\n").plugins["p"].data

    assert data["second"] == [1, 2]


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n", "plugins:\n", "app:\nserver: ~\n"])
def test_an_empty_document_or_section_means_the_defaults(load, text):
    config = load(text)

    assert config.server.port == 8000
    assert dict(config.plugins) == {}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_positions_count_lines_and_columns_from_one_whatever_ends_a_line(load, line_end):
    config = load(line_end.join(["# ünïcödé 😀", "plugins:", "  'é': {x: 1}", "  b:", "    c: d"]))

    assert config.position(("plugins",)) == Position("config.yaml", 2, 1)
    assert config.position(("plugins", "é", "x")) == Position("config.yaml", 3, 9)
    assert config.position(("plugins", "b", "c")) == Position("config.yaml", 5, 5)


def test_an_item_of_a_list_has_a_position(load):
    config = load("plugins:\n  p:\n    list:\n      - a\n      - [b, c]\n")

    assert config.position(("plugins", "p", "list", 1, 1)) == Position("config.yaml", 5, 13)


def test_what_has_no_position_has_that_of_what_is_around_it(load):
    config = load("plugins:\n  p:\n    x: 1\n")

    assert config.position(("plugins", "p", "y", 3)) == Position("config.yaml", 2, 3)
    assert config.position(("server", "port")) == Position("config.yaml", 1, 1)


def test_a_byte_order_mark_moves_no_column(load):
    config = load(b"\xef\xbb\xbfplugins: {p: on}\n")

    assert config.position(("plugins", "p")) == Position("config.yaml", 1, 11)


def test_plugins_are_listed_in_the_order_of_the_file(load):
    assert list(load("plugins: {zebra: on, ant: off, mole: }\n").plugins) == ["zebra", "ant", "mole"]


@pytest.mark.parametrize(
    ("section", "enabled"),
    [("on", True), ("'on'", True), ("", True), ("{}", True), ("{x: 1}", True), ("{enabled: 'Off'}", False),
     ("off", False), ("No", False), ("${FLAG}", False), ("'${FLAG}'", False), ("{enabled: '${OTHER:-on}'}", True)],
)  # fmt: skip
def test_a_plugin_is_on_when_it_is_listed_and_not_switched_off(load, section, enabled):
    assert load(f"plugins:\n  p: {section}\n", environ={"FLAG": "off"}).plugins["p"].enabled is enabled


def test_the_core_takes_its_keys_out_of_a_plugins_section(load):
    section = load("plugins:\n  p: {enabled: on, prefix: /x, on_failure: skip, own: 1}\n").plugins["p"]

    assert (section.prefix, section.on_failure, dict(section.data)) == ("/x", "skip", {"own": 1})


def test_words_of_a_switch_are_also_choices(load):
    assert load("server: {reload: off}\n").server.reload == "off"


def test_all_findings_of_a_document_are_reported_at_once_in_its_order(load):
    with pytest.raises(ConfigError) as caught:
        load(
            "app: {debug: 5}\nplugins: {p: maybe, p: on}\nserver: {port: ${PORT}, x: 1}\n".replace("${PORT}", "'${P}'")
        )

    places = [(finding.code, finding.position.line, finding.position.column) for finding in caught.value.findings]
    assert places == [
        ("config.wrong-type", 1, 14),
        ("config.wrong-type", 2, 14),
        ("config.duplicate-key", 2, 21),
        ("config.unset-variable", 3, 17),
        ("config.unknown-key", 3, 24),
    ]
