"""What an operator can set."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from powerstrip import PluginSettings
from powerstrip_ratelimit.domain.patterns import PATTERN_FORM, parse_pattern
from powerstrip_ratelimit.domain.rates import RATE_FORM, parse_rate

DEFAULT = "default"
"""The name of the policy that limits every client."""

_NAME = r"^[a-z][a-z0-9_-]{0,63}$"
# What counts requests by; any other word is a key that a plugin brings.
_KEY = r"^(client|address|identity|api-key|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+|[a-z][a-z0-9_-]*)$"


def _readable(parse: Callable[[str], Any]) -> AfterValidator:
    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


# Editors know the form from the JSON Schema; what is wrong with a text is for the parser to say.
RateText = Annotated[str, _readable(parse_rate), Field(json_schema_extra={"pattern": RATE_FORM})]
RouteText = Annotated[str, _readable(parse_pattern), Field(json_schema_extra={"pattern": PATTERN_FORM})]
Name = Annotated[str, Field(pattern=_NAME)]
Units = Annotated[int, Field(ge=1)]
AlgorithmName = Literal["sliding", "gcra"]
Mode = Literal["enforce", "observe"]


class PolicySettings(PluginSettings):
    """One limit: how much, for whom, and of which requests."""

    rate: RateText | None = None
    """How much: `100/hour`, `5/second`, `10/15minutes`."""

    concurrent: Units | None = None
    """Instead of a rate, how many requests or WebSockets at a time."""

    algorithm: AlgorithmName | None = None
    """As above; the plugin's when not set."""

    burst: Units | None = None
    """With `gcra`, how many may come at once; a tenth of the rate's number when not set."""

    key: Annotated[str, Field(pattern=_KEY)] = "client"
    """What requests are counted by: `client` (the identity, for strangers the address), `address`, `identity` (not
    strangers), `api-key`, `header:NAME` (without the header, the client), or a key that a plugin brings."""

    routes: tuple[RouteText, ...] = ()
    """Which requests: path templates, with or without a method, `*` for any characters. All when there are none."""

    methods: tuple[Annotated[str, Field(pattern=r"^[A-Z]+$")], ...] = ()
    """Only these methods; `WEBSOCKET` for WebSockets."""

    tags: tuple[str, ...] = ()
    """Only routes with one of these tags."""

    plugins: tuple[str, ...] = ()
    """Only routes of these plugins."""

    roles: tuple[str, ...] = ()
    """Only callers with one of these roles."""

    cost: Units | None = None
    """Units that a request takes; what `costs` says when not set."""

    replaces: tuple[str, ...] = ()
    """Policies that don't apply where this one does: `[default]`."""

    messages: bool = False
    """Count what clients send over WebSockets instead of requests; too much closes the WebSocket."""

    mode: Mode | None = None
    """As above; the plugin's when not set."""

    @model_validator(mode="after")
    def _has_one_measure(self) -> Self:
        if (self.rate is None) == (self.concurrent is None):
            raise ValueError("a policy has a 'rate' or is 'concurrent'")
        if self.concurrent is not None and (self.algorithm or self.burst or self.cost or self.messages):
            raise ValueError("'algorithm', 'burst', 'cost' and 'messages' go with a rate, not with 'concurrent'")
        return self


def _kind(value: Any) -> str:
    return "(policy)" if isinstance(value, Mapping | PolicySettings) else "(rate)"


RateOrPolicy = Annotated[
    Annotated[RateText, Tag("(rate)")] | Annotated[PolicySettings, Tag("(policy)")], Discriminator(_kind)
]


class ExemptSettings(PluginSettings):
    """What is not counted."""

    paths: tuple[RouteText, ...] = ()
    """Path templates of routes, with or without a method, `*` for any characters: `/health*`."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses and networks of clients: `10.0.0.0/8`, `2001:db8::7`."""

    roles: tuple[str, ...] = ()
    """Callers with one of these roles."""


class HeadersSettings(PluginSettings):
    """What answers tell about limits."""

    x_ratelimit: bool = True
    """Send `X-RateLimit-Limit`, `-Remaining` and `-Reset`, for the tightest policy."""

    ietf: bool = True
    """Send `RateLimit` and `RateLimit-Policy`, for all policies (draft-ietf-httpapi-ratelimit-headers-11)."""


class RatelimitSettings(PluginSettings):
    """Settings of the plugin `ratelimit`."""

    default: RateText | None = "60/minute"
    """What each client may ask for in all; `null` for no such limit."""

    algorithm: AlgorithmName = "sliding"
    """`sliding`: never more than the rate in any window. `gcra`: evenly, with bursts."""

    burst: Units | None = None
    """With `gcra`, how many may come at once; a tenth of the rate's number when not set."""

    mode: Mode = "enforce"
    """`observe` counts and logs, and refuses nothing."""

    policies: Mapping[Name, RateOrPolicy] = {}
    """Further limits by name: a rate, or what is described below. All that apply count."""

    routes: Mapping[RouteText, RateOrPolicy] = {}
    """Limits of routes: `POST /api/v1/users/: 100/hour`. They replace what the route's author stated."""

    costs: Mapping[RouteText, Units] = {}
    """Units that a request of a route takes, 1 for others: `POST /api/v1/exports: 10`."""

    exempt: ExemptSettings = ExemptSettings()
    """What is not counted; nothing by default."""

    api_key_header: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")] = "X-API-Key"
    """Where the key `api-key` is found."""

    ipv4_prefix: Annotated[int, Field(ge=8, le=32)] = 32
    """IPv4 addresses that share this many bits are one client."""

    ipv6_prefix: Annotated[int, Field(ge=16, le=128)] = 64
    """IPv6 addresses that share this many bits are one client: hosts may pick any address of their /64."""

    lease: Annotated[int, Field(ge=3, le=3600)] = 60
    """Seconds after which a request of a process that died no longer counts as `concurrent`."""

    quota_ttl: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds for which a quota that a plugin told is remembered."""

    admin_role: Annotated[str, Field(min_length=1)] | None = None
    """Callers with this role see and reset what others used, over HTTP; nobody does when not set."""

    headers: HeadersSettings = HeadersSettings()
    """What answers tell."""

    store: Literal["auto", "memory", "redis"] = "auto"
    """Where counters are kept: in each process's `memory`, or in `redis`, where all workers and machines share them;
    `auto` is `redis` when the plugin redis is on."""

    store_timeout: Annotated[float, Field(gt=0, le=60)] = 0.25
    """Seconds that Redis may take to answer. Then it counts as away, and is not waited for until it is back."""

    on_store_failure: Literal["allow", "deny", "local"] = "local"
    """While Redis is away: `allow` everything, `deny` everything with 503, or count in each process's memory."""

    max_keys: Annotated[int, Field(ge=1, le=100_000_000)] = 200_000
    """In memory, clients per policy that have counters of their own; more share some."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if DEFAULT in self.policies:
            raise ValueError(f"'{DEFAULT}' is the policy of 'default': give it another name")
        known = {*self.policies, *self.routes, DEFAULT}
        for name, policy in {**self.policies, **self.routes}.items():
            unknown = set(policy.replaces) - known if isinstance(policy, PolicySettings) else set()
            if unknown:
                raise ValueError(f"'{name}' replaces '{min(unknown)}', which is no policy")
        return self
