"""What can go wrong with limits.

RatelimitError
├── NoRedisError
├── StoreUnavailableError
└── UnknownKeyError
"""


class RatelimitError(Exception):
    """Anything that this plugin raises beside problems."""


class NoRedisError(RatelimitError):
    """Counters should be kept in Redis, and the plugin redis is not on."""


class StoreUnavailableError(RatelimitError):
    """The store of counters doesn't answer."""


class UnknownKeyError(RatelimitError):
    """A policy counts requests by a key that no plugin brings."""
