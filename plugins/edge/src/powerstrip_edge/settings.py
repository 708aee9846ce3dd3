"""What an operator can set."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, SecretStr, field_validator, model_validator
from pydantic_core import CoreSchema, core_schema

from powerstrip import Finding, PluginSettings
from powerstrip_edge.domain.encodings import PREFERRED, Encoding, is_available
from powerstrip_edge.domain.hosts import split_host
from powerstrip_edge.domain.origins import origin_matcher


@dataclass(frozen=True)
class Form:
    """What a text looks like: editors read the pattern from the JSON Schema, operators the words in a finding."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"expected {self.words}")
        return value


Host = Annotated[
    str,
    Form(
        r"^((\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$",
        "a name like api.example.com, *.example.com or [::1], with or without a port; no scheme and no path",
    ),
]
Origin = Annotated[
    str,
    Form(
        r"^(\*|null|[a-z][a-z0-9+.-]*://[a-z0-9_.:\[\]-]+)$",
        "an origin as browsers send it, like https://app.example.com: lower case, no path, no '/' at the end",
    ),
]
Token = Annotated[str, Form(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "one name, without spaces or separators")]
HeaderValue = Annotated[str, Form(r"^[!-~]([ -~]*[!-~])?$", "a header's value: one line of ASCII characters")]
PathPrefix = Annotated[str, Form(r"^/.*$", "a path that begins with '/'")]
CookiePath = Annotated[str, Form(r"^/[!-:<-~]*$", "a path that begins with '/', without spaces and ';'")]
Domain = Annotated[str, Form(r"^[A-Za-z0-9.-]+$", "a domain like example.com")]
Key = Annotated[SecretStr, Field(min_length=32)]
Size = Annotated[int, Field(ge=0)]

# Any site can make up such an origin; an expression that takes it takes every origin.
_STRANGER = "https://stranger.invalid"


class ProxiesSettings(PluginSettings):
    """Who may speak for a client."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses and networks of the proxies whose headers are believed: `10.0.0.0/8`, `2001:db8::7`."""

    unix_sockets: bool = False
    """Believe whoever connects through a Unix socket."""

    header: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    """What the proxies write: `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded` (RFC 7239). The other
    is ignored: a proxy passes on what it doesn't write, as the client sent it."""


class CorsSettings(PluginSettings):
    """Pages of which origins may use the API, and how."""

    origins: tuple[Origin, ...] = ()
    """Origins, as browsers send them: `https://app.example.com`, no path; `*` for any."""

    origin_regex: str | None = None
    """A regular expression, without look-around, that a whole origin has to match:
    `https://[a-z0-9-]+\\.example\\.com`."""

    credentials: bool = False
    """Let those pages send cookies and HTTP authentication."""

    methods: tuple[Token, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    """The methods they may use."""

    headers: tuple[Token, ...] = (
        "Accept",
        "Accept-Language",
        "Authorization",
        "Content-Language",
        "Content-Type",
        "If-Match",
        "If-None-Match",
        "Last-Event-ID",
        "X-Request-ID",
        "traceparent",
        "tracestate",
    )
    """The request headers they may send; `*` for any."""

    expose_headers: tuple[Token, ...] = (
        "X-Request-ID",
        "X-Process-Time",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "Location",
        "ETag",
    )
    """The response headers they may read, beside those that every page may."""

    max_age: Annotated[int, Field(ge=0, le=86400)] = 600
    """Seconds for which a browser may remember the answer to a preflight."""

    @property
    def enabled(self) -> bool:
        """Whether any origin but the API's own may use it."""
        return bool(self.origins or self.origin_regex)

    @field_validator("origin_regex")
    @classmethod
    def _is_expression(cls, value: str | None) -> str | None:
        if value is not None:
            origin_matcher(value)
        return value

    @model_validator(mode="after")
    def _credentials_need_names(self) -> Self:
        if not self.credentials:
            return self
        if {"*", "null"} & set(self.origins):
            raise ValueError("credentials can't be allowed to any origin: name the origins instead of '*' or 'null'")
        if self.origin_regex and origin_matcher(self.origin_regex)(_STRANGER):
            raise ValueError(f"credentials can't be allowed to any origin: origin_regex matches {_STRANGER}")
        return self


class CompressionSettings(PluginSettings):
    """Which responses are compressed."""

    enabled: bool = True
    """Compress responses for clients that ask for it."""

    encodings: tuple[Encoding, ...] | None = None
    """What is offered, preferred first; `zstd`, `br` and `gzip`, as far as installed, when not set."""

    minimum_size: Annotated[int, Field(ge=0)] = 1024
    """Bodies with fewer bytes are sent as they are."""

    media_types: tuple[str, ...] = (
        "text/*",
        "application/json",
        "application/*+json",
        "application/jsonl",
        "application/x-ndjson",
        "application/javascript",
        "application/xml",
        "application/*+xml",
        "application/wasm",
        "image/svg+xml",
        "font/ttf",
    )
    """What shrinks; `*` stands for any characters. Event streams are never compressed."""

    @property
    def offered(self) -> tuple[Encoding, ...]:
        """The encodings to offer."""
        return self.encodings if self.encodings is not None else tuple(filter(is_available, PREFERRED))

    @field_validator("encodings")
    @classmethod
    def _are_installed(cls, value: tuple[Encoding, ...] | None) -> tuple[Encoding, ...] | None:
        for encoding in value or ():
            if not is_available(encoding):
                extra = {"br": "brotli"}.get(encoding, encoding)
                raise ValueError(f"'{encoding}' needs a library: pip install 'powerstrip-edge[{extra}]'")
        return value


class SessionSettings(PluginSettings):
    """Sessions in a signed cookie: `request.session`. They are on when there is a key."""

    secret_key: Key | None = None
    """The key that signs, 32 characters at least: `${file:/run/secrets/session_key}`."""

    old_secret_keys: tuple[Key, ...] = ()
    """Earlier keys, still accepted until the sessions they signed have ended."""

    cookie: Token = "session"
    """The cookie's name."""

    max_age: Annotated[int, Field(ge=1)] = 14 * 24 * 3600
    """Seconds after its last change at which a session ends."""

    same_site: Literal["lax", "strict", "none"] = "lax"
    """Whether the cookie comes along with requests from other sites."""

    https_only: bool = True
    """Send the cookie over https only (browsers also do so to localhost)."""

    http_only: bool = True
    """Hide the cookie from scripts."""

    path: CookiePath = "/"
    """The paths below which the cookie is sent."""

    domain: Domain | None = None
    """The domain below which the cookie is sent; the host itself when not set."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The key that signs, then those that are still accepted; empty when sessions are off."""
        keys = (self.secret_key, *self.old_secret_keys) if self.secret_key else ()
        return tuple(key.get_secret_value() for key in keys)

    @model_validator(mode="after")
    def _cross_site_needs_https(self) -> Self:
        if self.same_site == "none" and not self.https_only:
            raise ValueError("browsers refuse 'same_site: none' without 'https_only: on'")
        return self


class SecurityHeadersSettings(PluginSettings):
    """Headers that make browsers careful; a response's own always wins, `null` leaves one out."""

    enabled: bool = True
    """Send them."""

    content_type_nosniff: bool = True
    """Send `X-Content-Type-Options: nosniff`."""

    content_security_policy: HeaderValue | None = "default-src 'none'; frame-ancestors 'none'"
    """`Content-Security-Policy`. The default fits an API; pages, as those of the docs, bring their own."""

    frame_options: Literal["DENY", "SAMEORIGIN"] | None = "DENY"
    """`X-Frame-Options`"""

    referrer_policy: HeaderValue | None = "no-referrer"
    """`Referrer-Policy`"""

    cross_origin_opener_policy: HeaderValue | None = "same-origin"
    """`Cross-Origin-Opener-Policy`"""

    cross_origin_resource_policy: HeaderValue | None = "same-origin"
    """`Cross-Origin-Resource-Policy`. `cross-origin` lets pages of other sites show this API's images."""

    permissions_policy: HeaderValue | None = None
    """`Permissions-Policy`"""

    strict_transport_security: HeaderValue | None = "max-age=31536000"
    """`Strict-Transport-Security`, sent over https only."""


class EdgeSettings(PluginSettings):
    """Settings of the plugin `edge`."""

    hosts: tuple[Host, ...] = ()
    """Names this server answers for: `api.example.com`, `*.example.com`, `[::1]`, with or without a port.
    Any name will do when there are none."""

    hosts_exempt: tuple[str, ...] = ()
    """Paths that are answered for any name, as probes need it that know an address only; `*` stands for any
    characters: `/health*`."""

    max_body_size: Size | None = 10 * 1024 * 1024
    """Bytes that a request body may have; `null` for no limit."""

    max_body_sizes: Annotated[
        Mapping[PathPrefix, Size | None], Field(json_schema_extra={"additionalProperties": False})
    ] = {}
    """Other limits for the paths below a prefix; the longest prefix counts."""

    proxies: ProxiesSettings = ProxiesSettings()
    """Trusted proxies; none by default."""

    cors: CorsSettings = CorsSettings()
    """Cross-origin requests; none by default."""

    session: SessionSettings = SessionSettings()
    """Signed session cookies; off by default."""

    security_headers: SecurityHeadersSettings = SecurityHeadersSettings()
    """Security headers; on by default."""

    compression: CompressionSettings = CompressionSettings()
    """Compression; on by default."""

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if split_host(host.removeprefix("*.")) is None:
                raise ValueError(f"'{host}' is neither a name nor an address")
        return value


def weaknesses(settings: EdgeSettings) -> Iterator[Finding]:
    """Settings that work and are not fit for production, for `powerstrip check --strict`."""
    if settings.session.keys and not settings.session.https_only:
        yield Finding(
            "edge.cookie-without-https",
            "the session cookie is also sent over http, where anyone on the way can take it",
            hint="switch 'session.https_only' on",
        )
    for network in settings.proxies.networks:
        if network.prefixlen == 0:
            yield Finding(
                "edge.everyone-is-a-proxy",
                f"'proxies.networks' holds {network}: every client can claim any address",
                hint="name the proxies' own addresses",
            )
