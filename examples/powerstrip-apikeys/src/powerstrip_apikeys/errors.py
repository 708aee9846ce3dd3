"""What apikeys refuses, as answers."""

from powerstrip import Unauthorized


class InvalidApiKey(Unauthorized):
    """A key was sent, and nobody holds it."""

    message = "The API key is not valid."

    def __init__(self) -> None:
        # RFC 6750, 3: the challenge tells a client that it needs another key, not that it forgot to send one.
        super().__init__(headers={"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'})
