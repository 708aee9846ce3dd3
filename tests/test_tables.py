"""The tables that the plugins' revisions make."""

import json


def test_the_tables_are_those_that_the_code_describes(type_line, powerstrip_config, database_url):
    owners = ("users", "exports", "realtime", "social")
    path = powerstrip_config({"database": {"url": database_url}, **dict.fromkeys(owners, True)})

    upgraded = type_line("db", "upgrade", "--config", path)
    checked = type_line("db", "check", "--json", "--config", path)

    assert {line.split()[0] for line in upgraded.stdout.splitlines()[:-1]} == {*owners}
    assert json.loads(checked.stdout) == {"pending": [], "drift": {}}
