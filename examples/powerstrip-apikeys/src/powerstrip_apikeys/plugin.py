"""What apikeys brings to the host: hooks, and nothing else."""

from collections.abc import Sequence
from typing import Any

from powerstrip import Finding, Interceptor, Plugin, hookimpl
from powerstrip_apikeys.interceptors import KeyInterceptor
from powerstrip_apikeys.service import KeyHolders
from powerstrip_apikeys.settings import ApiKeysSettings


class ApiKeys(Plugin[ApiKeysSettings]):
    """Signs in programs that send an API key from the config."""

    provides = ("identity",)

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [KeyInterceptor(self.settings.header, KeyHolders(self.settings.keys))]

    @hookimpl
    def register_findings(self) -> Sequence[Finding]:
        return self.settings.findings()

    @hookimpl
    def customise_openapi(self, document: dict[str, Any]) -> None:
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["apiKey"] = {"type": "apiKey", "in": "header", "name": self.settings.header}
        # Another plugin that knows callers may have described it: one scheme stands for both.
        schemes.setdefault("bearer", {"type": "http", "scheme": "bearer"})
