"""The revisions make the tables that the code describes."""

import json


def test_the_tables_are_those_that_the_code_describes(type_line, powerstrip_config, plugins):
    path = powerstrip_config(plugins)

    assert type_line("db", "upgrade", "--config", path).exit_code == 0
    checked = type_line("db", "check", "social", "--json", "--config", path)
    assert json.loads(checked.stdout) == {"pending": [], "drift": {}}
