"""Every error the host raises to whoever calls it.

    PowerstripError
    ├── FindingsError             a step refused its input; `findings` says why
    │   ├── ConfigError           load
    │   ├── CompositionError      compose
    │   └── BuildError            build
    ├── PluginError               one plugin's code failed; `plugin` and `step` say which and where
    │   ├── StartError
    │   └── StopError
    └── ServiceNotFoundError      no running plugin provides a service of that type

Errors that become HTTP answers are `powerstrip.Problem`s, a tree of their own.
"""

from collections.abc import Sequence

from powerstrip.contract.findings import Finding


class PowerstripError(Exception):
    """The base of all errors raised by the host."""


class FindingsError(PowerstripError):
    """A step refused its input. `findings` holds everything that is wrong, warnings included."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(_one_line(finding) for finding in self.findings))


class ConfigError(FindingsError):
    """The config can't be loaded."""


class CompositionError(FindingsError):
    """The enabled plugins can't be composed."""


class BuildError(FindingsError):
    """The composition can't be built into an application."""


class PluginError(PowerstripError):
    """A plugin's code failed; the cause is chained."""

    def __init__(self, plugin: str, step: str, reason: str) -> None:
        self.plugin = plugin
        self.step = step
        self.reason = reason
        super().__init__(f"plugin '{plugin}' failed at {step}: {reason}")


class StartError(PluginError):
    """A plugin's lifespan failed or took too long to start."""


class StopError(PluginError):
    """A plugin's lifespan failed or took too long to stop."""


class ServiceNotFoundError(PowerstripError, LookupError):
    """No running plugin provides a service of the wanted type."""


def _one_line(finding: Finding) -> str:
    place = finding.position
    where = f"{place.file}:{place.line}:{place.column}: " if place else ""
    hint = f" ({finding.hint})" if finding.hint else ""
    return f"{where}{finding.level}[{finding.code}] {finding.message}{hint}"
