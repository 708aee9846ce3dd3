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
    headers to answer with; it raises `RateLimitExceeded` when the limit is used up.
    """

    async def count(self, connection: HTTPConnection, rate: str, *, scope: str, cost: int) -> Mapping[str, str]: ...


class RateLimit:
    """A dependency that counts when a limiter is on and does nothing when none is.

    `rate` is a number per period (`100/hour`, `5/second`, `10/15minutes`); routes that share one
    `RateLimit` object or one `scope` share the count.
    """

    def __init__(self, rate: str, *, scope: str | None = None, cost: int = 1) -> None:
        self.rate = rate
        self.scope = scope or f"RateLimit({rate})@{id(self):x}"
        self.cost = cost

    async def __call__(self, connection: HTTPConnection, response: Response) -> None:
        limiter = services_of(connection).get(RateLimiter)
        if limiter is not None:
            response.headers.update(await limiter.count(connection, self.rate, scope=self.scope, cost=self.cost))
