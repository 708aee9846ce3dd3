"""Rate limits that plugin authors state and a limiter, when one is on, enforces."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from fastapi.requests import HTTPConnection
from fastapi.responses import Response

from powerstrip.contract.services import services_of


@runtime_checkable
class RateLimiter(Protocol):
    """The service a limiter provides.

    `count` counts one call of `cost` against `rate` for whoever sent the request and returns the
    headers to answer with; it raises `RateLimitExceeded` when the limit is used up. `scope` names
    the count. A limiter may decide about the limits of a route (`RouteInfo.limits`) before the
    route runs; the dependency's own call then counts nothing a second time.
    """

    async def count(self, connection: HTTPConnection, rate: str, *, scope: str, cost: int) -> Mapping[str, str]: ...


class RateLimit:
    """A dependency that counts when a limiter is on and does nothing when none is.

    `rate` is a number per period (`100/hour`, `5/second`, `10/15minutes`); routes that share one
    `RateLimit` object or one `scope` share the count. Without a `scope` it is counted under the
    first route that depends on it, so all processes count together.
    """

    def __init__(self, rate: str, *, scope: str | None = None, cost: int = 1) -> None:
        self.rate = rate
        self.scope = scope
        self.cost = cost

    async def __call__(self, connection: HTTPConnection, response: Response) -> None:
        response.headers.update(await self.count(connection))

    async def count(self, connection: HTTPConnection, cost: int | None = None) -> Mapping[str, str]:
        """Count once more, as for each message of a WebSocket.

        Returns the headers to answer with; raises `RateLimitExceeded` when the limit is used up.
        """
        limiter = services_of(connection).get(RateLimiter)
        if limiter is None:
            return {}
        units = self.cost if cost is None else cost
        return await limiter.count(connection, self.rate, scope=self._name(connection), cost=units)

    def _name(self, connection: HTTPConnection) -> str:
        route = connection.scope.get("powerstrip.route")
        if route is not None and self in route.limits:
            return str(route.limits[self])
        return self.scope or f"{self.rate} {connection.scope['path'] if route is None else route.path}"
