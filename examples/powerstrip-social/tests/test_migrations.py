"""The revisions make the tables that the code describes."""

import json
import subprocess
import sys


def test_the_tables_are_those_that_the_code_describes(powerstrip_config, plugins):
    path = str(powerstrip_config(plugins))

    def db(*line):
        command = [sys.executable, "-m", "powerstrip", "db", *line, "--config", path]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert db("upgrade").returncode == 0
    assert json.loads(db("check", "social", "--json").stdout) == {"pending": [], "drift": {}}
