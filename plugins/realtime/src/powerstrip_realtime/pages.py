"""The browser client, and the demo page."""

from importlib.resources import files
from string import Template

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from powerstrip import HostStatus, NotFound, public, services_of
from powerstrip_realtime.streams import Streams

page_router = APIRouter(prefix="/realtime", dependencies=[Depends(public)], include_in_schema=False)

_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self' ws: wss:; form-action 'self'; base-uri 'none'"


@page_router.get("/client.js")
async def client_module() -> Response:
    """The module that browsers import."""
    return _script("client.js")


@page_router.get("/demo.js")
async def demo_module(request: Request) -> Response:
    """What the demo page does."""
    _check_debug(request)
    return _script("demo.js")


@page_router.get("/demo")
async def demo(request: Request) -> HTMLResponse:
    """A page to try it out: only while `app.debug` is on."""
    _check_debug(request)
    url = request.app.url_path_for
    tickets = str(url("create_ticket"))
    addresses = {
        "demo": str(url("demo_module")),
        "socket": str(url("socket")),
        "tickets": tickets,
        "token": tickets.replace("/realtime/tickets", "/auth/token"),
    }
    page = Template(_text("demo.html")).substitute(addresses)
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


def _check_debug(request: Request) -> None:
    services = services_of(request)
    if not (services[HostStatus].debug and services[Streams].settings.demo):
        raise NotFound


def _script(name: str) -> Response:
    return Response(_text(name), media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def _text(name: str) -> str:
    return files("powerstrip_realtime.browser").joinpath(name).read_text(encoding="utf-8")
