"""Request ids."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from powerstrip_tracing.domain import new_ids
from powerstrip_tracing.settings import TracingSettings

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SAFE = re.compile(rb"[A-Za-z0-9._~-]{1,128}")


def test_a_request_without_an_id_gets_one(start):
    assert UUID7.fullmatch(start().get("/plain").headers["x-request-id"])


def test_a_safe_id_is_taken_over(start):
    answer = start().get("/state", headers={"X-Request-ID": "order-42.retry~1"})

    assert answer.headers["x-request-id"] == "order-42.retry~1"
    assert answer.json()["request_id"] == "order-42.retry~1"


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"a b",
        b"a,b",
        b"a;b",
        b'"a"',
        b"<script>",
        b"a\x1b[31m",
        b"a\r\nX-Evil: 1",
        b"a\x00",
        b"\xe4",
        b"${jndi:x}",
        b"a" * 129,
    ],
)
async def test_an_id_that_is_not_safe_is_replaced(start, call, given):
    sent = await call(start().app, "/state", [(b"x-request-id", given)])

    ids = [value for name, value in sent[0]["headers"] if name == b"x-request-id"]
    assert len(ids) == 1
    assert UUID7.fullmatch(ids[0].decode())
    assert ids[0] in sent[1]["body"]


@pytest.fixture
def app(start):
    return start().app


# The application keeps nothing of a request, so that one will do for all examples.
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(given=st.binary(max_size=150))
def test_whatever_comes_in_only_safe_ids_go_out(app, call, given):
    head = anyio.run(call, app, "/plain", [(b"x-request-id", given)])[0]

    request_id = dict(head["headers"])[b"x-request-id"]
    assert SAFE.fullmatch(request_id)
    assert request_id == given or not SAFE.fullmatch(given)


def test_alphabet_and_length_can_be_set(start):
    client = start({"request_id_alphabet": "0123456789^-+", "request_id_max_length": 4})

    def taken(request_id):
        return client.get("/plain", headers={"X-Request-ID": request_id}).headers["x-request-id"] == request_id

    assert taken("1^-+")
    assert not taken("12345")
    assert not taken("a")
    assert not taken("1.2")


def test_ids_of_clients_can_be_ignored(start):
    answer = start({"accept_request_id": False}).get("/plain", headers={"X-Request-ID": "mine"})

    assert UUID7.fullmatch(answer.headers["x-request-id"])


def test_an_id_that_a_route_sets_is_replaced_and_not_doubled(start):
    answer = start().get("/headers?X-Request-ID=other&X-Process-Time=0&Traceparent=x", headers={"X-Request-ID": "mine"})

    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert len(answer.headers.get_list("x-process-time")) == 1
    assert len(answer.headers.get_list("traceparent")) == 1


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/broken", 500), ("/teapot", 418)])
def test_errors_carry_the_id_in_header_and_body(start, path, status):
    answer = start().get(path)

    assert answer.status_code == status
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_a_request_refused_by_another_plugin_carries_the_id(start):
    answer = start(plugins={"edge": {"hosts": ["api.example.com"]}}).get("/plain")

    assert answer.status_code == 400
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_requests_at_the_same_time_keep_their_own_ids(start):
    client = start()

    def ask(number):
        answer = client.get("/state", headers={"X-Request-ID": f"id-{number}"})
        return answer.json()["request_id"] == answer.headers["x-request-id"] == f"id-{number}"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_an_accepted_websocket_carries_the_id_in_header_and_state(start):
    with start().websocket_connect("/ws/a", headers={"X-Request-ID": "mine"}) as socket:
        assert socket.receive_json()["request_id"] == "mine"
        assert [value for name, value in socket.extra_headers if name == b"x-request-id"] == [b"mine"]
        assert (b"x-room", b"a") in socket.extra_headers


def test_new_ids_sort_by_time_and_differ():
    now = time.time_ns()
    ids = [new_ids(now + number * 1_000_000) for number in range(1000)]

    assert [new.request_id for new in ids] == sorted(new.request_id for new in ids)
    assert len({new.span_id for new in ids}) == 1000
    assert all(UUID7.fullmatch(new.request_id) for new in ids)
    assert int(ids[0].trace_id[:12], 16) == now // 1_000_000


@pytest.mark.parametrize("alphabet", ["", "a b", "a\n", 'a"', "ä", "a,b", "a;"])
def test_an_alphabet_that_could_end_a_header_or_a_log_field_is_refused(alphabet):
    with pytest.raises(ValidationError):
        TracingSettings.model_validate({"request_id_alphabet": alphabet})
