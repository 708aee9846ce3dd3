"""Somebody to be, in the tests of plugins that ask who calls."""

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from powerstrip.contract.hooks import hookimpl
from powerstrip.contract.identity import IDENTITY, Authenticator, Identity
from powerstrip.contract.interceptors import Exchange, Interceptor, Stage
from powerstrip.contract.plugin import Plugin, PluginSettings
from powerstrip.contract.problems import Unauthorized
from powerstrip.contract.services import Services

NAME = "fake_identity"
HEADER = "X-Fake-Identity"


def signed_in(identity: Identity | None) -> dict[str, str]:
    """The request headers that make the caller this identity, or a stranger, where `FakeIdentity` is on."""
    if identity is None:
        return {HEADER: ""}
    return {HEADER: json.dumps(_facts(identity))}


def token_of(identity: Identity) -> str:
    """A token that `FakeIdentity`'s service `Authenticator` takes for this identity."""
    return base64.urlsafe_b64encode(json.dumps(_facts(identity)).encode()).decode().rstrip("=")


def _facts(identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.id,
        "name": identity.name,
        "roles": sorted(identity.roles),
        "permissions": sorted(identity.permissions),
        "session_id": identity.session_id,
        "claims": dict(identity.claims),
    }


def _identity(text: str | bytes) -> Identity:
    facts = json.loads(text)
    for names in ("roles", "permissions"):
        facts[names] = frozenset(facts[names])
    return Identity(**facts)


class FakeIdentity(Plugin[PluginSettings]):
    """Provides `identity`: believes whatever the header of `signed_in(identity)` says. For tests only."""

    provides = (IDENTITY,)

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [_BelieveHeader()]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[Authenticator]:  # noqa: ARG002 - it needs none
        yield _BelieveToken()


class _BelieveHeader(Interceptor):
    stage = Stage.IDENTIFY
    writes = frozenset({IDENTITY})

    def on_request(self, exchange: Exchange) -> None:
        stated = exchange.headers.get(HEADER)
        if stated:
            exchange.state.identity = _identity(stated)


class _BelieveToken(Authenticator):
    async def authenticate(self, token: str) -> Identity:
        try:
            return _identity(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (binascii.Error, KeyError, TypeError, ValueError):
            raise Unauthorized("This token is not valid.") from None
