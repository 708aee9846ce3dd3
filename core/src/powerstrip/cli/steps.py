"""The steps up to build, as `powerstrip serve` takes them; nothing starts."""

from fastapi import FastAPI

from powerstrip.contract.errors import BuildError
from powerstrip.host.application import Assembly, build_application
from powerstrip.host.composition import compose
from powerstrip.host.config.config import Config
from powerstrip.host.discovery import Discovery, discover_plugins


def build(config: Config, discovery: Discovery | None = None) -> FastAPI:
    """discover → compose → build. Raises CompositionError or BuildError, warnings included."""
    composition = compose(config, discovery or discover_plugins())
    try:
        return build_application(composition)
    except BuildError as error:
        raise BuildError([*composition.findings, *error.findings]) from error


def assembly_of(application: FastAPI) -> Assembly:
    """What the application was built of."""
    assembly: Assembly = application.state.powerstrip
    return assembly
