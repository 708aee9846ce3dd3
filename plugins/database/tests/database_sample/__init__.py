"""A plugin with tables, as an author would write it: notes, and tags on them."""

from pathlib import Path

from database_sample.models import Note, Tag
from database_sample.plugin import Notes

FOLDER = Path(__file__).parent

__all__ = ["FOLDER", "Note", "Notes", "Tag"]
