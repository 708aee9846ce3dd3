"""Database URLs: which are understood, and what they mean."""

from types import MappingProxyType

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_SQLITE = "sqlite+aiosqlite"
_POSTGRESQL = "postgresql+asyncpg"
# Without a driver, as other tools and hosting providers write them.
_DRIVERS = MappingProxyType(
    {
        _SQLITE: _SQLITE,
        "sqlite": _SQLITE,
        _POSTGRESQL: _POSTGRESQL,
        "postgresql": _POSTGRESQL,
        "postgres": _POSTGRESQL,
    }
)
# What may stand after the `?`. asyncpg would fail on any other with a TypeError, long after the config was read.
_POSTGRESQL_OPTIONS = frozenset({"application_name", "host", "passfile", "port", "ssl", "target_session_attrs"})


def parse_address(text: str) -> URL:
    """Take a URL apart. Raises ValueError, whose message never repeats the URL: it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"is no database URL; it looks like {_SQLITE}:///FILE or {_POSTGRESQL}://HOST/NAME") from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise ValueError(f"names a database that is not supported: begin it with {_SQLITE}:// or {_POSTGRESQL}://")
    url = url.set(drivername=driver)
    return _sqlite(url) if driver == _SQLITE else _postgresql(url)


def _sqlite(url: URL) -> URL:
    if url.host:
        raise ValueError(f"has two slashes where it needs three: {_SQLITE}:///FILE, or four before an absolute path")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ValueError("must name a file after its three slashes: connections share no database in memory")
    if url.query:
        raise ValueError("has options after the '?', and SQLite's stand in the settings beside it")
    return url


def _postgresql(url: URL) -> URL:
    # libpq's name for what asyncpg calls `ssl`; the values are the same.
    options = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    unknown = sorted(options.keys() - _POSTGRESQL_OPTIONS)
    if unknown:
        known = ", ".join(sorted(_POSTGRESQL_OPTIONS))
        raise ValueError(f"has an option after the '?' that is not known: '{unknown[0]}' is none of {known}")
    return url.set(query=options)
