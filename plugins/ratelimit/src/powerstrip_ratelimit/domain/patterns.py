"""Which routes an operator means: `POST /api/v1/users/`, `/api/v1/exports/{source}`, `WEBSOCKET /ws`, `/health*`."""

import re
from dataclasses import dataclass

from powerstrip import RouteInfo

PATTERN_FORM = r"^([A-Z]+ )?/[!-~]*$"
WEBSOCKET = "WEBSOCKET"

_PARAMETER = re.compile(r"{[^}]*}")


@dataclass(frozen=True)
class RoutePattern:
    """A route's whole path template, maybe with a method before it; `*` stands for any characters.

    Parameters may have any name, and a slash at the end makes no difference.
    """

    text: str
    method: str | None
    path: re.Pattern[str]

    def matches(self, route: RouteInfo, method: str) -> bool:
        """Whether it means this route, when it is called with this method."""
        return self.method in (None, plain_method(method)) and self.means(route.path)

    def means(self, path: str) -> bool:
        """Whether it means a route of this path template."""
        return self.path.fullmatch(_shape(path)) is not None

    def __str__(self) -> str:
        return self.text


def parse_pattern(text: str) -> RoutePattern:
    """The pattern that a text states; raises ValueError for what is none."""
    if not re.fullmatch(PATTERN_FORM, text):
        raise ValueError(f"'{text}' means no route: write a path template, maybe with a method: POST /api/v1/users/")
    method, _, path = text.rpartition(" ")
    parts = (re.escape(part) for part in _shape(path).split("*"))
    return RoutePattern(text, plain_method(method) or None, re.compile(".*".join(parts), re.DOTALL))


def plain_method(method: str) -> str:
    """The method, with HEAD as the GET that it is (RFC 9110, 9.3.2)."""
    return "GET" if method == "HEAD" else method


def methods_of(route: RouteInfo) -> frozenset[str]:
    """The methods that reach a route; empty for mounts, which take all."""
    return frozenset((WEBSOCKET,)) if route.is_websocket else route.methods or frozenset()


def _shape(path: str) -> str:
    return _PARAMETER.sub("{}", path).rstrip("/") or "/"
