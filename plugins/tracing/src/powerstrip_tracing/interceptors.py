"""Gives requests their ids, and responses the headers that tell them."""

import re
from time import perf_counter, time_ns
from typing import Any, ClassVar

from powerstrip import Exchange, Interceptor, RequestHeaders, Stage
from powerstrip_tracing.domain import format_server_timing, new_ids, parse_traceparent, parse_tracestate
from powerstrip_tracing.settings import TracingSettings

_OUR_HEADERS = frozenset((b"x-request-id", b"x-process-time", b"x-timestamp", b"traceparent", b"tracestate"))
# A response head has to stay small whatever a route adds: most servers and proxies stop at 8 KiB.
_MOST_SPANS = 50


class RequestTrace(Interceptor):
    """Finds or makes a request's ids, writes them to its state and sends them with the response.

    State: `request_id`, `trace_id`, `span_id`, `traceparent` (to send to other services),
    `tracestate` (when one came in), `started` (`perf_counter` seconds), `arrived` (Unix seconds) and,
    only while `Server-Timing` is sent, `server_timing`: a list of (name, milliseconds) to append to.
    """

    stage = Stage.OBSERVE
    writes: ClassVar[frozenset[str]] = frozenset(
        ("request_id", "trace_id", "span_id", "traceparent", "tracestate", "started", "arrived", "server_timing")
    )

    def __init__(self, settings: TracingSettings) -> None:
        self.sends_server_timing = settings.server_timing is True
        self._accepts_request_id = settings.accept_request_id
        self._accepts_trace = settings.accept_trace
        self._emits_trace = settings.emit_trace
        self._flags = "01" if settings.sampled else "00"
        alphabet = re.escape(settings.request_id_alphabet).encode("ascii")
        self._is_safe = re.compile(b"[%b]{1,%d}" % (alphabet, settings.request_id_max_length)).fullmatch

    def on_request(self, exchange: Exchange) -> None:
        started, now = perf_counter(), time_ns()
        state, headers = exchange.scope["state"], exchange.headers
        new = new_ids(now)
        trace_id, flags = new.trace_id, self._flags
        given = headers.get_raw(b"traceparent")
        if given is not None and self._accepts_trace:
            trace_id, flags = self._continue(given, headers, state) or (trace_id, flags)
        request_id = headers.get_raw(b"x-request-id")
        if request_id is not None and self._accepts_request_id and self._is_safe(request_id):
            state["request_id"] = request_id.decode("ascii")
        else:
            state["request_id"] = new.request_id
        state["trace_id"] = trace_id
        state["span_id"] = new.span_id
        state["traceparent"] = f"00-{trace_id}-{new.span_id}-{flags}"
        state["started"] = started
        state["arrived"] = now // 1_000_000_000
        if self.sends_server_timing:
            state["server_timing"] = []

    def on_response(self, exchange: Exchange) -> None:
        state, raw = exchange.scope["state"], exchange.response_headers.raw
        if not _OUR_HEADERS.isdisjoint([name for name, _ in raw]):
            raw[:] = [pair for pair in raw if pair[0] not in _OUR_HEADERS]
        duration = perf_counter() - state["started"]
        raw += (
            (b"x-request-id", state["request_id"].encode("ascii")),
            (b"x-process-time", b"%.6f" % duration),
            (b"x-timestamp", b"%d" % state["arrived"]),
        )
        if self._emits_trace:
            raw.append((b"traceparent", state["traceparent"].encode("ascii")))
            if "tracestate" in state:
                raw.append((b"tracestate", state["tracestate"].encode("ascii")))
        if "server_timing" in state:
            spans = [("total", duration * 1000), *state["server_timing"][:_MOST_SPANS]]
            exchange.response_headers.append("server-timing", format_server_timing(spans))

    def _continue(self, given: bytes, headers: RequestHeaders, state: dict[str, Any]) -> tuple[str, str] | None:
        # Two parents are none: which of them is meant can't be known.
        parent = parse_traceparent(given) if len(headers.getlist("traceparent")) == 1 else None
        if parent is None:
            return None
        tracestate = parse_tracestate(headers.getlist("tracestate"))
        if tracestate is not None:
            state["tracestate"] = tracestate
        return parent
