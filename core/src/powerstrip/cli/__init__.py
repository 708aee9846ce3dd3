"""The command `powerstrip`: what an operator and a plugin author type."""
