"""Gives path operations `request.session`."""

from collections.abc import Iterator
from typing import ClassVar

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_edge.domain.sessions import Session, SessionSeal
from powerstrip_edge.settings import EdgeSettings, SessionSettings


class SessionCookie(Interceptor):
    """Reads the signed session cookie, and sends it again when what it holds has changed."""

    stage = Stage.EDGE
    writes: ClassVar[frozenset[str]] = frozenset(("session",))

    def __init__(self, settings: EdgeSettings) -> None:
        session = settings.session
        self._name = session.cookie
        self._seal = SessionSeal(session.keys, session.cookie, session.max_age)
        self._attributes = "; ".join(_attributes(session))
        self._max_age = session.max_age

    def on_request(self, exchange: Exchange) -> None:
        headers = exchange.headers
        found = headers.get_raw(b"cookie") is not None
        exchange.scope["session"] = Session(self._seal, self._values(headers.getlist("cookie")) if found else ())

    def on_response(self, exchange: Exchange) -> None:
        session = exchange.scope.get("session")
        if not isinstance(session, Session) or not session.is_used:
            return
        if session.is_changed:
            if session:
                self._set(exchange, session.sign(), self._max_age)
            elif session.had_cookie:
                self._set(exchange, "", 0)
        exchange.response_headers.add_vary("Cookie")

    def _set(self, exchange: Exchange, value: str, max_age: int) -> None:
        cookie = f"{self._name}={value}; Max-Age={max_age}; {self._attributes}"
        exchange.response_headers.append("set-cookie", cookie)

    def _values(self, cookies: list[str]) -> list[str]:
        pairs = (part.strip().partition("=") for cookie in cookies for part in cookie.split(";"))
        return [value for name, _, value in pairs if name == self._name]


def _attributes(session: SessionSettings) -> Iterator[str]:
    yield f"Path={session.path}"
    if session.domain:
        yield f"Domain={session.domain}"
    if session.https_only:
        yield "Secure"
    if session.http_only:
        yield "HttpOnly"
    yield f"SameSite={session.same_site.title()}"
