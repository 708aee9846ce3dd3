"""Sessions that live in a signed cookie."""

import hashlib
import json
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from powerstrip_edge.errors import SessionError

# Browsers keep 4096 bytes of name, value and attributes (RFC 6265, 6.1); attributes take about 150.
_LONGEST_COOKIE = 3900
# Cookies of one name that a browser sends for several paths or domains: the first with our signature counts.
_MOST_COOKIES = 5


class SessionSeal:
    """Signs what a session holds, and opens what was signed: anyone can read it, nobody can change it.

    The first key signs; the others are still accepted, so that a key can be changed while sessions last.
    """

    def __init__(self, keys: Sequence[str], cookie: str, max_age: int) -> None:
        self._max_age = max_age
        self._serializer = URLSafeTimedSerializer(
            list(reversed(keys)),  # itsdangerous signs with the last
            salt=f"powerstrip_edge.session.{cookie}",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, data: dict[str, Any]) -> str:
        """The cookie's value. Raises SessionError for what isn't JSON or is too much for a cookie."""
        try:
            text = self._serializer.dumps(data)
        except (TypeError, ValueError) as error:
            raise SessionError(f"the session can only hold JSON values: {error}") from None
        text = text if isinstance(text, str) else text.decode("ascii")
        if len(text) > _LONGEST_COOKIE:
            raise SessionError(
                f"the session takes {len(text)} bytes, a cookie holds {_LONGEST_COOKIE}: "
                "keep the data elsewhere and its key in the session"
            )
        return text

    def open(self, text: str) -> dict[str, Any] | None:
        """What the cookie holds; None when it was tampered with, is too old or isn't ours."""
        try:
            data = self._serializer.loads(text, max_age=self._max_age)
        except BadData:
            return None
        return data if isinstance(data, dict) else None


class Session(MutableMapping[str, Any]):
    """`request.session`: opened when it is first looked at, so that requests that don't use it don't pay for it."""

    def __init__(self, seal: SessionSeal, cookies: Sequence[str]) -> None:
        """`cookies` are the values of the session cookie that came with the request."""
        self._seal = seal
        self._cookies = cookies
        self._data: dict[str, Any] | None = None
        self._as_received = "{}"

    @property
    def is_used(self) -> bool:
        return self._data is not None

    @property
    def had_cookie(self) -> bool:
        return bool(self._cookies)

    @property
    def is_changed(self) -> bool:
        """Whether what it holds is not what came in, changes deep inside included."""
        return self._data is not None and _as_json(self._data) != self._as_received

    def sign(self) -> str:
        """The cookie's value. Raises SessionError."""
        return self._seal.sign(self._opened())

    def _opened(self) -> dict[str, Any]:
        if self._data is None:
            opened = map(self._seal.open, self._cookies[:_MOST_COOKIES])
            self._data = next((data for data in opened if data is not None), {})
            self._as_received = _as_json(self._data)
        return self._data

    def __getitem__(self, key: str) -> Any:
        return self._opened()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._opened()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._opened()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._opened())

    def __len__(self) -> int:
        return len(self._opened())

    def __repr__(self) -> str:
        return "<Session>"  # what it holds may be personal


def _as_json(data: dict[str, Any]) -> str:
    # What isn't JSON is a change, and signing it then says what is wrong.
    return json.dumps(data, default=repr)
