"""One module a question; each has `run() -> Section`."""
