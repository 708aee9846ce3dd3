"""What can go wrong with limits.

RatelimitError
└── StoreUnavailableError
"""


class RatelimitError(Exception):
    """Anything that this plugin raises beside problems."""


class StoreUnavailableError(RatelimitError):
    """The store of counters doesn't answer."""
