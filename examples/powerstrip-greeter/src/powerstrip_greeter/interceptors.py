"""What looks at every response."""

from powerstrip import Exchange, Interceptor


class Signature(Interceptor):
    """Says who greets here, with every response of the API."""

    def __init__(self, signature: str) -> None:
        self._value = signature.encode("ascii")

    def on_response(self, exchange: Exchange) -> None:
        exchange.response_headers.set_raw(b"x-greeter", self._value)
