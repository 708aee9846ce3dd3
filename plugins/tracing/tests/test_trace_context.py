"""W3C trace context."""

import re

import pytest

from powerstrip_tracing.domain import parse_traceparent, parse_tracestate

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def parts(answer):
    found = TRACEPARENT.fullmatch(answer.headers["traceparent"])
    assert found
    return found.groups()


def test_a_request_without_a_trace_begins_one(start):
    answer = start().get("/state")

    trace, span, flags = parts(answer)
    assert answer.json()["trace_id"] == trace
    assert answer.json()["span_id"] == span
    assert flags == "01"


def test_the_trace_id_of_a_new_trace_is_the_request_id(start):
    answer = start().get("/plain")

    assert parts(answer)[0] == answer.headers["x-request-id"].replace("-", "")


def test_a_trace_is_continued_with_a_span_of_its_own(start):
    answer = start().get("/state", headers={"traceparent": PARENT, "tracestate": "a=1,b@c=2"})

    trace, span, flags = parts(answer)
    assert (trace, flags) == (TRACE, "01")
    assert span not in (SPAN, "0" * 16)
    assert answer.json()["traceparent"] == answer.headers["traceparent"]
    assert answer.headers["tracestate"] == answer.json()["tracestate"] == "a=1,b@c=2"


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        (PARENT, "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-03", "03"),
        (f"00-{TRACE}-{SPAN}-ff", "03"),
        (f"cc-{TRACE}-{SPAN}-01", "01"),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", "01"),
    ],
)
def test_valid_parents_are_understood(given, flags):
    assert parse_traceparent(given.encode()) == (TRACE, flags)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-0x",
        f"0-{TRACE}-{SPAN}-01",
        f" {PARENT}",
        f"{PARENT}\n",
    ],
)
def test_parents_that_are_not_valid_are_ignored(given):
    assert parse_traceparent(given.encode()) is None


def test_a_parent_that_is_not_valid_drops_the_tracestate_too(start):
    answer = start().get("/state", headers={"traceparent": "garbage", "tracestate": "a=1"})

    assert parts(answer)[0] != TRACE
    assert "tracestate" not in answer.headers
    assert answer.json()["tracestate"] is None


async def test_two_parents_are_none(start, call):
    other = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"

    sent = await call(start().app, "/plain", [(b"traceparent", PARENT.encode()), (b"traceparent", other)])

    emitted = dict(sent[0]["headers"])[b"traceparent"]
    assert TRACE.encode() not in emitted
    assert b"1" * 32 not in emitted


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["a=1"], "a=1"),
        (["a=1", "b=2"], "a=1,b=2"),
        (["a=1 ,\t b=2,,"], "a=1,b=2"),
        (["0tenant@system=x:y z"], "0tenant@system=x:y z"),
        ([",".join(f"k{number}=v" for number in range(32))], ",".join(f"k{number}=v" for number in range(32))),
        ([",".join(f"k{number}=v" for number in range(33))], None),
        (["a=1,a=2"], None),
        (["A=1"], None),
        (["a"], None),
        (["a=" + "x" * 257], None),
        (["a=1\x00"], None),
        (["a=b=c"], None),
        ([""], None),
        ([], None),
    ],
)
def test_tracestate_is_passed_on_whole_or_not_at_all(given, kept):
    assert parse_tracestate(given) == kept


def test_traces_of_clients_can_be_ignored(start):
    answer = start({"accept_trace": False}).get("/plain", headers={"traceparent": PARENT})

    assert parts(answer)[0] != TRACE


def test_new_traces_can_be_left_unmarked(start):
    assert parts(start({"sampled": False}).get("/plain"))[2] == "00"


def test_emitting_can_be_switched_off(start):
    answer = start({"emit_trace": False}).get("/state", headers={"traceparent": PARENT, "tracestate": "a=1"})

    assert "traceparent" not in answer.headers
    assert "tracestate" not in answer.headers
    assert answer.json()["trace_id"] == TRACE


def test_a_websocket_is_part_of_the_trace(start):
    with start().websocket_connect("/ws/a", headers={"traceparent": PARENT}) as socket:
        assert socket.receive_json()["trace_id"] == TRACE
