"""Request ids, trace context, timing headers and the access log."""

__version__ = "0.1.0"
