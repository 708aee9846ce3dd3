"""Counting requests, and telling how much is left."""

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_ratelimit.service import STATE, Admission, Limiter

_OURS = frozenset(
    (b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset", b"ratelimit-policy", b"ratelimit")
)


class RateLimits(Interceptor):
    """Asks the limiter about each request, when it is known who sent it and before anything else is done for it."""

    stage = Stage.GUARD
    reads = frozenset(("client", "identity"))
    writes = frozenset((STATE,))

    def __init__(self) -> None:
        self.limiter: Limiter | None = None
        """There while the plugin runs."""

    async def on_request(self, exchange: Exchange) -> None:
        if self.limiter is not None:
            await self.limiter.admit(exchange)

    def on_response(self, exchange: Exchange) -> None:
        admission: Admission | None = exchange.scope["state"].get(STATE)
        if admission is None or not admission.rules or self.limiter is None:
            return
        raw = exchange.response_headers.raw
        for name, _ in raw:
            if name in _OURS:  # a mounted application may have limits of its own, which are not these
                raw[:] = [pair for pair in raw if pair[0] not in _OURS]
                break
        raw += self.limiter.headers(admission.entries)
