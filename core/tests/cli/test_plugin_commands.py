"""Commands that plugins add: found when one is typed, run with the plugin's services up."""

import sys

import pytest

MAINS = """
class Power:
    def __init__(self, volts):
        self.volts = volts

class MainsSettings(PluginSettings):
    volts: int = 230

class Strange(Plugin[MainsSettings]):
    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        print("mains on")
        try:
            yield Power(self.settings.volts)
        finally:
            print("mains off")
"""
LAMP = """
class Lamp:
    pass

async def blink(services):
    print("blink")

class Strange(Plain):
    '''Gives light.'''
    requires = ("mains",)

    @hookimpl
    def register_tasks(self):
        return [BackgroundTask("blink", blink)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        from strange_mains import Power
        self.power = services[Power]
        yield Lamp()

    @hookimpl
    def register_commands(self, runner):
        group = typer.Typer(name="lamp", help="Switches lamps.")

        @group.command()
        def volts(factor: int = 1):
            async def work(services):
                await asyncio.sleep(0)
                assert services[Lamp]
                return self.power.volts * factor
            typer.echo(runner.run(work))

        @group.command()
        def fail(how: str):
            password = "hunter2"
            errors = {"problem": Conflict("It burns already."), "surprise": ZeroDivisionError("no light\\nkey=hunter2")}
            async def work(services):
                raise errors[how]
            runner.run(work)

        return [group]
"""


@pytest.fixture
def lamp(write_config, install):
    install("mains", MAINS)
    install("lamp", LAMP)
    install("torch", "raise RuntimeError('burnt out')")
    return write_config("plugins: {lamp: on, mains: on, torch: off}")


def test_a_command_runs_with_its_plugin_and_what_that_requires_and_stops_them(lamp, run):
    result = run("lamp", "volts", "--factor", "2")

    assert result.exit_code == 0, result.output
    assert result.stdout == "mains on\nmains off\n460\n"


def test_a_plugin_that_the_command_does_not_need_is_not_started(lamp, run, write_config, install):
    install("fan", MAINS.replace("mains on", "fan on"))
    write_config("plugins: {lamp: on, mains: on, fan: on}")

    assert "fan on" not in run("lamp", "volts").stdout


HALL = """
from powerstrip import HookCalls, hookspec

class HallHooks:
    @hookspec
    def register_guests(self):
        pass

class Strange(Plain):
    @hookimpl
    def register_hookspecs(self):
        return [HallHooks]

    @hookimpl
    def register_commands(self, runner):
        group = typer.Typer(name="hall")

        @group.command()
        def guests():
            async def work(services):
                return [guests for _, guests in services[HookCalls].call_each("register_guests")]
            typer.echo(runner.run(work))

        return [group]
"""
GUEST = """
class Strange(Plain):
    requires = ("hall",)

    @hookimpl
    def register_guests(self):
        return "Ann"

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        print("guest started")
        yield
"""


def test_a_plugin_that_is_not_started_still_answers_the_hooks_of_one_that_is(run, write_config, install):
    install("hall", HALL)
    install("guest", GUEST)
    write_config("plugins: {hall: on, guest: on}")

    result = run("hall", "guests")

    assert result.stdout == "['Ann']\n", result.output


def test_background_tasks_are_left_to_the_server(lamp, run):
    assert "blink" not in run("lamp", "volts").output


def test_the_config_can_be_named_anywhere_behind_the_command(lamp, run, write_config):
    write_config("plugins: {lamp: on, mains: {volts: 110}}", "other.yaml")

    assert "110\n" in run("lamp", "--config", "other.yaml", "volts").stdout
    assert "110\n" in run("lamp", "volts", "--config=other.yaml").stdout
    assert "12\n" in run("lamp", "volts", "--set", "plugins.mains.volts=12").stdout


def test_an_option_of_the_config_without_its_value_is_a_usage_error(lamp, run):
    result = run("lamp", "volts", "--config")

    assert result.exit_code == 2
    assert "--config" in result.stderr


def test_a_problem_that_a_command_meets_is_told_in_its_words_after_a_clean_stop(lamp, run):
    result = run("lamp", "fail", "problem")

    assert result.exit_code == 1
    assert result.stderr == "error: It burns already.\n"
    assert result.stdout == "mains on\nmains off\n"


def test_an_unexpected_exception_is_one_line_without_values(lamp, run):
    result = run("lamp", "fail", "surprise")

    assert result.exit_code == 1
    assert result.stderr == "error: ZeroDivisionError: no light (powerstrip --debug shows where)\n"


def test_debug_shows_the_traceback_and_no_local_variables(lamp, run):
    result = run("--debug", "lamp", "fail", "problem")

    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "runner.run(work)" in result.stderr
    assert "hunter2" not in result.output


def test_a_plugin_that_can_not_start_is_named_without_a_traceback(run, write_config, install):
    install("mains", MAINS.replace('print("mains on")', 'raise OSError("no current")'))
    install("lamp", LAMP)
    write_config("plugins: {lamp: on, mains: on}")

    result = run("lamp", "volts")

    assert result.exit_code == 1
    assert result.stderr == "error: plugin 'mains' failed at start: OSError: no current\n"


def test_help_lists_the_commands_of_plugins_that_are_on(lamp, run):
    result = run("--help")

    assert result.exit_code == 0
    assert "lamp     Switches lamps." in result.stdout
    assert "strange_torch" not in sys.modules


def test_help_of_a_plugins_command_says_that_it_takes_a_config(lamp, run):
    help_text = run("lamp", "--help").stdout

    assert "--config FILE" in help_text
    assert help_text.isascii()  # no frames where no terminal is


def test_help_works_whatever_is_wrong_with_the_config(run, write_config):
    write_config("plugins: {lamp: on}")

    result = run("--help")

    assert result.exit_code == 0
    assert "serve" in result.stdout
    assert "`powerstrip check` says what is wrong" in result.stderr


def test_a_command_of_the_core_imports_no_plugin(lamp, run):
    run("new", "weather")
    run("--version")

    assert not {"strange_lamp", "strange_mains"} & set(sys.modules)


def test_an_unknown_command_is_a_usage_error_that_knows_the_plugins_commands(lamp, run):
    result = run("lmap")

    assert result.exit_code == 2
    assert "No such command 'lmap'. Did you mean 'lamp'?" in result.stderr


def test_an_unknown_command_reports_what_is_wrong_with_the_config(run, write_config):
    write_config("plugins: {lamp: on}")

    result = run("lamp", "volts")

    assert result.exit_code == 1
    assert "'lamp' is no command of the core, and those of plugins are not known:" in result.stderr
    assert "plugin 'lamp' is switched on but not installed" in result.stderr


def test_an_unknown_command_where_there_is_no_config_says_so(run):
    result = run("lamp", "volts")

    assert result.exit_code == 2
    assert "There is no config/config.yaml here" in result.stderr
    assert "No such command 'lamp'" in result.stderr


OWNERS = {"serve": "powerstrip", "lamp": "lamp"}


@pytest.mark.parametrize("name", OWNERS)
def test_a_command_whose_name_is_taken_is_a_finding_with_both_owners(lamp, run, write_config, install, name):
    code = f"""
    class Strange(Plain):
        @hookimpl
        def register_commands(self, runner):
            group = typer.Typer(name="{name}")
            group.command()(print)
            group.callback()(lambda: None)
            return [group]
    """
    install("zebra", code)
    write_config("plugins: {lamp: on, mains: on, zebra: on}")

    result = run("lamp", "volts")

    assert result.exit_code == 1
    assert f"plugin 'zebra' adds a command '{name}', which is one of '{OWNERS[name]}'" in result.stderr


def test_a_plugin_that_fails_to_name_its_commands_is_a_finding(lamp, run, write_config, install):
    code = """
    class Strange(Plain):
        @hookimpl
        def register_commands(self, runner):
            raise LookupError("none")
    """
    install("zebra", code)
    write_config("plugins: {lamp: on, mains: on, zebra: on}")

    result = run("lamp", "volts")

    assert result.exit_code == 1
    assert "plugin 'zebra' failed in register_commands: LookupError: none [plugin.hook-failed]" in result.stderr
