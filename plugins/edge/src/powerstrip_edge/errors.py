"""What edge refuses, and what it can't do.

Problem
├── BadRequest 400
│   ├── HostNotAllowed
│   └── InvalidBodyLength
└── Forbidden 403
    └── OriginNotAllowed
PowerstripError
└── SessionError
"""

from powerstrip import BadRequest, Forbidden, PowerstripError


class HostNotAllowed(BadRequest):
    """The `Host` header names something this server doesn't answer for."""

    message = "The Host header is missing, not valid, or not a name that this server answers for."


class InvalidBodyLength(BadRequest):
    """The headers don't agree on where the body ends (RFC 9112, 6.3): a sign of request smuggling."""

    message = "The length of the request body can't be told from its headers."


class OriginNotAllowed(Forbidden):
    """A preflight from an origin that may not use this API."""

    message = "Pages of this origin may not use this API."


class SessionError(PowerstripError):
    """A path operation put something into the session that a cookie can't hold."""
