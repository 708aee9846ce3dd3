"""Compression."""

import gzip
import sys
import zlib
from itertools import count

import anyio
import brotli
import pytest
import zstandard
from pydantic import ValidationError

from powerstrip_edge.domain.compressible import Compressible
from powerstrip_edge.domain.encodings import PREFERRED, negotiate
from powerstrip_edge.middleware.compression import Compression
from powerstrip_edge.settings import CompressionSettings

TEXT = b"abcdefgh" * 500
DECODERS = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


def streaming_decoder(encoding):
    if encoding == "gzip":
        return zlib.decompressobj(31).decompress
    return (
        brotli.Decompressor().process if encoding == "br" else zstandard.ZstdDecompressor().decompressobj().decompress
    )


def asking(encoding="gzip", *more):
    return [(b"host", b"testserver"), (b"accept-encoding", encoding.encode()), *more]


@pytest.mark.parametrize("encoding", PREFERRED)
async def test_a_client_gets_the_encoding_it_asks_for(compose, call, encoding):
    answer = await call(compose(), "/answer", headers=asking(encoding))

    headers = dict(answer.headers)
    assert headers["content-encoding"] == encoding
    assert int(headers["content-length"]) == len(answer.pieces[0]) < 200
    assert headers["vary"] == "Accept-Encoding"
    assert DECODERS[encoding](answer.pieces[0]) == TEXT


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("br;q=1.0, zstd;q=0.5", "br"),
        ("gzip;q=0.5, br;q=0.5", "br"),
        ("GZIP", "gzip"),
        ("*", "zstd"),
        ("*;q=0.1, gzip;q=0.2", "gzip"),
        ("zstd;q=0, br;q=0, *", "gzip"),
        ("gzip ; q=0.3", "gzip"),
        ("", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("*;q=0", None),
        ("gzip;q=0.2, identity;q=0.8", None),
        ("identity;q=0", None),
        ("deflate", None),
        ("gzip;q=nan", None),
        ("gzip;q=-1", None),
        ("gzip;q=1e309", None),
        ("gzip;q=much", None),
        (",,;;==", None),
    ],
)
def test_weights_decide_and_then_the_servers_preference(accepted, expected):
    assert negotiate(accepted.encode(), PREFERRED) == expected


@pytest.mark.parametrize("accepted", ["identity", "deflate", "gzip;q=0"])
def test_a_client_that_does_not_ask_gets_the_body_as_it_is(start, accepted):
    answer = start().get("/answer", headers={"Accept-Encoding": accepted})

    assert "content-encoding" not in answer.headers
    assert answer.content == TEXT
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_client_that_says_nothing_gets_the_body_as_it_is(compose, call):
    answer = await call(compose(), "/answer")

    assert "content-encoding" not in dict(answer.headers)
    assert answer.pieces[0] == TEXT


async def test_an_endless_accept_encoding_is_not_read(compose, call):
    answer = await call(compose(), "/answer", headers=asking("gzip," * 10_000))

    assert "content-encoding" not in dict(answer.headers)


@pytest.mark.parametrize(("size", "encoding"), [(1023, None), (1024, "gzip")])
async def test_small_bodies_stay_as_they_are(compose, call, size, encoding):
    answer = await call(compose(), f"/answer?size={size}", headers=asking())

    assert dict(answer.headers).get("content-encoding") == encoding


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/problem+json", "text/csv; charset=utf-8", "image/svg+xml", "Application/JSON"],
)
async def test_text_is_compressed(compose, call, media_type):
    answer = await call(compose(), f"/answer?type={media_type.replace('+', '%2B')}", headers=asking())

    assert dict(answer.headers)["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "media_type", ["image/png", "application/zip", "video/mp4", "application/octet-stream", "text/event-stream", "x"]
)
async def test_what_would_not_shrink_or_may_not_wait_is_left_alone(compose, call, media_type):
    answer = await call(compose(), f"/answer?type={media_type}", headers=asking())

    assert "content-encoding" not in dict(answer.headers)
    assert "vary" not in dict(answer.headers)


@pytest.mark.parametrize(
    "query",
    ["Content-Encoding=br", "Cache-Control=no-transform", "status=206", "Content-Encoding=identity"],
)
async def test_a_response_can_refuse(compose, call, query):
    answer = await call(compose(), f"/answer?{query}", headers=asking())

    assert answer.pieces[0] == TEXT


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_stay_without(compose, call, status):
    answer = await call(compose(), f"/answer?status={status}&size=0", headers=asking())

    assert "content-encoding" not in dict(answer.headers)


async def test_head_tells_what_get_depends_on_and_sends_nothing(compose, call):
    answer = await call(compose(), "/answer", method="HEAD", headers=asking())

    assert dict(answer.headers)["vary"] == "Accept-Encoding"
    assert b"".join(answer.pieces) == b""


@pytest.mark.parametrize(("etag", "sent"), [('"a"', 'W/"a"'), ('W/"a"', 'W/"a"')])
async def test_a_strong_etag_becomes_weak(compose, call, etag, sent):
    answer = await call(compose(), f"/answer?ETag={etag}", headers=asking())

    assert [value for name, value in answer.headers if name == "etag"] == [sent]


async def test_ranges_are_not_offered_of_compressed_bodies(compose, call):
    answer = await call(compose(), "/answer?Accept-Ranges=bytes", headers=asking())

    assert "accept-ranges" not in dict(answer.headers)


async def test_vary_of_the_route_is_kept(compose, call):
    answer = await call(compose(), "/answer?Vary=Accept", headers=asking())

    assert [value for name, value in answer.headers if name == "vary"] == ["Accept", "Accept-Encoding"]


@pytest.mark.parametrize("encoding", PREFERRED)
async def test_each_piece_of_a_stream_can_be_decoded_at_once(compose, call, encoding):
    answer = await call(compose(), "/stream", headers=asking(encoding))

    decode = streaming_decoder(encoding)
    decoded = [decode(piece) for piece in answer.pieces]
    assert "content-length" not in dict(answer.headers)
    assert [piece[:7] for piece in decoded[:3]] == [b"piece 0", b"piece 1", b"piece 2"]
    assert all(piece.endswith(b".\n") for piece in decoded[:3])


async def test_events_are_sent_one_by_one_and_as_they_are(compose, call):
    answer = await call(compose(), "/events", headers=asking("gzip, br, zstd"))

    assert "content-encoding" not in dict(answer.headers)
    assert [piece[:7] for piece in answer.pieces[:3]] == [b"data: 0", b"data: 1", b"data: 2"]


async def test_the_event_loop_goes_on_while_a_large_body_is_compressed(compose, call):
    app, ticks = compose(), count()
    done = anyio.Event()
    seen_before_the_end = []

    async def tick():
        while not done.is_set():
            next(ticks)
            await anyio.sleep(0.001)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        answer = await call(app, "/answer?size=30000000", headers=asking())
        seen_before_the_end.append(next(ticks))
        done.set()

    assert len(DECODERS["gzip"](answer.pieces[0])) == 30_000_000
    assert seen_before_the_end[0] > 5


async def test_a_stream_that_fails_before_its_first_piece_is_answered_with_the_problem(compose, call):
    answer = await call(compose(), "/failing", headers=asking())

    assert answer.status == 500
    assert b"InternalServerError" in answer.pieces[0]


async def test_a_stream_that_fails_half_way_is_broken_off(compose, call):
    with pytest.raises(ValueError, match="half way"):
        await call(compose(), "/failing?after=2", headers=asking())


async def test_switched_off_nothing_is_compressed(compose, call):
    answer = await call(compose({"compression": {"enabled": False}}), "/answer", headers=asking())

    assert "content-encoding" not in dict(answer.headers)
    assert "vary" not in dict(answer.headers)


async def test_only_what_is_listed_is_offered(compose, call):
    app = compose({"compression": {"encodings": ["br", "gzip"]}})

    answer = await call(app, "/answer", headers=asking("zstd, gzip, br"))

    assert dict(answer.headers)["content-encoding"] == "br"


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValidationError, match=r"encodings\.0"):
        CompressionSettings.model_validate({"encodings": ["lzma"]})


def test_an_encoding_without_its_library_is_refused_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "brotli", None)  # Python's own way to say: not installed

    with pytest.raises(ValidationError, match=r"pip install 'powerstrip-edge\[brotli\]'"):
        CompressionSettings.model_validate({"encodings": ["br"]})


def test_only_what_is_installed_is_offered_by_default(monkeypatch):
    assert CompressionSettings().offered == ("zstd", "br", "gzip")

    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert CompressionSettings().offered == ("br", "gzip")


async def test_a_file_that_the_server_sends_itself_is_left_alone():
    async def send_path(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.pathsend", "path": "/file"})

    sent = []

    async def send(message):
        sent.append(message)

    worth = Compressible(1024, ["text/*"])
    compression = Compression(send_path, encodings=("gzip",), worth=worth)
    await compression({"type": "http", "method": "GET", "headers": asking()}, None, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.pathsend"]
    assert sent[0]["headers"] == [(b"content-type", b"text/plain")]
