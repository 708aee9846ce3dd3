"""What stands between strangers and an API: hosts, proxies, CORS, headers, limits, sessions and compression."""

__version__ = "0.1.0"
