"""What ratelimit brings to the host."""

from powerstrip import Plugin
from powerstrip_ratelimit.settings import RatelimitSettings


class Ratelimit(Plugin[RatelimitSettings]):
    """Limits how much each client may ask for."""

    wants = ("identity", "edge", "redis")
