"""Fixtures that several distributions share."""

pytest_plugins = ["powerstrip_database.testing", "powerstrip_redis.testing"]
