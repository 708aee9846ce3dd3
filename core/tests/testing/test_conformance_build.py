"""The suite finds routes that don't say who may call them, and OpenAPI that does not hold together."""

import pytest
from core.tests.testing.subjects import Subject, complaint, hello, routes_of
from fastapi import APIRouter, Depends

from powerstrip import (
    Routes,
    hookimpl,
    public,
)


class Undeclared(Subject):
    """Does not say who may call it."""

    @hookimpl
    def register_routes(self):
        return routes_of(hello)


def test_a_route_that_does_not_say_who_may_call_it_is_named(tmp_path):
    told = complaint(Undeclared, "every_route_says_who_may_call_it", tmp_path)

    assert "nothing says who may call /api/v1/subject/0" in told
    assert "subjects.py:" in told


class SameOperationId(Subject):
    """Gives two operations one name."""

    @hookimpl
    def register_routes(self):
        router = APIRouter(dependencies=[Depends(public)])
        for path in ("/one", "/two"):
            router.get(path, operation_id="same")(hello)
        return [Routes(router)]


def subject_that_customises(change):
    class Customises(Subject):
        """Changes the document."""

        @hookimpl
        def customise_openapi(self, document):
            change(document, document["paths"]["/api/v1/subject/0"]["get"])

    return Customises


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
def test_operations_of_one_name_are_found(tmp_path):
    told = complaint(SameOperationId, "its_openapi_is_valid", tmp_path)

    assert "2 operations have the operationId 'same'" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda document, get: get.update(requestBody={"$ref": "#/no/where"}), "#/no/where is referred to"),
        (lambda document, get: get.update(requestBody={"$ref": "https://x.example/a"}), "https://x.example/a is ref"),
        (lambda document, get: document.update(extra={1, 2}), "the document is no JSON"),
        (lambda document, get: get.pop("summary"), "GET /api/v1/subject/0 has no summary"),
        (lambda document, get: get["responses"]["200"].clear(), "does not describe its response 200"),
        (lambda document, get: get.update(security=[{"key": []}]), "asks for the security scheme 'key'"),
        (
            lambda document, get: get.update(parameters=[{"in": "path", "name": "id"}]),
            "states the path parameter 'id' only in its parameters",
        ),
        (lambda document, get: document["paths"].clear(), "takes the plugin's own operations out"),
    ],
)
def test_a_document_that_does_not_hold_together_is_told_where(change, told, tmp_path):
    assert told in complaint(subject_that_customises(change), "its_openapi_is_valid", tmp_path)
