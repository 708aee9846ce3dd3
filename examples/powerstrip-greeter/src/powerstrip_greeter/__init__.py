"""Greets people by name, as a plugin for Powerstrip."""

__version__ = "0.1.0"
