"""The API keeps what its OpenAPI document says, whatever is sent to it: Schemathesis reads the document of all
first-party plugins together and tries what it allows, what it forbids, and what it forgot.

`make contract` does the same with many more examples than the suite has time for.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = os.environ.get("POWERSTRIP_CONTRACT_EXAMPLES", "3")
SEED = os.environ.get("POWERSTRIP_CONTRACT_SEED", "1")
# Strangers are refused nearly everywhere, whatever they make up; where they are not, admins make it up as well.
PHASES = {"stranger": "examples,coverage", "admin": "examples,coverage,fuzzing"}
KEY = "a key for tests that nobody else has"
PLUGINS = {
    **dict.fromkeys(("health", "tracing", "edge", "database", "realtime", "exports"), True),
    # Nobody is locked out or sent away: what is refused for its number says nothing about the document.
    "ratelimit": {"default": "1000000/minute"},
    "users": {"secret_key": KEY, "passwords": {"memory_kib": 8, "iterations": 1, "queue": 1000}},
}

# Every check is on. What a valid request may be answered with beside success, because no document can tell: that a
# name is taken or a token not valid (400), or that a version is not that of the account (412); and, where fields have
# to fit one another or an address or password may not be used, that they don't (422). What breaks a rule by its size
# may be refused before anybody asks for the rule (413, 431).
PATHS = "/users/(export|me|bulk-update|.user_id.)?$|/auth/[a-z]+-password$|/notifications$|/exports(/users)?$"
CHECKS = f"""
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, 431, "5xx"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 412, 429, "5xx"]

[[operations]]
include-path-regex = "{PATHS}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 412, 422, 429, "5xx"]
"""

# A token for each request: one that was tried at /auth/logout is good for nothing more.
SIGN_IN = f"""
import uuid
from datetime import UTC, datetime

import schemathesis

from powerstrip import SystemClock
from powerstrip_users.domain import Role
from powerstrip_users.keys import KeyRing
from powerstrip_users.settings import TokenSettings
from powerstrip_users.tokens import AccessClaims, AccessTokens

tokens = AccessTokens(KeyRing({KEY!r}), TokenSettings(), SystemClock())


@schemathesis.auth(refresh_interval=None)
class SignIn:
    def get(self, case, context):
        now = datetime.now(UTC)
        # Of a version that no change of the account reaches.
        return tokens.issue(AccessClaims(uuid.UUID(USER_ID), "root", Role.ADMIN, uuid.uuid4(), 1_000_000, now))

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {{data}}"
"""


@pytest.fixture
def served(powerstrip_served, powerstrip_config, type_line):
    """The address of all first-party plugins, and the id of an admin."""
    create = ("users", "create-admin", "--email", "root@example.com", "--username", "root")
    password = {"POWERSTRIP_ADMIN_PASSWORD": "correct horse battery"}
    done = type_line(*create, "--config", powerstrip_config(PLUGINS), env=password)
    with powerstrip_served(PLUGINS, app={"docs": True}) as url:
        yield url, done.stdout.split()[-1]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("caller", ["stranger", "admin"])
def test_every_answer_is_one_that_the_document_describes(served, tmp_path, caller):
    url, admin_id = served
    folder = tmp_path / "schemathesis"
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(CHECKS, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    if caller == "admin":
        (folder / "signing_in.py").write_text(f"USER_ID = {admin_id!r}\n{SIGN_IN}", encoding="utf-8")
        environ["SCHEMATHESIS_HOOKS"] = "signing_in"
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{url}/openapi.json", "--checks=all"]
    phases = os.environ.get("POWERSTRIP_CONTRACT_PHASES", PHASES[caller])
    options = [f"--phases={phases}", f"--max-examples={EXAMPLES}", f"--seed={SEED}", "--continue-on-failure"]

    done = subprocess.run([*command, *options], cwd=folder, env=environ, capture_output=True, text=True, check=False)

    # Generated values can be as long as they like.
    assert done.returncode == 0, "\n".join(line[:500] for line in (done.stdout + done.stderr).splitlines())
