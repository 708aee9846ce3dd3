"""Adds up what a request's statements cost, for `Server-Timing`."""

from typing import ClassVar

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_database.statements import RequestStatements, request_statements


class StatementTiming(Interceptor):
    """Writes the span `db` while `Server-Timing` is sent: all statements until the response's head, in milliseconds."""

    stage = Stage.OBSERVE
    reads: ClassVar[frozenset[str]] = frozenset(("server_timing",))

    def on_request(self, exchange: Exchange) -> None:
        timed = "server_timing" in exchange.scope["state"]
        request_statements.set(RequestStatements() if timed else None)

    def on_response(self, exchange: Exchange) -> None:
        statements = request_statements.get()
        if statements is not None and statements.seconds:
            exchange.scope["state"]["server_timing"].append(("db", statements.seconds * 1000))
