"""What edge brings to the host."""

from collections.abc import Sequence

from powerstrip import Finding, Interceptor, Middleware, Plugin, Stage, hookimpl
from powerstrip_edge.domain.compressible import Compressible
from powerstrip_edge.interceptors.body_size import BodyLength
from powerstrip_edge.interceptors.cors import CrossOrigin
from powerstrip_edge.interceptors.hosts import TrustedHosts
from powerstrip_edge.interceptors.proxies import TrustedProxies
from powerstrip_edge.interceptors.security_headers import SecurityHeaders
from powerstrip_edge.interceptors.sessions import SessionCookie
from powerstrip_edge.middleware.body_size import BodyLimit
from powerstrip_edge.middleware.compression import Compression
from powerstrip_edge.settings import EdgeSettings, weaknesses


class Edge(Plugin[EdgeSettings]):
    """Hardens the way between strangers and the API, and compresses what goes back."""

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        """Only what is switched on, outermost first: refusals carry the headers of what stands before them."""
        settings = self.settings
        interceptors: list[Interceptor] = []
        if settings.proxies.networks or settings.proxies.unix_sockets:
            interceptors.append(TrustedProxies(settings))
        if settings.security_headers.enabled:
            interceptors.append(SecurityHeaders(settings))
        if settings.hosts:
            interceptors.append(TrustedHosts(settings))
        if settings.cors.enabled:
            interceptors.append(CrossOrigin(settings))
        if self._limits_bodies:
            interceptors.append(BodyLength(settings))
        if settings.session.keys:
            interceptors.append(SessionCookie(settings))
        return interceptors

    @hookimpl
    def register_middleware(self) -> Sequence[Middleware]:
        middleware: list[Middleware] = []
        if self._limits_bodies:
            middleware.append(Middleware(BodyLimit, Stage.EDGE, reads=frozenset(("body_limit",))))
        compression = self.settings.compression
        if compression.enabled and compression.offered:
            worth = Compressible(compression.minimum_size, compression.media_types)
            middleware.append(Middleware(Compression, Stage.CONTENT, encodings=compression.offered, worth=worth))
        return middleware

    @hookimpl
    def register_findings(self) -> Sequence[Finding]:
        return list(weaknesses(self.settings))

    @property
    def _limits_bodies(self) -> bool:
        return self.settings.max_body_size is not None or bool(self.settings.max_body_sizes)
