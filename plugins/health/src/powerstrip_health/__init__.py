"""Health and readiness endpoints."""

__version__ = "0.1.0"
