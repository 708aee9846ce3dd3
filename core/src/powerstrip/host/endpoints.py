"""serve: one path operation, between the route index and FastAPI's handling of it.

FastAPI's own wrapper opens three exit stacks and two error handlers around each request. Problems
are made in the layers outside, and most routes have nothing that an exit stack could close.
"""

import inspect
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol

from fastapi import params, routing
from fastapi.dependencies import models
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

# Where FastAPI looks for them in the scope.
_FILES, _REQUEST, _FUNCTION = "fastapi_middleware_astack", "fastapi_inner_astack", "fastapi_function_astack"


class _Request(Request):
    """FastAPI reads the query and the cookies of every request; most have neither, and parsing nothing takes 5 µs."""

    @property
    def query_params(self) -> QueryParams:
        return super().query_params if self.scope["query_string"] else QueryParams()

    @property
    def cookies(self) -> dict[str, str]:
        for name, _ in self.scope["headers"]:
            if name == b"cookie":
                return super().cookies
        return {}


class OverridesProvider(Protocol):
    """What FastAPI asks for `dependency_overrides`: an application, or what stands for those of several generations."""

    @property
    def dependency_overrides(self) -> dict[Callable[..., Any], Callable[..., Any]]: ...


def path_operation(route: APIRoute, overrides: OverridesProvider) -> ASGIApp:
    """What answers a route, as `route.app` would."""
    if route.max_body_size is not None:
        return _limited(route.app)
    run = route.get_route_handler()

    async def serve_keeping_open(scope: Scope, receive: Receive, send: Send) -> None:
        request = _Request(scope, receive, send)
        response = None
        async with AsyncExitStack() as files, AsyncExitStack() as request_stack:
            scope[_FILES], scope[_REQUEST] = files, request_stack
            async with AsyncExitStack() as function_stack:
                scope[_FUNCTION] = function_stack
                response = await run(request)
            await response(scope, receive, send)
        if response is None:
            raise RuntimeError("a dependency with yield swallowed the exception of its path operation: raise it again")

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if overrides.dependency_overrides:
            await serve_keeping_open(scope, receive, send)
            return
        request = _Request(scope, receive, send)
        scope[_FILES] = scope[_REQUEST] = scope[_FUNCTION] = AsyncExitStack()
        response = await run(request)
        await response(scope, receive, send)

    return serve_keeping_open if _keeps_open(route) else serve


def _limited(limited_app: ASGIApp) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as files:
            scope[_FILES] = files
            await limited_app(scope, receive, send)

    return serve


def _keeps_open(route: APIRoute) -> bool:
    """Whether something may stay open until the response is sent: a form's files, what a dependency yields."""
    body = route.body_field
    reads_form = body is not None and isinstance(body.field_info, params.Form)
    return reads_form or any(_yields(call) for call in _calls(route.dependant))


def _calls(dependant: Dependant) -> list[Callable[..., Any]]:
    calls = [dependant.call] if dependant.call is not None else []
    return calls + [call for inner in dependant.dependencies for call in _calls(inner)]


def _yields(call: Any) -> bool:
    while isinstance(call, partial):
        call = call.func
    functions = [inspect.unwrap(call), *([type(call).__call__] if callable(call) else [])]
    return any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in functions)


def forget_endpoints() -> None:
    """Empty what FastAPI remembers of the functions that it has looked at.

    It would keep the last few thousand of them in memory, and with them the plugins that have stopped; some by their
    identity, which another function may have by then. At those that stay it looks again.
    """
    for known in vars(models).values():
        clear = getattr(known, "cache_clear", None)
        if clear is not None:
            clear()
    getattr(routing, "_endpoint_context_cache", {}).clear()
