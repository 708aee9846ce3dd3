"""Content codings: which one a client gets, and how each is made."""

import zlib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, Protocol

Encoding = Literal["zstd", "br", "gzip"]
PREFERRED: tuple[Encoding, ...] = ("zstd", "br", "gzip")

# Levels that cost about as much as sending what they save on a fast line.
_GZIP_LEVEL, _BROTLI_QUALITY, _ZSTD_LEVEL = 5, 4, 3


class Encoder(Protocol):
    """Makes one response's body smaller, piece by piece."""

    def compress(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes:
        """Everything so far, so that the client can decode it at once."""
        ...

    def finish(self) -> bytes: ...


def is_available(encoding: Encoding) -> bool:
    """Whether the library that makes this encoding is installed; gzip needs none."""
    return encoding == "gzip" or find_spec({"zstd": "zstandard", "br": "brotli"}[encoding]) is not None


def new_encoder(encoding: Encoding) -> Encoder:
    """An encoder for one response."""
    encoders: dict[Encoding, type[Encoder]] = {"gzip": _Gzip, "br": _Brotli, "zstd": _Zstd}
    return encoders[encoding]()


def negotiate(accepted: bytes, offered: Sequence[Encoding]) -> Encoding | None:
    """The encoding for an `Accept-Encoding` header (RFC 9110, 12.5.3), None for the body as it is.

    The client's weights decide, among equals the order of `offered`. A client that refuses even the
    plain body gets it all the same: RFC 9110 allows that, and it is better than no answer.
    """
    weights = dict(_weighted(part) for part in accepted.decode("latin-1").lower().split(","))
    anything = weights.get("*", 0.0)
    best = max(offered, key=lambda encoding: weights.get(encoding, anything), default=None)
    if best is None or weights.get(best, anything) <= 0:
        return None
    plain = weights.get("identity", 0.0)
    return best if weights.get(best, anything) >= plain else None


def _weighted(part: str) -> tuple[str, float]:
    coding, _, parameters = part.partition(";")
    name, _, value = parameters.strip().partition("=")
    try:
        weight = float(value) if name.strip() == "q" else 1.0
    except ValueError:
        weight = 0.0
    # Weights go from 0 to 1; any other, "nan" too, is none.
    return coding.strip(), weight if 0 <= weight <= 1 else 0.0


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def compress(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def flush(self) -> bytes:
        return self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush()


class _Brotli:
    def __init__(self) -> None:
        self._stream: Any = import_module("brotli").Compressor(quality=_BROTLI_QUALITY)

    def compress(self, data: bytes) -> bytes:
        return bytes(self._stream.process(data))

    def flush(self) -> bytes:
        return bytes(self._stream.flush())

    def finish(self) -> bytes:
        return bytes(self._stream.finish())


class _Zstd:
    def __init__(self) -> None:
        zstandard: Any = import_module("zstandard")
        self._stream: Any = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def compress(self, data: bytes) -> bytes:
        return bytes(self._stream.compress(data))

    def flush(self) -> bytes:
        return bytes(self._stream.flush(self._block))

    def finish(self) -> bytes:
        return bytes(self._stream.flush())
