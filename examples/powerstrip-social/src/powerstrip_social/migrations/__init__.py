"""The revisions of the tables of social."""
