"""The revisions of the tables of exports."""
