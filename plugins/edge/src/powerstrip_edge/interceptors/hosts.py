"""Refuses requests for hosts that aren't ours."""

import re
from fnmatch import translate

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_edge.domain.hosts import HostRules
from powerstrip_edge.errors import HostNotAllowed
from powerstrip_edge.settings import EdgeSettings


class TrustedHosts(Interceptor):
    """Answers 400 unless there is exactly one `Host` header (RFC 9112, 3.2), and it names this server."""

    stage = Stage.EDGE

    def __init__(self, settings: EdgeSettings) -> None:
        self._allow = HostRules(settings.hosts).allow
        self._is_exempt = re.compile("|".join(map(translate, settings.hosts_exempt)) or r"(?!)").match

    def on_request(self, exchange: Exchange) -> None:
        scope = exchange.scope
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if (len(hosts) != 1 or not self._allow(hosts[0])) and not self._is_exempt(scope["path"]):
            raise HostNotAllowed
