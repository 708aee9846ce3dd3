"""What can be wrong with a connection, a message or a request.

Each is a Problem: before a WebSocket is accepted it is a real HTTP answer, inside one it is the `error` of a reply.

    Unauthorized 401              Forbidden 403             RateLimitExceeded 429
    ├── SignInRequired            ├── OriginNotAllowed      └── TooManyConnections
    └── InvalidTicket             ├── NotYourConnection
                                  └── TopicForbidden
    NotFound 404                  BadRequest 400            ServiceUnavailable 503
    ├── UnknownTopic              ├── InvalidMessage        ├── InboxUnavailable
    └── UnknownNotification       ├── InvalidPosition       └── TicketsUnavailable
                                  └── TooManyTopics
"""

from powerstrip import BadRequest, Forbidden, NotFound, RateLimitExceeded, ServiceUnavailable, Unauthorized


class SignInRequired(Unauthorized):
    message = "Sign in to connect: with the Authorization header, a ticket, a subprotocol or the first message."


class InvalidTicket(Unauthorized):
    message = "The ticket is not valid, was used already or has expired."


class OriginNotAllowed(Forbidden):
    message = "Pages of this origin may not connect."


class NotYourConnection(Forbidden):
    message = "This address is another user's."


class TopicForbidden(Forbidden):
    message = "You may not subscribe to this topic."


class TooManyConnections(RateLimitExceeded):
    message = "There are too many connections."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers={"Retry-After": "10"}, extra={"retry_after": 10})


class UnknownTopic(NotFound):
    message = "There is no such topic."


class UnknownNotification(NotFound):
    message = "There is no such notification."


class InvalidMessage(BadRequest):
    message = "The message can't be read."


class InvalidPosition(BadRequest):
    message = "The position can't be read: it is the id of the last event that was received."


class TooManyTopics(BadRequest):
    message = "There are too many topics on this connection."


class InboxUnavailable(ServiceUnavailable):
    message = "Notifications are not kept here: that needs the plugin 'database'."


class TicketsUnavailable(ServiceUnavailable):
    message = "Tickets can't be checked at the moment."
