"""build: the OpenAPI document of one composition."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from powerstrip.contract.errors import PluginError
from powerstrip.contract.problems import (
    ErrorResponse,
    Forbidden,
    Problem,
    Unauthorized,
    ValidationError,
    responses,
)
from powerstrip.host.composition import Member
from powerstrip.host.registrations import Registrations
from powerstrip.host.routes import OwnedRoute

_PROTECTED = ("identity", "role", "permission")
_PARTS: Mapping[str, str] = {
    "parameters": "parameters",
    "requestBody": "request body",
    "responses": "responses",
    "security": "security",
    "x-access": "access",
}
_ERROR_SCHEMA: Mapping[str, str] = {"$ref": "#/components/schemas/ErrorResponse"}


class OpenApiDocument:
    """Makes the document when it is first asked for, and keeps it. Safe to call from several threads."""

    def __init__(
        self,
        app: FastAPI,
        routes: Sequence[OwnedRoute],
        members: Sequence[Member],
        registrations: Registrations,
    ) -> None:
        self._app = app
        self._routes = routes
        self._members = members
        self._registrations = registrations
        self._document: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> dict[str, Any]:
        """The document. Raises PluginError when a plugin's `customise_openapi` fails."""
        with self._lock:
            if self._document is None:
                self._document = self._make()
            return self._document

    def _make(self) -> dict[str, Any]:
        app = self._app
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description or None,
            routes=app.routes,
        )
        used = {tag for _, _, operation in _operations(document) for tag in operation.get("tags", ())}
        document["tags"] = [
            {"name": member.name, "description": _first_line(member)} for member in self._members if member.name in used
        ]
        _use_our_errors(document)
        for entry in self._registrations.openapi:
            try:
                entry.value(document=document)
            except Exception as error:
                raise PluginError(entry.plugin, "customise_openapi", f"{type(error).__name__}: {error}") from error
        _protect(document, self._routes)
        return document


def document_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What clients may notice of the operations and schemas that are in both of two documents."""
    old = {(path, method): operation for path, method, operation in _operations(before)}
    for path, method, operation in _operations(after):
        known = old.get((path, method), operation)
        parts = [part for part, name in _PARTS.items() if known.get(part) != operation.get(part)]
        if parts:
            yield f"{method} {path}: {', '.join(_PARTS[part] for part in parts)}"
    schemas = _schemas(before)
    for name, schema in sorted(_schemas(after).items()):
        known = schemas.get(name, schema)
        if known != schema:
            yield f"schema {name}: {_schema_changes(known, schema)}"


def _schema_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    old, new = before.get("properties", {}), after.get("properties", {})
    kinds = {
        "gains": new.keys() - old.keys(),
        "loses": old.keys() - new.keys(),
        "changes": {name for name in new.keys() & old.keys() if new[name] != old[name]},
        "no longer requires": {*before.get("required", ())} - {*after.get("required", ())} - (old.keys() - new.keys()),
        "requires": {*after.get("required", ())} - {*before.get("required", ())},
    }
    return "; ".join(f"{kind} {', '.join(sorted(names))}" for kind, names in kinds.items() if names) or "changes"


def _schemas(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document.get("components", {}).get("schemas", {})
    return found


def _first_line(member: Member) -> str:
    return (type(member.plugin).__doc__ or member.installed.summary or "").strip().partition("\n")[0]


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                yield path, method.upper(), operation


def _use_our_errors(document: dict[str, Any]) -> None:
    """FastAPI describes its own 422; every error of ours has one shape, and any operation may answer with it."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schema = ErrorResponse.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas["ErrorResponse"] = schema
    for _, _, operation in _operations(document):
        stated = operation["responses"]
        if "HTTPValidationError" in str(stated.get("422")):
            stated["422"] = _error_response(ValidationError)
        for response in stated.values():
            # FastAPI gives them the media type of the route's own answers: event streams, say.
            if "#/components/schemas/ErrorResponse" in str(response.get("content")):
                response["content"] = _content()
        stated.setdefault("default", {"description": "Any other error.", "content": _content()})
    if "#/components/schemas/HTTPValidationError" not in str(document["paths"]):
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)


def _protect(document: dict[str, Any], routes: Sequence[OwnedRoute]) -> None:
    """State 401, 403 and the security schemes (the identity plugin's) on every operation that asks who calls."""
    schemes = sorted(document.get("components", {}).get("securitySchemes", {}))
    access = {
        (getattr(entry.route, "path_format", entry.path), method): entry.access
        for entry in routes
        for method in entry.methods or ()
    }
    for path, method, operation in _operations(document):
        allowed = access.get((path, method))
        if allowed is None:
            continue
        operation.setdefault("x-access", str(allowed))
        if allowed.kind not in _PROTECTED:
            continue
        operation["responses"].setdefault("401", _error_response(Unauthorized))
        if allowed.kind != "identity":
            operation["responses"].setdefault("403", _error_response(Forbidden))
        if schemes:
            operation.setdefault("security", [{scheme: []} for scheme in schemes])


def _error_response(problem: type[Problem]) -> dict[str, Any]:
    return {"description": responses(problem)[problem.status]["description"], "content": _content()}


def _content() -> dict[str, Any]:
    return {"application/json": {"schema": _ERROR_SCHEMA}}
