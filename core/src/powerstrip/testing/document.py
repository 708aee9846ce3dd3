"""Whether an OpenAPI document holds together."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_TEMPLATE = re.compile(r"{([^}]+)}")

Operation = Mapping[str, Any]


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    """Every operation with its path and method."""
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def faults(document: dict[str, Any]) -> list[str]:
    """What clients, generators and readers of the document would stumble over."""
    try:
        json.dumps(document)
    except (TypeError, ValueError) as error:
        return [f"the document is no JSON: {error}"]
    found = [f"{reference} is referred to and defined nowhere" for reference in sorted(_dead_references(document))]
    names = Counter(operation.get("operationId") for _, _, operation in operations(document))
    found += [f"{count} operations have the operationId '{name}'" for name, count in names.items() if count > 1]
    schemes = set(document.get("components", {}).get("securitySchemes", {}))
    for path, method, operation in operations(document):
        found += [f"{method.upper()} {path} {fault}" for fault in _operation_faults(path, operation, schemes)]
    return found


def _operation_faults(path: str, operation: Operation, schemes: set[str]) -> Iterator[str]:
    for key in ("operationId", "summary", "tags", "responses", "x-plugin"):
        if not operation.get(key):
            yield f"has no {key}"
    for status, response in operation.get("responses", {}).items():
        if not response.get("description") and "$ref" not in response:
            yield f"does not describe its response {status}"
    parameters = operation.get("parameters", [])
    stated = {parameter["name"] for parameter in parameters if parameter.get("in") == "path"}
    for name in sorted(stated ^ set(_TEMPLATE.findall(path))):
        yield f"states the path parameter '{name}' only in {'its parameters' if name in stated else 'its path'}"
    for scheme in sorted({name for entry in operation.get("security", []) for name in entry} - schemes):
        yield f"asks for the security scheme '{scheme}', which is defined nowhere"


def _dead_references(document: Mapping[str, Any]) -> set[str]:
    return {reference for reference in _references(document) if not _resolves(document, reference)}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _resolves(document: Mapping[str, Any], reference: str) -> bool:
    if not reference.startswith("#/"):
        return False
    node: Any = document
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True
