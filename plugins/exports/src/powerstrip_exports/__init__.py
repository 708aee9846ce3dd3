"""Exports of any size: CSV, Excel, NDJSON, JSON and Parquet, as streams and as jobs."""

__version__ = "0.1.0"
