"""What the OpenAPI document says about signing in."""

from typing import Any


def describe_sign_in(document: dict[str, Any]) -> None:
    """State the bearer scheme. OAuth2's password flow is not advertised: RFC 9700, 2.4 forbids it to clients of
    third parties, and ours only shares its form."""
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})["bearer"] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token that `POST /auth/token` answers with.",
    }
