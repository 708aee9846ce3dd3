"""Alembic's environment for every plugin: how revisions run, and what a new one looks like."""
