"""Powerstrip beside its peers: `make bench`, or `python -m benchmarks --only A,C`."""
