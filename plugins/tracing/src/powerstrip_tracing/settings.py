"""What an operator can set."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from powerstrip import PluginSettings

# Visible ASCII without what separates or quotes values in headers, log lines and query strings.
_SAFE_CHARACTERS = r"^[A-Za-z0-9!#$%*+./:@^_|~-]+$"


class TracingSettings(PluginSettings):
    """Settings of the plugin `tracing`."""

    accept_request_id: bool = True
    """Take over a client's `X-Request-ID` when it is safe. Off: every request gets a new one."""

    request_id_alphabet: Annotated[str, Field(json_schema_extra={"pattern": _SAFE_CHARACTERS})] = (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"
    )
    """The characters a client's request id may hold; an id with any other is replaced."""

    request_id_max_length: Annotated[int, Field(ge=1, le=256)] = 128
    """The longest id taken over from a client; a longer one is replaced."""

    accept_trace: bool = True
    """Continue the trace of a client's `traceparent` and `tracestate`. Off: each request begins a trace."""

    emit_trace: bool = True
    """Send `traceparent`, and the `tracestate` that came in, with each response."""

    sampled: bool = True
    """Mark traces that begin here as recorded: tracers further down follow the mark."""

    server_timing: Literal["auto"] | bool = "auto"
    """Send `Server-Timing`. It tells strangers about the inside, so `auto` sends it with `app.debug` only."""

    access_log: bool = True
    """Log one line per request, when its last byte is out."""

    access_log_exclude: tuple[str, ...] = ("/health*",)
    """Paths that are not logged; `*` stands for any characters."""

    access_log_query: bool = False
    """Log query strings too. They often carry secrets."""

    @field_validator("request_id_alphabet")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if not re.fullmatch(_SAFE_CHARACTERS, value):
            raise ValueError("only letters, digits and !#$%*+./:@^_|~- are safe in headers and logs")
        return value
