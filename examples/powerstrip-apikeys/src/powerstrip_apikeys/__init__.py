"""Static API keys, as a plugin for Powerstrip."""

__version__ = "0.1.0"
