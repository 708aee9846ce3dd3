"""What the OpenAPI document says about answers with a version."""

from typing import Any

from powerstrip import Problem, responses


def versioned(
    *problems: type[Problem], status: int = 200, conditional: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route whose answer has an ETag; with `conditional`, one that can be "not modified"."""
    tag = {"description": "The version of the account.", "schema": {"type": "string"}}
    documented: dict[int | str, dict[str, Any]] = {status: {"headers": {"ETag": tag}}, **responses(*problems)}
    if conditional:
        documented[304] = {"description": "Still as the caller has it.", "headers": {"ETag": tag}}
    return documented
