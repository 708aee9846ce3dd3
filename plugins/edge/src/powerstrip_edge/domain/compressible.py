"""Which responses are worth compressing."""

import re
from collections.abc import Iterable
from fnmatch import translate

from starlette.types import Message

# No body, or a part of one whose bytes are counted (RFC 9110, 15.3.5, 15.3.7, 15.4.5).
_BODILESS = frozenset((204, 205, 206, 304))
# Events have to arrive one by one, and proxies and browsers buffer what is compressed.
_NEVER = "text/event-stream"


class Compressible:
    """Responses of some media types (`*` stands for any characters), from a size on, that aren't encoded yet."""

    def __init__(self, minimum_size: int, media_types: Iterable[str]) -> None:
        self.minimum_size = minimum_size
        types = "|".join(map(translate, media_types)) or r"(?!)"
        self._fits = re.compile(f"(?!{re.escape(_NEVER)})(?:{types})", re.IGNORECASE).match

    def allows(self, head: Message) -> bool:
        """Whether the response with this head (`http.response.start`) may be compressed."""
        headers = dict(head.get("headers", ()))
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) < self.minimum_size:
            return False
        if head["status"] in _BODILESS or b"content-encoding" in headers:
            return False
        # RFC 9110, 7.7: no intermediary, and no more we, may change what says so.
        if b"no-transform" in headers.get(b"cache-control", b""):
            return False
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip()
        return self._fits(media_type.decode("latin-1")) is not None
