"""Several workers reload all together, or not at all."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml


class TestWorkers:
    def test_all_change_together(self, serve):
        with serve(workers=2) as served:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second")

            assert served.reload()["generation"] == 2
            assert served.words(20) == {"second"}
            assert [worker["generation"] for worker in served.status()["workers"]] == [2, 2]

    def test_none_changes_when_one_can_not(self, serve, tmp_path):
        with serve(workers=2) as served:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second", start=f"fails_in_one {tmp_path / 'flag'}")
            done = served.reload()

            assert not done["ok"]
            assert "on purpose, here only" in done["reason"]
            assert served.words(20) == {"first"}
            assert [worker["generation"] for worker in served.status()["workers"]] == [1, 1]

            again = served.reload()  # the flag is there: now all can

            assert (again["ok"], served.words(20)) == (True, {"second"})

    def test_a_hangup_reloads_them(self, serve):
        with serve(workers=2) as served:
            served.write(word="second")
            served.process.process.send_signal(signal.SIGHUP)

            served.until(lambda: served.words(10) == {"second"})

    def test_a_worker_that_was_killed_comes_back_with_what_the_others_have(self, serve):
        with serve(workers=2) as served:
            first = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            served.write(word="second")
            served.reload()
            served.write(word="not reloaded yet")
            killed = next(iter(first))
            os.kill(killed, signal.SIGKILL)

            workers = served.until(lambda: len(found := served.status()["workers"]) == 2 and found)

            assert killed not in {worker["pid"] for worker in workers}
            served.until(lambda: all(worker["generation"] == 2 for worker in served.status()["workers"]))
            assert served.words(20) == {"second"}

    def test_workers_that_came_back_know_what_the_server_was_started_with(self, serve):
        with serve(workers=2) as served:
            first = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            server = yaml.safe_load(served.process.config.read_text())["server"]
            served.write_config({"wilful": {"word": "second"}}, server={**server, "host": "127.0.0.2"})
            assert served.reload()["plan"]["restart_needed"] == ["server.host"]
            for pid in first:
                os.kill(pid, signal.SIGKILL)
            served.until(
                lambda: len(found := served.status()["workers"]) == 2 and not first & {w["pid"] for w in found}
            )

            assert served.reload()["plan"]["restart_needed"] == ["server.host"]

    def test_a_worker_that_is_killed_while_it_prepares_does_not_keep_the_others(self, serve, tmp_path):
        with serve(workers=2) as served:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second", start=f"waits_for {tmp_path / 'go'}")
            served.process.process.send_signal(signal.SIGHUP)
            preparing = served.until(lambda: list(tmp_path.glob("go.*")))
            killed = int(preparing[0].suffix.removeprefix("."))
            os.kill(killed, signal.SIGKILL)
            (tmp_path / "go").touch()

            served.until(lambda: served.words(20) == {"second"} and len(served.pids(10)) == 2)
            assert killed not in served.pids(10)

    def test_half_as_many_workers_as_there_are_processors_prepare_at_a_time(self, serve, tmp_path):
        """The others answer requests meanwhile."""
        with serve(workers=2) as served:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second", start=f"waits_for {tmp_path / 'go'}")
            served.process.process.send_signal(signal.SIGHUP)
            at_once = min(2, max(1, (os.cpu_count() or 1) // 2))
            served.until(lambda: len(list(tmp_path.glob("go.*"))) >= at_once)
            served.status()  # asks both, after they were asked to prepare

            assert len(list(tmp_path.glob("go.*"))) == at_once
            (tmp_path / "go").touch()
            served.until(lambda: served.words(20) == {"second"})

    def test_a_worker_that_is_killed_between_being_ready_and_the_swap_comes_back_with_the_others_generation(
        self, serve, tmp_path
    ):
        with serve(workers=2) as served:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second", start=f"is_first_or_waits_for {tmp_path / 'go'}")
            served.process.process.send_signal(signal.SIGHUP)
            served.until((tmp_path / "go.waiting").exists)
            ready = int(served.until((tmp_path / "go.first").read_text))
            os.kill(ready, signal.SIGKILL)
            (tmp_path / "go").touch()

            served.until(lambda: served.words(20) == {"second"} and len(served.pids(10)) == 2)
            assert ready not in served.pids(10)
            assert {worker["generation"] for worker in served.status()["workers"]} == {2}

    def test_two_reloads_at_once_happen_one_after_the_other(self, serve):
        with serve(workers=2) as served, ThreadPoolExecutor() as at_once:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second")
            reports = list(at_once.map(lambda _: served.reload(), range(2)))

            assert sorted(report["generation"] for report in reports) == [2, 3]
            assert {worker["generation"] for worker in served.status()["workers"]} == {3}

    def test_a_stop_in_the_middle_of_a_reload_stops_all_cleanly(self, serve, tmp_path, run):
        with serve(workers=2) as served:
            pids = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            served.write(start=f"waits_for {tmp_path / 'never'}")
            served.process.process.send_signal(signal.SIGHUP)
            served.until(lambda: len(list(tmp_path.glob("never.*"))) == 2)

            assert served.process.stop() == 0
            assert not any(is_running(pid) for pid in pids)
            assert list((run / "powerstrip").iterdir()) == []

    def test_they_stop_when_the_process_that_watches_over_them_is_killed(self, serve):
        with serve(workers=2) as served:
            pids = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            served.process.process.kill()
            served.process.process.wait()

            served.until(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
