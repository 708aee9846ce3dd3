"""A plugin with tables, as an author would write it: notes, and tags on them."""

from database_sample.models import Note, Tag
from database_sample.plugin import Notes

__all__ = ["Note", "Notes", "Tag"]
