"""A worker that is killed in the middle: the job ends whole, or not at all. `make exports-proof` does it 20 times."""

import hashlib
import os
import re
import signal
import time

import httpx2

PASSWORD = "correct horse battery"
LIMIT = 90.0


def wait_for(condition, what):
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)
    return found


def sign_in(base_url):
    answer = httpx2.post(f"{base_url}/api/v1/auth/token", data={"username": "root", "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_job_whose_process_is_killed_ends_whole_in_the_next_one(
    powerstrip_process, powerstrip_config, type_line, sqlite_url, tmp_path
):
    plugins = {
        "database": {"url": sqlite_url},
        "users": {"passwords": {"memory_kib": 8, "iterations": 1}},
        "exports": {"jobs": {"lease": 0.5, "poll_interval": 0.1, "attempts": 50}},
    }
    config = powerstrip_config(plugins)
    admin = ("--email", "root@example.com", "--username", "root")
    password = {"POWERSTRIP_ADMIN_PASSWORD": PASSWORD}
    assert type_line("users", "create-admin", *admin, "--config", config, env=password).exit_code == 0
    assert type_line("users", "seed", "10000", "--yes", "--config", config).exit_code == 0
    folder = tmp_path / "data" / "exports"
    with powerstrip_process(plugins) as served:
        asked = {"source": "users", "format": "excel"}
        answer = httpx2.post(f"{served.base_url}/api/v1/exports", json=asked, headers=sign_in(served.base_url))
        path = answer.headers["Location"]
        wait_for(lambda: [*folder.glob("*.part")] or [*folder.glob("*")], "a file is being written")
        os.killpg(served.process.pid, signal.SIGKILL)
        served.process.wait()

    with powerstrip_process(plugins) as served:
        headers = sign_in(served.base_url)

        def ended():
            job = httpx2.get(f"{served.base_url}{path}", headers=headers).json()
            return job if job["status"] in ("done", "failed") else None

        job = wait_for(ended, "the job ends")
        content = httpx2.get(f"{served.base_url}{job['file']}", headers=headers, timeout=60).content

    assert (job["status"], job["rows"]) == ("done", 10_001)
    assert hashlib.sha256(content).hexdigest() == job["sha256"]
    with powerstrip_process(plugins):  # it sweeps when it starts
        left = wait_for(
            lambda: names if len(names := [file.name for file in folder.iterdir()]) == 1 else None, "the sweep"
        )
    assert re.fullmatch(r"[0-9a-f]{32}-\d+", left[0])
