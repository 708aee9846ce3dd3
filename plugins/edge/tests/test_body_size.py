"""Body-size limits."""

import socket
from collections.abc import Callable, Iterator
from itertools import repeat
from urllib.parse import urlsplit

import pytest

from powerstrip import PayloadTooLarge
from powerstrip_edge.domain.body_size import BodyLimits

LIMIT = 100
HOST = (b"host", b"testserver")
CHUNKED = [HOST, (b"transfer-encoding", b"chunked")]
JSON = (b"content-type", b"application/json")


def assert_too_large(answer):
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "PayloadTooLarge"
    assert str(LIMIT) in answer.json()["error"]["message"]
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_of_the_allowed_size_is_read(start):
    assert start({"max_body_size": LIMIT}).post("/size", content=b"x" * LIMIT).json() == LIMIT


def test_one_byte_more_is_refused(start):
    assert_too_large(start({"max_body_size": LIMIT}).post("/size", content=b"x" * (LIMIT + 1)))


@pytest.mark.parametrize("path", ["/size", "/json", "/stubborn"])
def test_a_chunked_body_is_refused_whatever_the_route_makes_of_it(start, path):
    headers = {"Content-Type": "application/json"}
    pieces = iter([b'{"a": "', *repeat(b"x" * 40, 10), b'"}'])

    assert_too_large(start({"max_body_size": LIMIT}).post(path, content=pieces, headers=headers))


def test_a_chunked_body_of_the_allowed_size_is_read(start):
    assert start({"max_body_size": LIMIT}).post("/size", content=iter([b"x" * 50] * 2)).json() == LIMIT


async def test_no_more_than_the_limit_is_read(compose, call):
    handed_out = []

    def endless() -> Iterator[bytes]:
        while True:
            handed_out.append(60)
            yield b"x" * 60

    answer = await call(compose({"max_body_size": LIMIT}), "/size", method="POST", headers=CHUNKED, pieces=endless())

    assert answer.status == 413
    assert sum(handed_out) == 120


async def test_a_body_is_counted_even_if_its_length_was_a_lie(compose, call):
    headers = [HOST, (b"content-length", b"5")]

    answer = await call(
        compose({"max_body_size": LIMIT}), "/size", method="POST", headers=headers, pieces=iter([b"x" * 101])
    )

    assert answer.status == 413


async def test_bodies_over_http_2_are_counted_without_any_length(compose, call):
    pieces = iter([b"x" * 101])

    answer = await call(
        compose({"max_body_size": LIMIT}), "/size", method="POST", headers=[HOST], pieces=pieces, http_version="2"
    )

    assert answer.status == 413
    assert "connection" not in dict(answer.headers)


async def test_an_answer_that_has_begun_is_broken_off(compose, call):
    app = compose({"max_body_size": LIMIT})

    with pytest.raises(PayloadTooLarge):
        await call(app, "/half", method="POST", headers=CHUNKED, pieces=iter([b"x" * 101]))


@pytest.mark.parametrize("length", [b"abc", b"-1", b"+1", b"1.0", b"", b"0x10", b"1" * 19, "²".encode("latin-1")])
async def test_a_length_that_is_no_number_is_refused(compose, call, length):
    answer = await call(compose(), "/size", method="POST", headers=[HOST, (b"content-length", length)])

    assert answer.status == 400
    assert b"InvalidBodyLength" in answer.pieces[0]


@pytest.mark.parametrize(
    "more", [(b"transfer-encoding", b"chunked"), (b"content-length", b"6")], ids=["chunked too", "another length"]
)
async def test_a_body_with_two_ends_is_refused(compose, call, more):
    answer = await call(compose(), "/size", method="POST", headers=[HOST, (b"content-length", b"5"), more])

    assert answer.status == 400
    assert ("connection", "close") in [(name.lower(), value) for name, value in answer.headers]


def test_a_path_can_have_a_limit_of_its_own(start):
    client = start({"max_body_size": LIMIT, "max_body_sizes": {"/avatars": 200, "/avatars/new": 300}})

    assert client.post("/avatars/new", content=b"x" * 300).json() == 300
    assert client.post("/avatars/new", content=b"x" * 301).status_code == 413
    assert client.post("/size", content=b"x" * 101).status_code == 413


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/a", 1), ("/a/", 1), ("/a/b", 2), ("/a/b/c", 2), ("/ab", 0), ("/", 0), ("/free", None), ("/free/x", None)],
)
def test_the_longest_prefix_of_whole_segments_counts(path, limit):
    assert BodyLimits(0, {"/a": 1, "/a/b/": 2, "/free": None}).of(path) == limit


def test_the_default_is_ten_mebibytes(start):
    client = start()

    assert client.post("/size", content=b"x" * (10 * 1024 * 1024)).status_code == 200
    assert client.post("/size", content=b"x" * (10 * 1024 * 1024 + 1)).status_code == 413


def test_null_is_no_limit(start):
    content = b"x" * (11 * 1024 * 1024)

    assert start({"max_body_size": None}).post("/size", content=content).json() == len(content)


@pytest.fixture
def connect(powerstrip_served, sample) -> Iterator[Callable[[], socket.socket]]:
    """Connections to a real server."""
    plugins = {"edge": {"max_body_size": LIMIT}, "edge_sample": True}
    with powerstrip_served(plugins, extra=sample) as base_url:
        address = urlsplit(base_url)
        yield lambda: socket.create_connection((address.hostname, address.port), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def test_a_server_refuses_before_the_body_is_sent_and_hangs_up(connect):
    with connect() as connection:
        connection.sendall(b"POST /size HTTP/1.1\r\nHost: testserver\r\nContent-Length: 1000000000000\r\n\r\n")
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PayloadTooLarge" in answer


def test_a_client_that_asks_first_is_not_told_to_go_on(connect):
    with connect() as connection:
        connection.sendall(
            b"POST /size HTTP/1.1\r\nHost: testserver\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_server_ends_an_endless_chunked_body(connect):
    sent = 0
    with connect() as connection:
        connection.sendall(b"POST /size HTTP/1.1\r\nHost: testserver\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < 50_000_000:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
        except OSError:
            pass

    assert sent < 50_000_000


def test_a_server_says_what_was_wrong_with_a_chunked_body(connect):
    with connect() as connection:
        connection.sendall(b"POST /size HTTP/1.1\r\nHost: testserver\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"65\r\n" + b"x" * 101 + b"\r\n")
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_the_connection_lives_on_after_an_allowed_body(connect):
    request = b"POST /size HTTP/1.1\r\nHost: testserver\r\nContent-Length: 3\r\n\r\nabc"
    with connect() as connection:
        connection.sendall(request)
        first = connection.recv(65536)
        connection.sendall(request)
        second = connection.recv(65536)

    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")
