"""`python -m powerstrip` is `powerstrip`."""

from powerstrip.cli.main import main

main()
