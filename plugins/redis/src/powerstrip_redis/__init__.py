"""Redis and Valkey for Powerstrip's plugins: one pool of connections, and a lost server that harms nobody."""

from powerstrip_redis.clients import RedisClient
from powerstrip_redis.errors import RedisUnavailable
from powerstrip_redis.service import RedisConnections

__version__ = "0.1.0"

__all__ = ["RedisClient", "RedisConnections", "RedisUnavailable"]
