"""Every error has one shape, and says no more than it may."""

import json
import logging
from typing import Annotated

import pytest
from fastapi import APIRouter, Body, HTTPException, Query
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from powerstrip import Conflict, Plugin, PluginSettings, Problem, ProblemHandler, Routes, hookimpl


class EmailTaken(Problem):
    """A duplicate that v1 of the API answers with 400."""

    status = 400
    message = "This e-mail address is taken."


class Duplicate(Exception):
    pass


class SpecialDuplicate(Duplicate):
    pass


class Credentials(BaseModel):
    password: SecretStr

    @field_validator("password")
    @classmethod
    def long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 8:
            raise ValueError("is too short")
        return value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


router = APIRouter()


@router.get("/taken")
def taken() -> None:
    raise EmailTaken(details=[{"field": "email"}], headers={"X-Hint": "a\r\nSet-Cookie: b"})


@router.get("/http/{status}")
def http(status: int) -> None:
    raise HTTPException(status, headers={"X-Own": "1"})


@router.get("/http-detail")
def http_detail() -> None:
    raise HTTPException(409, detail={"why": "because"})


@router.get("/crash")
def crash() -> None:
    raise RuntimeError("secret connection string")


@router.get("/group")
def group() -> None:
    raise ExceptionGroup("from a task group", [Conflict()])


@router.get("/duplicate")
def duplicate(special: bool = False) -> None:
    raise SpecialDuplicate if special else Duplicate


@router.post("/sign-in")
def sign_in(credentials: Credentials, tries: Annotated[int, Query()] = 0) -> None:
    pass


@router.post("/strict")
def strict(body: Strict) -> None:
    pass


@router.post("/text")
def text(value: Annotated[str, Body()]) -> None:
    pass


class Erring(Plugin[PluginSettings]):
    @hookimpl
    def register_routes(self):
        return [Routes(router, version=None)]

    @hookimpl
    def register_problem_handlers(self):
        return [
            ProblemHandler(Duplicate, lambda error: Conflict("plain")),
            ProblemHandler(SpecialDuplicate, lambda error: Conflict("special")),
        ]


@pytest.fixture
def client(start_plugins):
    with start_plugins({"erring": Erring}) as client:
        yield client


def test_a_problem_is_answered_in_the_documented_shape(client):
    answer = client.get("/taken")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "error": {
            "type": "EmailTaken",
            "message": "This e-mail address is taken.",
            "status_code": 400,
            "details": [{"field": "email"}],
        }
    }


def test_headers_of_a_problem_can_not_start_another_header(client):
    answer = client.get("/taken")

    assert answer.headers["x-hint"] == "a  Set-Cookie: b"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/problem+json", "application/problem+json"),
        ("application/json, application/problem+json", "application/problem+json"),
        ("application/problem+json;q=0.1, application/json", "application/json"),
        ("application/problem+json;q=0", "application/json"),
        ("*/*", "application/json"),
        ("application/problem+json;q=nonsense", "application/json"),
    ],
)
def test_rfc_9457_is_for_those_who_ask_for_it(client, accept, content_type):
    assert client.get("/taken", headers={"accept": accept}).headers["content-type"] == content_type


def test_rfc_9457_carries_the_same_facts(client):
    assert client.get("/taken", headers={"accept": "application/problem+json"}).json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "This e-mail address is taken.",
        "instance": "/taken",
        "code": "EmailTaken",
        "errors": [{"field": "email"}],
    }


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequest"),
        (401, "Unauthorized"),
        (404, "NotFound"),
        (418, "ImATeapot"),
        (451, "UnavailableForLegalReasons"),
    ],
)
def test_http_exceptions_get_a_stable_name_and_keep_their_headers(client, status, name):
    answer = client.get(f"/http/{status}")

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, name)
    assert answer.headers["x-own"] == "1"


def test_the_detail_of_an_http_exception_is_kept_as_a_detail(client):
    assert client.get("/http-detail").json()["error"]["details"] == [{"detail": {"why": "because"}}]


def test_an_unexpected_exception_is_logged_whole_and_answered_without_its_text(client, caplog):
    with caplog.at_level(logging.ERROR):
        answer = client.get("/crash")

    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "InternalServerError"
    assert "secret" not in answer.text
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "secret connection string" in str(record.exc_info[1])


def test_debug_shows_the_message_and_the_traceback(start_plugins):
    with start_plugins({"erring": Erring}, "app: {debug: true}\nplugins: {erring: on}\n") as client:
        error = client.get("/crash").json()["error"]

    assert error["message"] == "RuntimeError: secret connection string"
    assert "in crash" in error["details"][0]["traceback"]


def test_an_exception_group_of_one_is_that_one(client):
    assert client.get("/group").status_code == 409


def test_the_handler_of_the_most_specific_class_answers(client):
    assert client.get("/duplicate").json()["error"]["message"] == "plain"
    assert client.get("/duplicate?special=true").json()["error"]["message"] == "special"


def test_invalid_values_are_told_by_place_and_code_and_never_repeated(client):
    answer = client.post("/sign-in?tries=many", json={"password": "hunter2"})

    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["type"] == "ValidationError"
    assert [(detail["location"], detail["code"]) for detail in error["details"]] == [
        (["query", "tries"], "int_parsing"),
        (["body", "password"], "value_error"),
    ]
    assert "hunter2" not in answer.text
    assert "many" not in answer.text


def test_a_body_with_endless_mistakes_is_answered_with_some_of_them(client):
    error = client.post("/strict", json={f"field{number}": 1 for number in range(10_000)}).json()["error"]

    assert len(error["details"]) == 100


def test_a_name_without_end_is_not_repeated_whole(client):
    (detail,) = client.post("/strict", json={"x" * 1_000_000: 1}).json()["error"]["details"]

    assert detail["location"] == ["body", "x" * 200]


def test_a_body_that_is_no_json_is_a_validation_error(client):
    answer = client.post("/sign-in", content=b"{", headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["code"] == "json_invalid"


@pytest.mark.parametrize("path", ["/", "/nowhere", "/%ff", "/a" * 2000, "/..%2f..", "/a%00b"])
def test_what_is_not_there_is_not_found(client, path):
    answer = client.get(path)

    assert answer.status_code == 404
    assert json.loads(answer.content)["error"]["type"] == "NotFound"
