"""`powerstrip openapi`: the document that describes the API."""

from powerstrip.cli.arguments import AlwaysJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.output import print_json
from powerstrip.cli.steps import build


def openapi(
    config: ConfigFiles = None,
    overrides: Overrides = None,
    as_json: AlwaysJson = True,  # noqa: ARG001 - it is JSON with and without
) -> None:
    """Print the OpenAPI document, whether or not the server shows it."""
    print_json(build(ConfigArguments.of(config, overrides).read()).openapi())
