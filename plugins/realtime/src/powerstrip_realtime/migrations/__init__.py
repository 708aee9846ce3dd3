"""Revisions of the tables of realtime."""
