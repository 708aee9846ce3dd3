"""Somebody to be, in the tests of plugins that ask who calls."""

import json
from collections.abc import Sequence

from powerstrip.contract.hooks import hookimpl
from powerstrip.contract.identity import IDENTITY, Identity
from powerstrip.contract.interceptors import Exchange, Interceptor, Stage
from powerstrip.contract.plugin import Plugin, PluginSettings

NAME = "fake_identity"
HEADER = "X-Fake-Identity"


def signed_in(identity: Identity | None) -> dict[str, str]:
    """The request headers that make the caller this identity, or a stranger, where `FakeIdentity` is on."""
    if identity is None:
        return {HEADER: ""}
    facts = {
        "id": identity.id,
        "name": identity.name,
        "roles": sorted(identity.roles),
        "permissions": sorted(identity.permissions),
        "session_id": identity.session_id,
        "claims": dict(identity.claims),
    }
    return {HEADER: json.dumps(facts)}


class FakeIdentity(Plugin[PluginSettings]):
    """Provides `identity`: believes whatever the header of `signed_in(identity)` says. For tests only."""

    provides = (IDENTITY,)

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [_BelieveHeader()]


class _BelieveHeader(Interceptor):
    stage = Stage.IDENTIFY
    writes = frozenset({IDENTITY})

    def on_request(self, exchange: Exchange) -> None:
        stated = exchange.headers.get(HEADER)
        if stated:
            facts = json.loads(stated)
            for names in ("roles", "permissions"):
                facts[names] = frozenset(facts[names])
            exchange.state.identity = Identity(**facts)
