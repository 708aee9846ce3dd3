"""A served process reloads: by signal, by file, by command."""

import json
import signal

import httpx2
import yaml


class TestOneProcess:
    def test_a_hangup_reloads(self, serve):
        with serve() as served:
            served.write(word="second")
            served.process.process.send_signal(signal.SIGHUP)

            served.until(lambda: served.words() == {"second"})

    def test_a_change_of_the_file_reloads(self, serve):
        with serve(reload="watch") as served:
            served.write(word="second")

            served.until(lambda: served.words() == {"second"})

    def test_the_command_waits_for_the_reload_and_tells_what_became_of_each_plugin(self, serve):
        with serve() as served:
            served.write(word="second")
            planned = served.command("reload", "--plan")
            words = served.words()
            done = served.command("reload")

            assert (planned.exit_code, words) == (0, {"first"})
            assert planned.stdout == (
                "generation 2 would serve\n  wilful  restarted     changed: word\n  changes GET /word: responses\n"
            )
            assert (done.exit_code, served.words()) == (0, {"second"})
            assert done.stdout == "generation 2 serves\n  wilful  restarted     changed: word\n"

    def test_a_config_that_is_wrong_changes_nothing_and_is_explained(self, serve):
        with serve() as served:
            served.write(wrod="second")
            done = served.command("reload")

            assert done.exit_code == 1
            assert "unknown key 'wrod'" in done.stderr
            assert "did you mean 'word'?" in done.stderr
            assert "generation 1 goes on" in done.stderr
            assert served.words() == {"first"}

    def test_what_is_printed_as_json_says_the_same(self, serve):
        with serve() as served:
            served.write(start="fails")
            failed = json.loads(served.command("reload", "--json").stdout)
            served.write(word="second")
            done = served.reload()

            assert (failed["ok"], failed["error"], failed["generation"]) == (False, "StartError", 1)
            assert (done["ok"], done["generation"]) == (True, 2)
            assert done["plan"]["plugins"] == [{"plugin": "wilful", "change": "restarted", "reason": "changed: word"}]

    def test_status_tells_the_generation_the_plugins_and_how_the_last_reload_ended(self, serve):
        with serve() as served:
            before = served.status()
            served.write(start="fails")
            served.reload()
            after = served.status()
            text = served.command("status").stdout

            assert (before["generation"], before["step"], before["last_reload"]) == (1, "serving", None)
            assert [entry["state"] for entry in before["plugins"]] == ["running"]
            assert after["last_reload"]["reason"] == "plugin 'wilful' failed at start: RuntimeError: on purpose"
            assert "failed, the generation before goes on: plugin 'wilful' failed at start" in text

    def test_what_only_a_restart_can_change_is_told_and_the_rest_is_applied(self, serve):
        with serve() as served:
            server = yaml.safe_load(served.process.config.read_text())["server"]
            served.write_config({"wilful": {"word": "second"}}, server={**server, "host": "127.0.0.2"})
            done = served.reload()

            assert done["plan"]["restart_needed"] == ["server.host"]
            assert served.words() == {"second"}

    def test_logging_changes_with_a_reload(self, serve):
        with serve() as served:
            served.write_config({"wilful": {"word": "second"}}, logging={"level": "debug"})
            served.reload()
            served.write(word="third")
            served.reload()

            assert "plugin started" in served.process.log

    def test_with_reload_off_nothing_reloads(self, serve):
        with serve(reload="off") as served:
            served.write(word="second")
            served.process.process.send_signal(signal.SIGHUP)
            served.until(lambda: "server.reload is off" in served.process.log)

            assert (served.reload()["ok"], served.words()) == (False, {"first"})

    def test_a_stop_in_the_middle_of_a_reload_ends_the_process_cleanly(self, serve, tmp_path, run):
        with serve() as served:
            served.write(start=f"waits_for {tmp_path / 'never'}")
            served.process.process.send_signal(signal.SIGHUP)
            served.until(lambda: list(tmp_path.glob("never.*")))

            assert served.process.stop() == 0
            assert list((run / "powerstrip").iterdir()) == []

    def test_no_server_is_told_as_such(self, serve):
        with serve() as served:
            served.process.stop()
            done = served.command("status")

            assert done.exit_code == 1
            assert "no server of" in done.stderr

    def test_a_plugin_that_is_installed_meanwhile_can_be_switched_on(self, serve, wilful, write_distribution, tmp_path):
        with serve() as served:
            source = wilful.replace("/word", "/newcomer").replace("Wilful", "Newcomer")
            write_distribution(
                tmp_path / "lib", "powerstrip-new", {"newcomer": source}, {"newcomer": "newcomer:Newcomer"}
            )
            served.write_config({"wilful": True, "newcomer": True})

            assert served.reload()["plan"]["routes_gained"] == ["GET /newcomer"]
            assert httpx2.get(f"{served.process.base_url}/newcomer").status_code == 200

    def test_a_plugin_that_is_upgraded_meanwhile_runs_on_as_it_was_and_that_is_told(
        self, serve, wilful, write_distribution, tmp_path
    ):
        with serve() as served:
            for path in (tmp_path / "lib" / "powerstrip_wilful-1.0.dist-info").iterdir():
                path.unlink()
            (tmp_path / "lib" / "powerstrip_wilful-1.0.dist-info").rmdir()
            source = wilful.replace("word: str", "text: str")
            write_distribution(
                tmp_path / "lib", "powerstrip-wilful", {"wilful": source}, {"wilful": "wilful:Wilful"}, version="2.0"
            )
            served.write(word="second")
            done = served.reload()

            assert done["plan"]["restart_needed"] == ["plugin 'wilful' was upgraded: 1.0 -> 2.0"]
            assert served.words() == {"second"}
