"""What can go wrong with limits.

RatelimitError
├── StoreUnavailableError
└── UnknownKeyError
"""


class RatelimitError(Exception):
    """Anything that this plugin raises beside problems."""


class StoreUnavailableError(RatelimitError):
    """The store of counters doesn't answer."""


class UnknownKeyError(RatelimitError):
    """A policy counts requests by a key that no plugin brings."""
