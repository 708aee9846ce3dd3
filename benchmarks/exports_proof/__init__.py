"""Proofs of exports that take too long for a test: memory, waiting and crashes, of the served process."""
