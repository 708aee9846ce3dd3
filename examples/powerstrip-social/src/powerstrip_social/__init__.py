"""Posts, and people who follow one another: a plugin with tables of its own."""

__version__ = "0.1.0"
