"""`powerstrip check`: everything that is wrong with a config, before anything runs."""

from collections.abc import Iterator
from typing import Annotated

import typer
from fastapi import FastAPI

from powerstrip.cli.arguments import AsJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.findings import render_findings, sorted_findings
from powerstrip.cli.output import print_json, print_text
from powerstrip.cli.steps import assembly_of, build
from powerstrip.contract.errors import FindingsError, PluginError
from powerstrip.contract.findings import Finding

Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse warnings too, and routes that don't say who may call them.")
]


def check(
    config: ConfigFiles = None, overrides: Overrides = None, strict: Strict = False, as_json: AsJson = False
) -> None:
    """Say what is wrong with a config: load, discover, compose and build it, as serve would."""
    source = ConfigArguments.of(config, overrides)
    application: FastAPI | None = None
    try:
        application = build(source.read())
    except FindingsError as error:
        findings = sorted_findings(error.findings)
    else:
        findings = sorted_findings(_warnings(application, strict=strict))
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    elif findings:
        print_text(render_findings(findings))
    elif application is not None:
        print_text(f"{source}: fine. {_summary(application)}")
    if application is None or (strict and findings):
        raise typer.Exit(1)


def _warnings(application: FastAPI, *, strict: bool) -> Iterator[Finding]:
    assembly = assembly_of(application)
    yield from assembly.composition.findings
    if strict:
        yield from assembly.strict_findings()
        try:
            application.openapi()
        except PluginError as error:
            yield Finding("openapi.failed", str(error), level="warning", plugin=error.plugin)


def _summary(application: FastAPI) -> str:
    assembly = assembly_of(application)
    names = ", ".join(member.name for member in assembly.composition.members) or "none"
    return f"Plugins on: {names}. Routes: {len(assembly.index.routes)}."
