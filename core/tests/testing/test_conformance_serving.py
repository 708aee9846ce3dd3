"""The suite finds routes and health checks that fail, hang or leave something behind."""

import asyncio
import time

import pytest
from core.tests.testing.subjects import Subject, check, complaint, routes_of
from fastapi import Depends

from powerstrip import (
    HealthCheck,
    InternalServerError,
    hookimpl,
    public,
)


class Raises(Subject):
    """Lets an exception out."""

    @hookimpl
    def register_routes(self):
        async def fail() -> None:
            raise LookupError("let out")

        return routes_of(fail, dependencies=[Depends(public)])


class AnswersInternalError(Subject):
    """Means it."""

    @hookimpl
    def register_routes(self):
        async def fail() -> None:
            raise InternalServerError

        return routes_of(fail, dependencies=[Depends(public)])


class LeavesTaskPerRequest(Subject):
    """Starts a task for each request."""

    @hookimpl
    def register_routes(self):
        async def begin() -> None:
            self.task = asyncio.create_task(asyncio.Event().wait(), name="per request")

        return routes_of(begin, dependencies=[Depends(public)])


class NeverAnswers(Subject):
    """Keeps callers waiting."""

    @hookimpl
    def register_routes(self):
        async def wait() -> None:
            await asyncio.Event().wait()

        return routes_of(wait, dependencies=[Depends(public)])


@pytest.mark.parametrize(
    ("plugin_class", "told"),
    [
        (Raises, "LookupError('let out')"),
        (AnswersInternalError, "GET /api/v1/subject/0 answers 500"),
        (LeavesTaskPerRequest, "task 'per request' still running"),
    ],
)
def test_what_goes_wrong_while_serving_is_named(plugin_class, told, tmp_path):
    assert told in complaint(plugin_class, "it_serves_and_leaves_nothing_behind", tmp_path)


def test_a_route_that_does_not_answer_is_named(tmp_path):
    told = complaint(NeverAnswers, "it_serves_and_leaves_nothing_behind", tmp_path, answer_within=0.2)

    assert "GET /api/v1/subject/0 did not begin to answer" in told


def subject_with_check(check):
    class WithCheck(Subject):
        """Has a health check."""

        @hookimpl
        def register_health_checks(self):
            return [HealthCheck("pulse", check, timeout=0.1)]

    return WithCheck


async def hangs():
    await asyncio.Event().wait()


async def blocks():
    time.sleep(0.8)  # noqa: ASYNC251 - what a plugin must not do


async def no_mapping():
    return ["fine"]


async def no_json():
    return {"since": object()}


async def fails():
    raise ConnectionError("not there")


@pytest.mark.parametrize(
    ("check_function", "told"),
    [
        (hangs, "the health check 'pulse' takes 0."),
        (blocks, "the health check 'pulse' takes 0."),
        (no_mapping, "it takes a mapping of JSON values"),
        (no_json, "it takes a mapping of JSON values"),
    ],
)
def test_a_health_check_that_gives_no_answer_in_time_is_named(check_function, told, tmp_path):
    assert told in complaint(subject_with_check(check_function), "its_health_checks_answer_in_time", tmp_path)


def test_a_health_check_that_says_no_has_answered(tmp_path):
    check(subject_with_check(fails), "its_health_checks_answer_in_time", tmp_path)
