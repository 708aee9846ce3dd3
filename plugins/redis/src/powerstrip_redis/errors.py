"""What can go wrong with the server as a whole.

    ServiceUnavailable (a Problem, 503)
    └── RedisUnavailable              with `Retry-After`; `cause` says why

    redis.exceptions.ConnectionError
    └── NoFreeConnection              the pool stayed dry for `pool_timeout`

What is wrong with one command stays redis-py's: `redis.exceptions.ResponseError` and its kind.
"""

from enum import Enum

from redis.exceptions import ConnectionError as RedisConnectionError

from powerstrip import ServiceUnavailable


class Cause(Enum):
    """Why the server can't be asked."""

    AWAY = "the server can't be reached, or does not answer"
    BUSY = "no connection got free in time"


class RedisUnavailable(ServiceUnavailable):
    """The server can't be asked at the moment. A command that was under way may have run or not."""

    message = "A part of this API is not available at the moment."

    def __init__(self, cause: Cause, retry_after: int) -> None:
        """`retry_after` is in seconds."""
        self.cause = cause
        super().__init__(headers={"Retry-After": str(retry_after)}, extra={"retry_after": retry_after})


class NoFreeConnection(RedisConnectionError):
    """All connections of the pool were in use for as long as a caller may wait. The server may be fine."""
