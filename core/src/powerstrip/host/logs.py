"""Structured logs: every line says whose it is and which request it belongs to.

Plugins log with the standard library or structlog, as they like; both end here.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from starlette.types import Scope
from structlog.types import Processor

from powerstrip.host.config.settings import LoggingSettings

# The request being served and the plugin whose lifespan or task is running, for the log lines they cause.
current_scope: ContextVar[Scope | None] = ContextVar("powerstrip_scope", default=None)
current_owner: ContextVar[str | None] = ContextVar("powerstrip_owner", default=None)


@contextmanager
def owned_by(plugin: str) -> Iterator[None]:
    """Attribute what happens inside to a plugin."""
    token = current_owner.set(plugin)
    try:
        yield
    finally:
        current_owner.reset(token)


_REQUEST_KEYS = ("request_id", "trace_id", "span_id")


def configure_logging(settings: LoggingSettings, owners: Mapping[str, str] | None = None) -> None:
    """Send all logs of the process to stderr, as `format` says (`auto`: console on a terminal, else JSON).

    `owners` maps a plugin's package to its name, so that a line is attributed to the plugin that wrote it.
    """
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _Attribution(owners or {}),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(as_json=as_json)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters[:] = [_without_handshakes]
        logger.propagate = name != "uvicorn.access"  # the tracing plugin writes a better one
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


# What uvicorn says of each WebSocket handshake: with its query, which may hold a secret, and wrongly that nothing was
# answered where a refusal was.
_OF_HANDSHAKES = frozenset(
    (
        '%s - "WebSocket %s" [accepted]',
        '%s - "WebSocket %s" 403',
        '%s - "WebSocket %s" %d',
        "ASGI callable returned without completing handshake.",
    )
)


def _without_handshakes(record: logging.LogRecord) -> bool:
    """The tracing plugin logs handshakes, as it does requests."""
    return record.msg not in _OF_HANDSHAKES


class _Attribution:
    """Adds the owning plugin, and the ids of the request being served."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._owners = owners

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        scope = current_scope.get()
        package = str(event.get("logger", "")).partition(".")[0]
        owner = self._owners.get(package) or current_owner.get() or (scope or {}).get("powerstrip.owner")
        if owner:
            event.setdefault("plugin", owner)
        event.pop("color_message", None)  # uvicorn's second copy of its text, for terminals
        state: Mapping[str, Any] = scope.get("state", {}) if scope else {}
        for key in _REQUEST_KEYS:
            if key in state:
                event.setdefault(key, state[key])
        return event


def _rendering(*, as_json: bool) -> list[Processor]:
    if as_json:
        # Frames without local variables: they may hold secrets.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer(default=str)]
    return [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]
