"""What an operator can set."""

from typing import Annotated, Literal

from pydantic import Field

from powerstrip import PluginSettings


class HealthSettings(PluginSettings):
    """Settings of the plugin `health`."""

    details: Literal["always", "admin", "never"] = "always"
    """Who sees more than the status: everyone, callers with `details_role`, or no one."""

    details_role: str = "admin"
    """The role that sees details with `details: admin`."""

    cache_ttl: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Seconds for which a check's result is shown again instead of checking anew."""

    max_check_timeout: Annotated[float, Field(gt=0, le=300)] = 5.0
    """Seconds after which every check counts as failed, also one that asked for more. Keep it below the
    timeout of the probes."""

    retry_after: Annotated[int, Field(ge=1)] = 5
    """Seconds after which a client may ask again, sent as `Retry-After` with each 503."""
