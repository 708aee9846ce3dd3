"""Rate limits that hold."""

__version__ = "0.1.0"
