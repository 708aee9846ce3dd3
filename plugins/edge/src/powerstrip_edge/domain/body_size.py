"""How large a request body may be."""

from collections.abc import Mapping

from starlette.types import Scope

from powerstrip import PayloadTooLarge


class BodyLimits:
    """Bytes that a body may have: the limit of the longest prefix, in whole segments, that a path begins with."""

    def __init__(self, default: int | None, by_prefix: Mapping[str, int | None]) -> None:
        self._default = default
        prefixes = sorted(by_prefix, key=len, reverse=True)
        self._by_prefix = tuple((prefix.rstrip("/") + "/", by_prefix[prefix]) for prefix in prefixes)

    def of(self, path: str) -> int | None:
        """The limit for a path, None for none."""
        if self._by_prefix:
            whole = path.rstrip("/") + "/"
            for prefix, limit in self._by_prefix:
                if whole.startswith(prefix):
                    return limit
        return self._default


def too_large(scope: Scope, limit: int) -> PayloadTooLarge:
    """The problem that says so."""
    return PayloadTooLarge(f"The request body may have {limit} bytes at most.", headers=hanging_up(scope))


def hanging_up(scope: Scope) -> dict[str, str]:
    """Headers that end the connection with the answer, as nobody will read the rest of the body.

    HTTP/2 has no such header (RFC 9113, 8.2.2), and ends the stream alone.
    """
    return {"Connection": "close"} if scope["http_version"] < "2" else {}
